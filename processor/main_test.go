package processor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

func TestMain(m *testing.M) { testservices.Main(m) }

// migrated gives a pool on a fresh, migrated database.
func migrated(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return connect(t, testservices.PostgresLike(t, "migrated", func(url string) error {
		pool, err := pgxpool.New(t.Context(), url)
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = Migrate(t.Context(), pool)
		return err
	}).URL)
}

func connect(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// firstSlot is the midnight three days before the tests, so that the slots of a test lie in several partitions.
var firstSlot = time.Now().UTC().Truncate(day).Add(-3 * day)

// newEvent gives a plausible event of a target's n-th minute.
func newEvent(target string, n int) event.CheckCompleted {
	slot := firstSlot.Add(time.Duration(n) * time.Minute)
	status, total := int32(200), int32(12345)
	return event.CheckCompleted{
		EventID:           schemas.EventID(target, "here", slot),
		TargetID:          target,
		Location:          "here",
		Slot:              slot,
		StartedAt:         slot.Add(3 * time.Millisecond),
		Outcome:           event.OutcomeUp,
		Attempts:          1,
		StatusCode:        &status,
		TotalUs:           &total,
		DefinitionVersion: "0123456789ab",
		Prober:            "prober-1",
	}
}

// newEvents gives n events with different ids.
func newEvents(n int) []event.CheckCompleted {
	events := make([]event.CheckCompleted, n)
	for i := range events {
		events[i] = newEvent(fmt.Sprintf("target-%d", i%7), i)
	}
	return events
}

// statements is a tracer that is called ahead of each thing that is sent to PostgreSQL: a query, the first one of a batch, or what is
// prepared, as a COPY is.
type statements func(ctx context.Context, conn *pgx.Conn, sql string)

// TraceQueryStart is part of pgx.QueryTracer.
func (s statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s(ctx, conn, d.SQL)
	return ctx
}

// TraceBatchStart is part of pgx.BatchTracer.
func (s statements) TraceBatchStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	if len(d.Batch.QueuedQueries) > 0 {
		s(ctx, conn, d.Batch.QueuedQueries[0].SQL)
	}
	return ctx
}

// TracePrepareStart is part of pgx.PrepareTracer.
func (s statements) TracePrepareStart(ctx context.Context, conn *pgx.Conn, d pgx.TracePrepareStartData) context.Context {
	s(ctx, conn, d.SQL)
	return ctx
}

func (statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (statements) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

// before gives a tracer that calls do ahead of each statement that has a text.
func before(text string, do func(ctx context.Context, conn *pgx.Conn)) statements {
	return func(ctx context.Context, conn *pgx.Conn, sql string) {
		if strings.Contains(sql, text) {
			do(ctx, conn)
		}
	}
}

// tracer cancels a context at a chosen statement.
var tracer = newStatementTracer()

type statementTracer struct {
	statements
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

func newStatementTracer() *statementTracer {
	s := new(statementTracer)
	s.statements = func(context.Context, *pgx.Conn, string) { s.count() }
	return s
}

// cancelAfter arms the tracer for the statement that follows n others; a nil cancel disarms it.
func (s *statementTracer) cancelAfter(n int, cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.cancel = n, cancel
}

func (s *statementTracer) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel == nil {
		return
	}
	if s.left--; s.left < 0 {
		s.cancel()
	}
}
