package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
	"webcheck/schemas"
)

// fewStrips are not worth a COPY, which takes four requests where an upsert takes one.
const fewStrips = 50

// foldWriter writes what has changed of folds, and nothing that has not.
type foldWriter struct {
	queries *db.Queries
	tx      pgx.Tx

	made      []db.CopyStripsParams // strips that are new
	strips    db.UpsertStripsParams // and those that change
	gone      db.DeleteStripsParams
	locations db.UpsertLocationStatesParams
}

func (w *foldWriter) write(ctx context.Context, folds []*targetFold, locked lockedTargets, stored storedTransitions) error {
	for _, t := range folds {
		for _, location := range t.tracks {
			w.addStrips(t.id, location)
			w.addLocation(t.id, location)
		}
	}
	return errors.Join(
		w.writeStrips(ctx),
		w.writeRollups(ctx, folds),
		w.writeTransitions(ctx, folds, stored),
		w.writeTargets(ctx, folds, locked, stored),
	)
}

func (w *foldWriter) addStrips(target string, t *track) {
	for i := range t.strips {
		s := &t.strips[i]
		old := findStrip(t.old, s)
		if old != nil && old.intervalMs == s.intervalMs && slices.Equal(old.checks, s.checks) && slices.Equal(old.before, s.before) {
			continue
		}
		row := db.CopyStripsParams{
			TargetID: target, Location: t.location, StartsAt: moment(s.startsMs), DefinitionVersion: s.version,
			IntervalMs: int32(s.intervalMs), Checks: s.checks, Before: s.before,
		}
		if old == nil {
			w.made = append(w.made, row)
			continue
		}
		w.upsertStrip(row)
	}
	for i := range t.old {
		s := &t.old[i]
		if findStrip(t.strips, s) == nil {
			g := &w.gone
			g.Targets, g.Locations, g.StartsAt, g.Versions = append(g.Targets, target), append(g.Locations, t.location), append(g.StartsAt, moment(s.startsMs)), append(g.Versions, s.version)
		}
	}
}

func (w *foldWriter) upsertStrip(row db.CopyStripsParams) {
	u := &w.strips
	u.Targets, u.Locations = append(u.Targets, row.TargetID), append(u.Locations, row.Location)
	u.StartsAt, u.Versions = append(u.StartsAt, row.StartsAt), append(u.Versions, row.DefinitionVersion)
	u.IntervalsMs, u.Checks, u.Before = append(u.IntervalsMs, row.IntervalMs), append(u.Checks, arrayText(row.Checks)), append(u.Before, arrayText(row.Before))
}

func findStrip(strips []strip, like *strip) *strip {
	i, _ := slices.BinarySearchFunc(strips, like.startsMs, func(s strip, startsMs int64) int { return int(s.startsMs - startsMs) })
	for ; i < len(strips) && strips[i].startsMs == like.startsMs; i++ {
		if strips[i].version == like.version {
			return &strips[i]
		}
	}
	return nil
}

func (w *foldWriter) addLocation(target string, t *track) {
	if len(t.all) == 0 {
		return // nothing from the moment on, so it is as it was
	}
	last := &t.all[len(t.all)-1]
	touched := len(t.changes) > 0 && t.changes[len(t.changes)-1].slotMs == last.slotMs
	if t.known && t.fold == t.stored && !touched {
		return
	}
	u := &w.locations
	u.Targets, u.Locations = append(u.Targets, target), append(u.Locations, t.location)
	u.States, u.Since = append(u.States, t.fold.state.String()), append(u.Since, moment(t.fold.sinceMs))
	u.LastSlots, u.LastEventIds = append(u.LastSlots, moment(last.slotMs)), append(u.LastEventIds, schemas.EventID(target, t.location, moment(last.slotMs)))
	u.LastOutcomes, u.LastTotalsUs = append(u.LastOutcomes, outcomeNames[last.outcome]), append(u.LastTotalsUs, last.totalUs)
	u.Folds = append(u.Folds, arrayText(t.fold.numbers()))
}

func (w *foldWriter) writeStrips(ctx context.Context) error {
	if len(w.gone.Targets) > 0 {
		if err := w.queries.DeleteStrips(ctx, w.tx, w.gone); err != nil {
			return fmt.Errorf("removing strips: %w", err)
		}
	}
	if err := w.copyStrips(ctx); err != nil {
		return fmt.Errorf("writing new strips: %w", err)
	}
	if len(w.strips.Targets) > 0 {
		if err := w.queries.UpsertStrips(ctx, w.tx, w.strips); err != nil {
			return fmt.Errorf("writing strips: %w", err)
		}
	}
	if len(w.locations.Targets) > 0 {
		if err := w.queries.UpsertLocationStates(ctx, w.tx, w.locations); err != nil {
			return fmt.Errorf("writing the states of locations: %w", err)
		}
	}
	return nil
}

// copyStrips writes new strips. Where one is there, although the state of its location does not know of it, somebody has changed the
// tables, and the strips are upserted: to fold once more is what mends them.
func (w *foldWriter) copyStrips(ctx context.Context) error {
	if len(w.made) > fewStrips {
		err := pgx.BeginFunc(ctx, w.tx, func(savepoint pgx.Tx) error { return copyStrips(ctx, savepoint.Conn(), w.made) })
		if !isDuplicate(err) {
			return err
		}
	}
	for _, row := range w.made {
		w.upsertStrip(row)
	}
	return nil
}

func (w *foldWriter) writeTransitions(ctx context.Context, folds []*targetFold, stored storedTransitions) error {
	var upserts []db.UpsertTransitionsParams
	var deletes []db.DeleteTransitionsParams
	for _, t := range folds {
		old := make(map[int64]db.Transition)
		for _, row := range stored[t.id] {
			old[row.Slot.UnixMilli()] = row
		}
		for i := range t.found {
			row := t.found[i].row(t.id)
			if before, there := old[t.found[i].slotMs]; !there || !sameTransition(before, row) {
				upserts = append(upserts, row)
			}
			delete(old, t.found[i].slotMs)
		}
		for _, row := range old {
			deletes = append(deletes, db.DeleteTransitionsParams{TargetID: t.id, Slot: row.Slot})
		}
	}
	var errs []error
	each := func(_ int, err error) { errs = append(errs, err) }
	if len(deletes) > 0 {
		w.queries.DeleteTransitions(ctx, w.tx, deletes).Exec(each)
	}
	if len(upserts) > 0 {
		w.queries.UpsertTransitions(ctx, w.tx, upserts).Exec(each)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("writing transitions: %w", err)
	}
	return nil
}

// row is the transition as the table takes it.
func (t *transition) row(target string) db.UpsertTransitionsParams {
	return db.UpsertTransitionsParams{
		TargetID: target, Slot: moment(t.slotMs), FromState: t.from.String(), ToState: t.to.String(),
		EventID: t.eventID(target), Location: t.location, DefinitionVersion: t.version, Flapping: t.flapping,
		LocationsDown: int32(t.down), LocationsReporting: int32(t.reporting), IncidentOpenedAt: optionalMoment(t.openedMs),
	}
}

func transitionOf(row db.Transition) transition {
	t := transition{
		slotMs: row.Slot.UnixMilli(), from: stateOf(row.FromState), to: stateOf(row.ToState), location: row.Location,
		version: row.DefinitionVersion, flapping: row.Flapping, down: int(row.LocationsDown), reporting: int(row.LocationsReporting),
	}
	if row.IncidentOpenedAt != nil {
		t.openedMs = row.IncidentOpenedAt.UnixMilli()
	}
	return t
}

func sameTransition(old db.Transition, row db.UpsertTransitionsParams) bool {
	before := transitionOf(old)
	return row.FromState == old.FromState && row.ToState == old.ToState && row.Location == old.Location &&
		row.DefinitionVersion == old.DefinitionVersion && row.Flapping == old.Flapping && row.LocationsDown == old.LocationsDown &&
		row.LocationsReporting == old.LocationsReporting && sameMoment(row.IncidentOpenedAt, before.openedMs)
}

func (w *foldWriter) writeTargets(ctx context.Context, folds []*targetFold, locked lockedTargets, stored storedTransitions) error {
	var updates []db.UpdateTargetStatesParams
	for _, t := range folds {
		if _, read := stored[t.id]; !read {
			continue // it has no transition from the moment on, and had none
		}
		u := db.UpdateTargetStatesParams{TargetID: t.id, State: t.state.String(), Since: optionalMoment(t.sinceMs), FlappingUntil: optionalMoment(t.flappingMs)}
		if all := slices.Concat(t.earlier, t.found); len(all) > 0 {
			id := all[len(all)-1].eventID(t.id)
			u.EventID = &id
		}
		row := locked[t.id]
		if u.State == row.State && sameMoment(row.Since, t.sinceMs) && sameMoment(row.FlappingUntil, t.flappingMs) && equalText(u.EventID, row.EventID) {
			continue
		}
		updates = append(updates, u)
	}
	if len(updates) == 0 {
		return nil
	}
	var errs []error
	w.queries.UpdateTargetStates(ctx, w.tx, updates).Exec(func(_ int, err error) { errs = append(errs, err) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("writing the states of targets: %w", err)
	}
	return nil
}

// optionalMoment is nil for 0, which stands for none.
func optionalMoment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	m := moment(ms)
	return &m
}

func sameMoment(stored *time.Time, ms int64) bool {
	return (stored == nil && ms == 0) || (stored != nil && stored.UnixMilli() == ms)
}

func equalText(a, b *string) bool {
	return (a == nil && b == nil) || (a != nil && b != nil && *a == *b)
}

// arrayText writes numbers as PostgreSQL reads the text of an array (PostgreSQL, "Array Input and Output Syntax").
func arrayText(numbers []int64) string {
	text := make([]byte, 0, 20*len(numbers)+2)
	text = append(text, '{')
	for i, n := range numbers {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(append(text, '}'))
}
