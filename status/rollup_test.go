package status

import (
	"testing"
	"time"

	"webcheck/gen/db"
)

func TestUptimeIsOfWhatWasMeasured(t *testing.T) {
	for _, c := range []struct {
		rollup Rollup
		share  float64
		known  bool
	}{
		{Rollup{}, 0, false},
		{Rollup{Missed: 3, Gaps: 2}, 0, false},
		{Rollup{Up: 2, Degraded: 1, Down: 1, Missed: 9, Gaps: 9}, 0.75, true},
		{Rollup{Down: 1}, 0, true},
	} {
		if share, known := c.rollup.Uptime(); share != c.share || known != c.known {
			t.Errorf("%+v: got %v, %v, want %v, %v", c.rollup, share, known, c.share, c.known)
		}
	}
}

func TestAChartHasNoMorePointsThanAreWanted(t *testing.T) {
	since := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		width  time.Duration
		points int
		want   string
	}{
		{0, 0, "hour"},
		{time.Hour, 1, "hour"},
		{time.Hour + 1, 1, "day"},
		{41 * 24 * time.Hour, 1000, "hour"},
		{42 * 24 * time.Hour, 1000, "day"},
		{365 * 24 * time.Hour, 365 * 24, "hour"},
		{365 * 24 * time.Hour, 100, "day"},
	} {
		if got := Span(since, since.Add(c.width), c.points); got != c.want {
			t.Errorf("%s in %d points: got %q, want %q", c.width, c.points, got, c.want)
		}
	}
}

func BenchmarkMergeOfThreeLocations(b *testing.B) {
	rows := make([]db.ListRollupsByTimeRow, 3)
	for i := range rows {
		for bucket := range int64(20) {
			rows[i].Latency = append(rows[i].Latency, (100+bucket)<<32|3)
		}
	}
	for b.Loop() {
		merge(rows)
	}
}
