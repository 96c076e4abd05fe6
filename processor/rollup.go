package processor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"webcheck/gen/db"
)

// The spans that rollups are kept of.
const (
	spanHour = "hour"
	spanDay  = "day"
	dayMs    = int64(day / time.Millisecond)
)

// rollupKey is one row of rollups.
type rollupKey struct {
	target, location, span string
	startsMs               int64
}

// spans gives what changes in each hour and day of a location. An hour without any change is left out.
func (t *track) spans(target string) []spanDelta {
	var all []spanDelta
	today := -1 // where the day of the hour before stands in all
	for _, hour := range slices.Sorted(maps.Keys(t.rollups)) {
		d := t.rollups[hour]
		if d.empty() {
			continue
		}
		startsMs := hour - hour%dayMs
		if today < 0 || all[today].startsMs != startsMs {
			today = len(all)
			all = append(all, spanDelta{rollupKey{target, t.location, spanDay, startsMs}, rollupDelta{latency: make(latencyCounts)}})
		}
		all[today].add(d)
		all = append(all, spanDelta{rollupKey{target, t.location, spanHour, hour}, *d})
	}
	return all
}

type spanDelta struct {
	rollupKey
	rollupDelta
}

func (d *rollupDelta) add(other *rollupDelta) {
	for o := range d.counts {
		d.counts[o] += other.counts[o]
	}
	d.gaps += other.gaps
	for bucket, n := range other.latency {
		d.latency[bucket] += n
	}
}

func (w *foldWriter) writeRollups(ctx context.Context, folds []*targetFold) error {
	var deltas []spanDelta
	var keys db.ListRollupsParams
	for _, t := range folds {
		for _, location := range t.tracks {
			for _, d := range location.spans(t.id) {
				deltas = append(deltas, d)
				keys.Targets, keys.Locations = append(keys.Targets, d.target), append(keys.Locations, d.location)
				keys.Spans, keys.StartsAt = append(keys.Spans, d.span), append(keys.StartsAt, moment(d.startsMs))
			}
		}
	}
	if len(deltas) == 0 {
		return nil
	}
	rows, err := w.queries.ListRollups(ctx, w.tx, keys)
	if err != nil {
		return fmt.Errorf("reading rollups: %w", err)
	}
	stored := make(map[rollupKey]db.ListRollupsRow, len(rows))
	for _, row := range rows {
		stored[rollupKey{row.TargetID, row.Location, row.Span, row.StartsAt.UnixMilli()}] = row
	}
	var upserts db.UpsertRollupsParams
	var gone db.DeleteRollupsParams
	for i := range deltas {
		d := &deltas[i]
		row := stored[d.rollupKey]
		up, degraded := row.Up+int32(d.counts[outcomeUp]), row.Degraded+int32(d.counts[outcomeDegraded])
		down, missed, gaps := row.Down+int32(d.counts[outcomeDown]), row.Missed+int32(d.counts[outcomeMissed]), row.Gaps+int32(d.gaps)
		if up == 0 && degraded == 0 && down == 0 && missed == 0 && gaps == 0 {
			gone.Targets, gone.Locations = append(gone.Targets, d.target), append(gone.Locations, d.location)
			gone.Spans, gone.StartsAt = append(gone.Spans, d.span), append(gone.StartsAt, moment(d.startsMs))
			continue
		}
		u := &upserts
		u.Targets, u.Locations, u.Spans, u.StartsAt = append(u.Targets, d.target), append(u.Locations, d.location), append(u.Spans, d.span), append(u.StartsAt, moment(d.startsMs))
		u.Up, u.Degraded, u.Down, u.Missed, u.Gaps = append(u.Up, up), append(u.Degraded, degraded), append(u.Down, down), append(u.Missed, missed), append(u.Gaps, gaps)
		u.Latency = append(u.Latency, arrayText(d.latency.addTo(row.Latency)))
	}
	if len(upserts.Targets) > 0 {
		if err := w.queries.UpsertRollups(ctx, w.tx, upserts); err != nil {
			return fmt.Errorf("writing rollups: %w", err)
		}
	}
	if len(gone.Targets) > 0 {
		if err := w.queries.DeleteRollups(ctx, w.tx, gone); err != nil {
			return fmt.Errorf("removing empty rollups: %w", err)
		}
	}
	return nil
}
