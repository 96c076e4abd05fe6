package status

import (
	"testing"

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
