package status

import (
	"context"
	"fmt"
	"slices"
	"time"

	"webcheck/gen/db"
)

// Rollup is what one hour or day of a target holds, over the locations that were asked for.
type Rollup struct {
	// StartsAt is where the hour or day begins, in UTC.
	StartsAt time.Time
	// Up, Degraded, Down and Missed are checks by outcome. Gaps are slots that nobody accounts for.
	Up, Degraded, Down, Missed, Gaps int64
	// P50, P95 and P99 are what so many hundredths of the checks that were up or degraded did not exceed, in microseconds, to 5 %;
	// 0 when no such check has a latency.
	P50, P95, P99 float64
}

// Uptime is the share of the measured checks that were up or degraded, from 0 to 1; not known when nothing was measured. What
// was missed and gaps say nothing of the target.
func (r Rollup) Uptime() (share float64, known bool) {
	measured := r.Up + r.Degraded + r.Down
	if measured == 0 {
		return 0, false
	}
	return float64(r.Up+r.Degraded) / float64(measured), true
}

// Span is the span, "hour" or "day", whose rollups tell of the time from since until until in at most so many points. It is days
// when hours would be more, even if days are more as well: there is nothing coarser. A year by hour is 8760 rows a location, each
// on a page of its own: more than a chart is wide, and at three locations a tenth of a second. Days are a twenty-fourth of them.
func Span(since, until time.Time, points int) string {
	if until.Sub(since).Hours() <= float64(points) {
		return "hour"
	}
	return "day"
}

// Rollups reads the hours or days of one target and merges its locations, in the order of time. Those without any check or
// gap are left out.
func Rollups(ctx context.Context, tx db.DBTX, wanted db.ListRollupsByTimeParams) ([]Rollup, error) {
	rows, err := db.New().ListRollupsByTime(ctx, tx, wanted)
	if err != nil {
		return nil, fmt.Errorf("reading rollups of %q: %w", wanted.Target, err)
	}
	slices.SortFunc(rows, func(a, b db.ListRollupsByTimeRow) int { return a.StartsAt.Compare(b.StartsAt) })
	all := make([]Rollup, 0, len(rows))
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].StartsAt.Equal(rows[0].StartsAt) {
			n++
		}
		all = append(all, merge(rows[:n]))
		rows = rows[n:]
	}
	return all, nil
}

// merge adds up what begins at one time.
func merge(rows []db.ListRollupsByTimeRow) Rollup {
	sum := Rollup{StartsAt: rows[0].StartsAt.UTC()}
	var merged latencies
	for i := range rows {
		row := &rows[i]
		sum.Up, sum.Degraded, sum.Down = sum.Up+int64(row.Up), sum.Degraded+int64(row.Degraded), sum.Down+int64(row.Down)
		sum.Missed, sum.Gaps = sum.Missed+int64(row.Missed), sum.Gaps+int64(row.Gaps)
		merged.add(row.Latency)
	}
	sum.P50, sum.P95, sum.P99 = merged.us(0.50), merged.us(0.95), merged.us(0.99)
	return sum
}
