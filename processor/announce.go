package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// lateAfter is how long after its check was done an event may come to the log and still be news. It is longer than a prober
// holds events back while it tries again, and shorter than an outage for which it keeps them on disk.
const lateAfter = 5 * time.Minute

// announcement is what was told of a target last.
type announcement struct {
	state state
	slot  int64
	id    string // of the event; "" where it is not known
}

// announce puts into the outbox what is news: transitions after the last one told that checks of this batch which came in time
// have brought about. Where what was told last is then not the state of the target, late data have changed it, and a correction
// says so. What has been told stays told: these tables depend on what came when, unlike the folds.
func (f *folder) announce(ctx context.Context, tx pgx.Tx, folds []*targetFold, stored storedTransitions) (n int, err error) {
	if len(stored) == 0 {
		return 0, nil
	}
	told, err := f.recallTold(ctx, tx, slices.Sorted(maps.Keys(stored)))
	if err != nil {
		return 0, err
	}
	var events []db.InsertOutboxParams
	var announced []db.UpsertAnnouncementsParams
	for _, t := range folds {
		before, changed := stored[t.id]
		if !changed {
			continue
		}
		last, known := told[t.id]
		if !known {
			last.slot = math.MinInt64
		}
		news := t.news(last, before)
		if len(news) == 0 {
			continue
		}
		for _, queriesFoldsSQLHasToFollow := range news { // see row
			events = append(events, db.InsertOutboxParams(queriesFoldsSQLHasToFollow))
		}
		newest := news[len(news)-1]
		announced = append(announced, db.UpsertAnnouncementsParams{TargetID: t.id, State: newest.To, Slot: newest.Slot, EventID: &newest.EventID})
	}
	if len(events) == 0 {
		return 0, nil
	}
	if err := f.explain(ctx, tx, events); err != nil {
		return 0, err
	}
	var errs []error
	each := func(_ int, err error) { errs = append(errs, err) }
	f.queries.InsertOutbox(ctx, tx, events).Exec(each)
	f.queries.UpsertAnnouncements(ctx, tx, announced).Exec(each)
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("announcing transitions: %w", err)
	}
	return len(events), nil
}

// recallTold reads what was told last of those of the targets of which anything was.
func (f *folder) recallTold(ctx context.Context, tx pgx.Tx, ids []string) (map[string]announcement, error) {
	rows, err := f.queries.ListAnnouncements(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading what was announced: %w", err)
	}
	told := make(map[string]announcement, len(rows))
	for _, row := range rows {
		last := announcement{state: stateOf(row.State), slot: row.Slot.UnixMilli()}
		if row.EventID != nil {
			last.id = *row.EventID
		}
		told[row.TargetID] = last
	}
	return told, nil
}

// explain adds the failures of the checks that caused the events: of those that were kept, where there were several of a slot.
func (f *folder) explain(ctx context.Context, tx pgx.Tx, events []db.InsertOutboxParams) error {
	causes := make([]string, len(events))
	for i := range events {
		causes[i] = events[i].CauseEventID
	}
	rows, err := f.queries.ListFailures(ctx, tx, causes)
	if err != nil {
		return fmt.Errorf("reading the failures behind transitions: %w", err)
	}
	failures := make(map[string]db.ListFailuresRow, len(rows))
	for _, row := range rows {
		failures[row.EventID] = row
	}
	for i := range events {
		failure := failures[events[i].CauseEventID]
		events[i].Failure, events[i].FailureText = failure.Failure, boundedText(failure.FailureText)
	}
	return nil
}

// news lists what is to be told after last, oldest first. stored are the transitions that there were.
func (f *targetFold) news(last announcement, stored []db.Transition) []event.TargetTransitioned {
	var news []event.TargetTransitioned
	for i := range f.found {
		t := &f.found[i]
		if t.slotMs <= last.slot || t.to == last.state || !f.isNews(t, stored) {
			continue
		}
		e := t.event(f.id, event.TransitionKindNews)
		news = append(news, e)
		last = announcement{state: t.to, slot: t.slotMs, id: e.EventID}
	}
	newest := f.newest()
	if newest == nil || f.state == last.state {
		return news
	}
	correction := *newest
	correction.from = last.state
	e := correction.event(f.id, event.TransitionKindCorrection)
	e.EventID = schemas.CorrectionID(f.id, e.From, e.To, e.Slot, last.id)
	return append(news, e)
}

// isNews says whether checks being folded that came in time have brought a transition about.
func (f *targetFold) isNews(t *transition, stored []db.Transition) bool {
	if cause := f.track(t.location).changeAt(t.slotMs); cause != nil {
		return !cause.late
	}
	// The check that it is put down to came in an earlier batch. Another location's, of the same slot or one shortly before it,
	// has made a quorum of it.
	for i := range stored {
		if stored[i].Slot.UnixMilli() == t.slotMs && stored[i].ToState == t.to.String() {
			return false
		}
	}
	return slices.ContainsFunc(f.tracks, func(location *track) bool {
		return location.inTime(t.slotMs-lateAfter.Milliseconds(), t.slotMs)
	})
}

// newest is the transition that brought the present state about; nil when there is none.
func (f *targetFold) newest() *transition {
	if n := len(f.found); n > 0 {
		return &f.found[n-1]
	}
	if n := len(f.earlier); n > 0 {
		return &f.earlier[n-1]
	}
	return nil
}

func (t *transition) event(target string, kind event.TransitionKind) event.TargetTransitioned {
	e := event.TargetTransitioned{
		TargetID: target, DefinitionVersion: t.version, Slot: moment(t.slotMs), From: t.from.String(), To: t.to.String(),
		CauseEventID: t.eventID(target), CauseLocation: t.location, Flapping: t.flapping,
		LocationsDown: int32(t.down), LocationsReporting: int32(t.reporting), Kind: kind, IncidentOpenedAt: optionalMoment(t.openedMs),
	}
	e.EventID = schemas.TransitionID(target, e.From, e.To, e.Slot)
	return e
}

// boundedText keeps a foreign writer's text within what an event may have.
func boundedText(text *string) *string {
	if text == nil {
		return nil
	}
	bounded := storableText(*text, schemas.MaxFailureTextBytes)
	return &bounded
}
