package processor

import (
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

func TestMinutesAreWhatTheChecksSay(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	c := randomFoldCase(random)
	l.mix(random, &c)
	got := query(t, l.pool, "SELECT r::text FROM rollup_minutes AS r ORDER BY target_id, location, starts_at")
	want := query(t, l.pool, `SELECT r::text FROM (
		SELECT target_id, location, date_trunc('minute', slot, 'UTC') AS starts_at,
			count(*) FILTER (WHERE outcome = 'up') AS up, count(*) FILTER (WHERE outcome = 'degraded') AS degraded,
			count(*) FILTER (WHERE outcome = 'down') AS down, count(*) FILTER (WHERE outcome = 'missed') AS missed,
			percentile_disc(0.5) WITHIN GROUP (ORDER BY total_us) FILTER (WHERE outcome IN ('up', 'degraded') AND total_us >= 0) AS p50,
			percentile_disc(0.95) WITHIN GROUP (ORDER BY total_us) FILTER (WHERE outcome IN ('up', 'degraded') AND total_us >= 0) AS p95,
			percentile_disc(0.99) WITHIN GROUP (ORDER BY total_us) FILTER (WHERE outcome IN ('up', 'degraded') AND total_us >= 0) AS p99
		FROM checks GROUP BY 1, 2, 3) AS r ORDER BY target_id, location, starts_at`)
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("(-the checks' +the view's):\n%s", diff)
	}
}

// number reads what a query of one number gives.
func (l *lab) number(sql string) float64 {
	l.t.Helper()
	n, err := strconv.ParseFloat(query(l.t, l.pool, "SELECT coalesce(("+sql+")::text, 'NaN')")[0], 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestPercentilesOfAnHourAreWithinFivePercent(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	var events []event.CheckCompleted
	for i, us := range randomLatencies(random, 500) {
		e := newEvent("target", 0)
		e.Slot = firstSlot.Add(time.Duration(i) * 5 * time.Second)
		us = max(us, 1)
		e.EventID, e.TotalUs = schemas.EventID("target", e.Location, e.Slot), &us
		events = append(events, e)
	}
	l.write(inTime(events)...)
	for _, share := range []string{"0", "0.5", "0.95", "0.99", "1"} {
		got := l.number("SELECT latency_us(latency, " + share + ") FROM rollups WHERE span = 'day'")
		want := l.number("SELECT percentile_disc(" + share + ") WITHIN GROUP (ORDER BY total_us) FROM checks")
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("the share of %s: got %.1f µs, want %.1f within 5 %%", share, got, want)
		}
	}
	hours := l.number("SELECT latency_us((SELECT array_agg(e) FROM rollups, unnest(latency) AS e WHERE span = 'hour'), 0.9)")
	if day := l.number("SELECT latency_us(latency, 0.9) FROM rollups WHERE span = 'day'"); hours != day {
		t.Errorf("hours merged give %v, the day %v", hours, day)
	}
	for _, none := range []string{"NULL", "'{}'"} {
		if got := l.number("SELECT latency_us(" + none + ", 0.5)"); !math.IsNaN(got) {
			t.Errorf("of %s: got %v", none, got)
		}
	}
}

func TestABucketsMiddleIsTheSameInSQL(t *testing.T) {
	l := newLab(t)
	got := query(t, l.pool, "SELECT latency_bucket_us(b)::text FROM generate_series(0, 230) AS b ORDER BY b")
	for b, text := range got {
		us, err := strconv.ParseFloat(text, 64)
		if want := middleUs(b); err != nil || math.Abs(us-want) > 1e-9*want {
			t.Errorf("bucket %d: got %s, want %v", b, text, want)
		}
	}
}

func TestOddTotalsAreNoLatencies(t *testing.T) {
	l := newLab(t)
	var events []event.CheckCompleted
	for i, us := range []int32{math.MinInt32, -1, 0, 1, math.MaxInt32} {
		e := newEvent("target", i)
		e.TotalUs = &us
		events = append(events, e)
	}
	l.write(inTime(events)...)
	checkOracle(t, l.pool, nil)
	if got := l.number("SELECT sum(e & 4294967295) FROM rollups, unnest(latency) AS e WHERE span = 'day'"); got != 3 {
		t.Errorf("latencies: got %v, want 3", got)
	}
	if got := query(t, l.pool, "SELECT coalesce(p50_us::text, '-') FROM rollup_minutes ORDER BY starts_at"); !slices.Equal(got, []string{"-", "-", "0", "1", "2147483647"}) {
		t.Errorf("by minute: got %q", got)
	}
}
