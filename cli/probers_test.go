package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Intervals of the test's targets, half of them each: one that a take-over costs several slots, and one that it costs one at most.
const (
	quickInterval = 500 * time.Millisecond
	calmInterval  = 15 * time.Second
)

// probers are real processes that share the targets of a location.
type probers struct{ *crash }

// newProbers writes a configuration with so many targets, which are up and have these intervals in turn. Nothing is made of it yet.
func newProbers(ctx context.Context, t *testing.T, targets int, intervals ...time.Duration) *probers {
	t.Helper()
	c := newCrash(ctx, t)
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	var file bytes.Buffer
	file.WriteString("targets:\n")
	for i := range targets {
		fmt.Fprintf(&file, "  - {id: site-%d, url: %q, interval: %v}\n", i, site.URL, intervals[i%len(intervals)])
	}
	if err := os.WriteFile(filepath.Join(c.dir, "webcheck.yaml"), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return &probers{c}
}

func (p *probers) probe(name string, args ...string) *child {
	p.t.Helper()
	c := p.start(append([]string{"probe", "--prober-name", name, "--prober-session-timeout", "6s", "--prober-spool-dir", filepath.Join(p.dir, "spool-"+name), "--log-level", "debug"}, args...)...)
	p.t.Cleanup(func() {
		if p.t.Failed() {
			_ = c.command.Process.Kill()
			<-c.done
			p.t.Logf("what %s said:\n%s", name, c.output)
		}
	})
	return c
}

// await waits until the answer of a query is at least n.
func (p *probers) await(what string, n int64, sql string, arguments ...any) {
	p.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		var got int64
		err := p.conn.QueryRow(p.ctx, sql, arguments...).Scan(&got)
		if err == nil && got >= n {
			return
		}
		select {
		case <-ticker.C:
		case <-p.ctx.Done():
			p.t.Fatalf("%s: got %d of %d, %v", what, got, n, err)
		}
	}
}

const measuredBy = "SELECT count(DISTINCT target_id) FROM checks WHERE prober = $1 AND outcome <> 'missed' AND started_at > $2"

// checkNoGap holds the rows of every target against its schedule, and the whole against "webcheck verify". The probers are
// stopped by then, so that on a slow machine the targets may have gone silent.
func (p *probers) checkNoGap() {
	p.t.Helper()
	rows, err := p.conn.Query(p.ctx, `
SELECT target_id || ': ' || step::text || ' before ' || slot::text
FROM (SELECT target_id, slot, slot - lag(slot) OVER (PARTITION BY target_id ORDER BY slot) AS step FROM checks) AS steps
JOIN definitions USING (target_id) WHERE step <> make_interval(secs => interval_ms / 1000.0)`)
	if err != nil {
		p.t.Fatal(err)
	}
	gaps, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		p.t.Fatal(err)
	}
	for _, gap := range gaps {
		p.t.Errorf("a gap: %s", gap)
	}
	p.run("verify", "--allow", "silent")
}

func TestTheTargetsOfAProberThatIsKilledGoToTheOtherOneAndNoSlotIsWithoutARow(t *testing.T) {
	const targets = 40
	ctx, cancel := context.WithTimeout(t.Context(), crashPatience)
	defer cancel()
	p := newProbers(ctx, t, targets, quickInterval, calmInterval)
	p.run("topics", "create")
	p.run("db", "migrate")
	p.run("targets", "apply")
	process := p.start("process", "--processor-name", "only")
	doomed, other := p.probe("doomed"), p.probe("other")
	for _, name := range []string{"doomed", "other"} {
		p.await(name+" has a share", 4, measuredBy, name, time.Time{})
	}
	doomed.kill()
	death := time.Now()
	p.await("the other one has the quick targets", targets/2, measuredBy+" AND started_at - slot < $3", "other", death, quickInterval)
	took := time.Since(death)
	if limit := 30 * time.Second; took > limit {
		t.Errorf("the take-over took %v, with a session timeout of 6 s", took)
	}
	p.await("the other one has all", targets, measuredBy, "other", death)
	third := p.probe("third")
	p.await("a new one has a share", 4, measuredBy, "third", death)
	third.stop()
	other.stop()
	p.awaitEnd()
	process.stop()
	p.checkNoGap()
	if most := p.count(fmt.Sprintf(`SELECT coalesce(max(missed), 0) FROM (SELECT count(*) FILTER (WHERE outcome = 'missed') AS missed FROM checks
JOIN definitions USING (target_id) WHERE interval_ms = %d GROUP BY target_id) AS calm`, calmInterval.Milliseconds())); most > 1+int64(took/calmInterval) {
		t.Errorf("%d slots of a target with an interval of %v are missed, and the take-over took %v", most, calmInterval, took)
	}
	// On a busy machine a check may be slower than its timeout, a slot be noticed late, and a prober be stalled.
	if wrong := p.count(`SELECT count(*) FROM checks WHERE outcome = 'missed' AND failure NOT IN ('hand_over', 'overload', 'shutdown', 'not_running')
AND NOT (failure = 'own_fault' AND failure_text LIKE 'the prober was stalled: %')`); wrong > 0 {
		t.Errorf("%d rows are missed for another reason than the hand-over", wrong)
	}
	t.Logf("the quick targets were taken over after %v; %d rows, %d of them missed", took.Round(time.Millisecond),
		p.count("SELECT count(*) FROM checks"), p.count("SELECT count(*) FROM checks WHERE outcome = 'missed'"))
}
