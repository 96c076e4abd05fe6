package processor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// A crash between write and commit leaves nothing behind, whatever was sent last.

// refuse makes the table refuse the rows of refused events (SQLSTATE 23514), as it would what decodes and has no place in it.
func refuse(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), "ALTER TABLE checks ADD CONSTRAINT refused CHECK (prober <> 'refused')"); err != nil {
		t.Fatal(err)
	}
}

func refused(e event.CheckCompleted) event.CheckCompleted {
	e.Prober = "refused"
	return e
}

func TestABatchThatIsCutAtWhateverStatementLeavesWhatWasThere(t *testing.T) {
	pool := migrated(t)
	refuse(t, pool)
	writeAll(t, pool, newEvents(2), func() int { return 2 })
	s := newStore(pool)
	// New ones, one that is there, a change of state, and one that is refused.
	events := append(newEvents(5)[1:], recentEvents("site", up, down, down)...)
	events = append(events, refused(newEvent("site", 1000)))
	rows, folds := dump(t, pool), dumpFolds(t, pool)
	cut := 0
	for ; cut < 300; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		tracer.cancelAfter(cut, cancel)
		_, err := s.write(ctx, testBatch(events, 2))
		tracer.cancelAfter(-1, nil)
		cancel()
		if err == nil {
			break
		}
		if next := storedOffset(t, pool, 0); next != 2 {
			t.Fatalf("cut at statement %d: the offset is %d after %v", cut, next, err)
		}
		if diff := cmp.Diff(rows, dump(t, pool)) + cmp.Diff(folds, dumpFolds(t, pool)); diff != "" {
			t.Fatalf("cut at statement %d, after %v (-before +after):\n%s", cut, err, diff)
		}
	}
	if cut < 30 || cut == 300 {
		t.Errorf("a batch was of %d statements", cut)
	}
	if rows, next := len(dump(t, pool)), storedOffset(t, pool, 0); rows != 8 || next != 10 {
		t.Errorf("uncut: got %d rows and offset %d, want 8 and 10", rows, next)
	}
	checkFolds(t, pool)
}

// saboteur breaks the connection of a batch's transaction ahead of its nth statement, once each time it is set.
type saboteur struct {
	mu    sync.Mutex
	conn  *pgx.Conn // of the transaction; nil before it moves the offsets
	left  int       // -1: does nothing
	last  string    // statement
	broke string    // the statement that was not sent; empty while none was
}

func (s *saboteur) set(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.left, s.last, s.broke = nil, n, "", ""
}

// broken gives the statement that was not sent.
func (s *saboteur) broken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broke
}

func (s *saboteur) before(_ context.Context, conn *pgx.Conn, sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left < 0 || s.broke != "" {
		return
	}
	if s.conn == nil && strings.Contains(sql, advancing) {
		s.conn = conn
	}
	if s.conn != conn || sql == s.last { // what a query prepares is traced again
		return
	}
	s.last = sql
	switch s.left--; {
	case s.left < 0:
		s.broke = sql
		_ = conn.PgConn().Conn().Close()
	case strings.HasPrefix(sql, "commit"): // what comes behind is no longer the batch's
		s.left = -1
	}
}

func TestAConnectionThatBreaksAtWhateverStatementOfABatchCostsNothing(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	refuse(t, p.pool)
	s := new(saboteur)
	s.set(-1)
	r := p.start(func(c *Config) {
		c.Pool = p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = statements(s.before) })
	})
	var all []event.CheckCompleted
	poison, cuts := 0, 0
	for cut := 0; ; cut += 1 + random.IntN(6) {
		s.set(cut)
		events := append(recentEvents(fmt.Sprintf("site-%d", cut), up, down, down), newEvent("again", 0))
		all, poison = append(all, events...), poison+1
		p.produce(1, append(events, refused(newEvent("again", 1000)))...)
		p.awaitEnd()
		if s.broken() != "" {
			cuts++
		} else if cuts >= 5 { // a short batch, of events that did not come together, may have been over before the cut
			break
		}
	}
	r.finish()
	if said := len(p.logs.with("WARN waiting", "doing=processing")); said != cuts || cuts < 5 {
		t.Errorf("said %d times that it waits, for %d broken connections", said, cuts)
	}
	p.checkInvariants(all, poison)
}
