package processor

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/event"
)

// turns gives n checks of a target half an hour apart, of which every other four are down.
func turns(target string, n int) []event.CheckCompleted {
	events := make([]event.CheckCompleted, n)
	for i := range events {
		events[i] = newEvent(target, 30*i)
		if i%8 >= 4 {
			events[i].Outcome = event.OutcomeDown
		}
	}
	return events
}

func TestWhatIsOlderThanTheStripsIsSaidAndStaysAsItWas(t *testing.T) {
	l := newLab(t)
	l.write(inTime(turns("target", 96))...)
	slow := defaultsAsSaid()
	slow.DownAfter, slow.DownOf = 3, 3
	q := WhatIfQuestion{Rules: map[string]Rules{"target": slow}}
	second := q
	second.From = firstSlot.Add(day)
	answers, _ := ask(t, l.pool, second)
	whole := answers["target"]
	if whole.Older || !whole.Differs() {
		t.Errorf("with all strips: got %+v", whole)
	}
	if all, _ := ask(t, l.pool, q); all["target"].Older {
		t.Errorf("of everything with all strips: got %+v", all["target"])
	}
	if _, err := l.pool.Exec(t.Context(), "DELETE FROM strips WHERE starts_at < $1", second.From); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		from  time.Time
		older bool
	}{{"everything", time.Time{}, true}, {"the day that has strips", second.From, false}, {"a time before it", firstSlot.Add(time.Hour), true}} {
		q.From = c.from
		got, _ := ask(t, l.pool, q)
		target := got["target"]
		if target.Older != c.older || target.Stale || target.Was != whole.Was || !target.First.Equal(second.From) {
			t.Errorf("asked for %s: got %+v, want older %v and otherwise %+v", c.name, target, c.older, whole)
		}
	}
}

func TestOfAThousandTargetsOneIsHeld(t *testing.T) {
	l := newLab(t)
	var events []event.CheckCompleted
	var definitions []event.TargetDefined
	q := WhatIfQuestion{Rules: make(map[string]Rules)}
	for n := range 1000 {
		id := fmt.Sprintf("target-%d", n)
		q.Rules[id] = defaultsAsSaid()
		events = append(events, turns(id, 10)...)
		definitions = append(definitions, event.TargetDefined{
			TargetID: id, DefinitionVersion: events[0].DefinitionVersion, DefinedAt: firstSlot, IntervalMs: 1_800_000, DownAfter: 1, DownOf: 1,
			UpAfter: 1, UpOf: 1, FlapTransitions: 5, FlapWindowS: 3600, SilentAfter: 3, Definition: "{}",
		})
	}
	l.write(inTime(events)...)
	define(t, l.store, definitions...)
	err := pgx.BeginFunc(t.Context(), l.pool, func(tx pgx.Tx) error {
		w := newWhatIf(tx, q)
		for id := range q.Rules {
			twins, err := w.twins(t.Context(), id)
			if err != nil {
				return err
			}
			if len(w.folder.known) != 1 || len(twins.stored) != 1 {
				t.Fatalf("after %s: the rules of %d versions are held, and the transitions of %d targets", id, len(w.folder.known), len(twins.stored))
			}
			for _, location := range append(twins.was.tracks, twins.would.tracks...) {
				if location.all != nil || location.old != nil || location.strips != nil {
					t.Fatalf("after %s: its checks are held", id)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSumOverAHundredThousandTargetsHasRoom(t *testing.T) {
	var sum Outlook
	one := Outlook{Incidents: 1, Pages: 2, UpMs: 89 * dayMs, DownMs: dayMs}
	for range 100_000 {
		sum = sum.Plus(one)
	}
	share, _ := sum.Uptime()
	if want, _ := one.Uptime(); share != want || sum.Pages != 200_000 || sum.UpMs != 8_900_000*dayMs {
		t.Errorf("got %+v, a share of %v, want %v", sum, share, want)
	}
}
