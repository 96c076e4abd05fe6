package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
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
}

// announce puts into the outbox what is news: transitions after the last one told whose check is in this batch and came in time.
// Where what was told last is then not the state of the target, late data have changed it, and a correction says so. What has
// been told stays told: these tables depend on what came when, unlike the folds.
func (f *folder) announce(ctx context.Context, tx pgx.Tx, folds []*targetFold, stored storedTransitions) (n int, err error) {
	if len(stored) == 0 {
		return 0, nil
	}
	var ids []string
	for _, t := range folds {
		if _, changed := stored[t.id]; changed {
			ids = append(ids, t.id)
		}
	}
	rows, err := f.queries.ListAnnouncements(ctx, tx, ids)
	if err != nil {
		return 0, fmt.Errorf("reading what was announced: %w", err)
	}
	told := make(map[string]announcement, len(rows))
	for _, row := range rows {
		told[row.TargetID] = announcement{state: stateOf(row.State), slot: row.Slot.UnixMilli()}
	}
	var events []db.InsertOutboxParams
	var announced []db.UpsertAnnouncementsParams
	for _, t := range folds {
		if _, changed := stored[t.id]; !changed {
			continue
		}
		last, known := told[t.id]
		if !known {
			last.slot = math.MinInt64
		}
		news := t.news(last)
		if len(news) == 0 {
			continue
		}
		for _, e := range news {
			events = append(events, db.InsertOutboxParams(e))
		}
		newest := news[len(news)-1]
		announced = append(announced, db.UpsertAnnouncementsParams{TargetID: t.id, State: newest.To, Slot: newest.Slot})
	}
	if len(events) == 0 {
		return 0, nil
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

// news lists what is to be told after last, oldest first.
func (f *targetFold) news(last announcement) []event.TargetTransitioned {
	var news []event.TargetTransitioned
	for i := range f.found {
		t := &f.found[i]
		cause := f.cause(t)
		if t.slotMs <= last.slot || cause == nil || cause.late {
			continue
		}
		e := t.event(f.id, event.TransitionKindNews)
		e.Failure, e.FailureText = cause.failure, boundedText(cause.failureText)
		news = append(news, e)
		last = announcement{state: t.to, slot: t.slotMs}
	}
	newest := f.newest()
	if newest == nil || f.state == last.state {
		return news
	}
	correction := *newest
	correction.from = last.state
	e := correction.event(f.id, event.TransitionKindCorrection)
	return append(news, e)
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

// cause is the change that brought a transition about, if it is one of those being folded.
func (f *targetFold) cause(t *transition) *change {
	changes := f.track(t.location).changes
	for i := range changes {
		if changes[i].slotMs == t.slotMs {
			return &changes[i]
		}
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
