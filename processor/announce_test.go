package processor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// told lists what is in the outbox, in order.
func (l *lab) told() []db.Outbox {
	l.t.Helper()
	rows, err := db.New().ListOutbox(l.t.Context(), l.pool, 1_000_000)
	if err != nil {
		l.t.Fatal(err)
	}
	return rows
}

// words are what was told, "news up-down" each.
func words(told []db.Outbox) []string {
	var all []string
	for _, e := range told {
		all = append(all, e.Kind+" "+e.From+"-"+e.To)
	}
	return all
}

// seenFrom gives a location's checks of a target, a minute apart.
func seenFrom(location string, first int, outcomes ...event.Outcome) []delivery {
	var all []delivery
	for i, outcome := range outcomes {
		e := newEvent("site", first+i)
		e.Location, e.Outcome = location, outcome
		e.EventID = schemas.EventID(e.TargetID, location, e.Slot)
		if outcome == event.OutcomeDown {
			failure, text := event.FailureStatus, "seen from "+location
			e.Failure, e.FailureText = &failure, &text
		}
		all = append(all, delivery{CheckCompleted: e})
	}
	return all
}

func (l *lab) wantTold(want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, words(l.told())); diff != "" {
		l.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAQuorumWhoseChecksComeInTwoBatchesIsNews(t *testing.T) {
	l := newLab(t)
	here, there := seenFrom("here", 0, up, down, down), seenFrom("there", 0, up, down, down)
	for i := range here { // a batch each, the cause's before the one that completes the quorum
		l.write(here[i])
		l.write(there[i])
	}
	l.wantTold("news unknown-up", "news up-down")
	e := l.told()[1]
	if e.CauseLocation != "here" || e.FailureText == nil || *e.FailureText != "seen from here" {
		t.Errorf("got %+v, want the failure of the check that it is put down to", e)
	}
}

func TestTheFailureToldIsThatOfTheCheckThatIsKept(t *testing.T) {
	l := newLab(t)
	checks := seenFrom("here", 0, up, down, down)
	kept, rival := checks[2], checks[2]
	text := "a rival"
	rival.FailureText, rival.StartedAt = &text, kept.StartedAt.Add(time.Second)
	l.write(checks[0], checks[1], kept, rival)
	told := l.told()
	l.wantTold("news unknown-up", "news up-down")
	if e := told[len(told)-1]; e.FailureText == nil || *e.FailureText != "seen from here" {
		t.Errorf("told %+v", e)
	}
}

func TestWhatCameBackBeforeAnybodyWasToldIsNotTold(t *testing.T) {
	l := newLab(t)
	checks := seenFrom("here", 0, up, down, down, up, up)
	l.write(checks[0])
	checks[1].late, checks[2].late = true, true
	l.write(checks[1:]...)
	l.wantTold("news unknown-up")
	if l.number("SELECT count(*) FROM incidents WHERE closed_at IS NOT NULL") != 1 {
		t.Error("the incident is not there")
	}
}

func TestAReplayTellsNothing(t *testing.T) {
	l := newLab(t)
	l.store.folder.silent = true
	checks := seenFrom("here", 0, up, down, down, up, up)
	l.write(checks[:3]...)
	l.write(checks[3:]...)
	l.wantTold()
	if n := l.number("SELECT count(*) FROM announcements"); n != 0 {
		t.Errorf("%v announcements", n)
	}
	l.store.folder.silent = false
	l.write(checks...) // the same again changes nothing
	l.wantTold()
	l.write(seenFrom("here", 5, down, down)...)
	l.wantTold("news up-down")
}

func TestLateDataAloneAreNeverNewsAndEndInWhatIsSo(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for run := range seed.Runs(t, 10) {
		l.clear()
		c := randomFoldCase(random)
		define(t, l.store, c.definitions...)
		deliveries := c.deliveries(random)
		for i := range deliveries {
			deliveries[i].late = true
		}
		l.inBatches(random, deliveries, func() {})
		for _, e := range l.told() {
			if e.Kind != event.TransitionKindCorrection {
				t.Fatalf("run %d: %+v is told as %s", run, e, e.Kind)
			}
		}
		l.checkTold()
	}
}

func (l *lab) inBatches(random *rand.Rand, deliveries []delivery, after func()) {
	l.t.Helper()
	for most := 1 + random.IntN(200); len(deliveries) > 0; {
		n := min(1+random.IntN(most), len(deliveries))
		l.write(deliveries[:n]...)
		deliveries = deliveries[n:]
		after()
	}
}

// checkTold wants of each target that what was told last is so, that nothing was told that had been told just before, that news
// go forward in time, and that ids follow from what is told.
func (l *lab) checkTold() {
	l.t.Helper()
	last := make(map[string]db.Outbox)
	for _, e := range l.told() {
		before, known := last[e.TargetID]
		if known && e.To == before.To {
			l.t.Errorf("told %s %s-%s of %v after %s-%s of %v", e.Kind, e.From, e.To, e.Slot, before.From, before.To, before.Slot)
		}
		if known && e.Kind == event.TransitionKindNews && !e.Slot.After(before.Slot) {
			l.t.Errorf("told the news of %v after what was of %v", e.Slot, before.Slot)
		}
		if e.Kind == event.TransitionKindCorrection && known && e.From != before.To {
			l.t.Errorf("the correction from %s does not follow on %s", e.From, before.To)
		}
		want := schemas.TransitionID(e.TargetID, e.From, e.To, e.Slot)
		if e.Kind == event.TransitionKindCorrection {
			want = schemas.CorrectionID(e.TargetID, e.From, e.To, e.Slot, before.EventID)
		}
		if e.EventID != want {
			l.t.Errorf("id %s of %+v, want %s", e.EventID, e, want)
		}
		last[e.TargetID] = e
	}
	for _, line := range query(l.t, l.pool, "SELECT target_id || ' ' || state FROM target_states WHERE since IS NOT NULL ORDER BY target_id") {
		var id, state string
		if _, err := fmt.Sscan(line, &id, &state); err != nil {
			l.t.Fatal(err)
		}
		if last[id].To != state {
			l.t.Errorf("%s: told %q last, and it is %s", id, last[id].To, state)
		}
	}
}

func TestACorrectionThatIsMadeAndUndoneAgainAndAgainHasAnotherIDEachTime(t *testing.T) {
	l := newLab(t)
	l.write(seenFrom("here", 0, up)...)
	later := seenFrom("here", 4, down)
	l.write(later...)
	for i, outcome := range []event.Outcome{down, up, down, up, down} { // of one slot, each before the last one came
		rival := seenFrom("here", 3, outcome)
		rival[0].StartedAt = rival[0].StartedAt.Add(-time.Duration(i) * time.Second)
		rival[0].late = true
		l.write(rival...)
	}
	l.wantTold("news unknown-up", "correction up-down", "correction down-up", "correction up-down", "correction down-up", "correction up-down")
	ids := make(map[string]bool)
	for _, e := range l.told() {
		ids[e.EventID] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d ids of 6 events", len(ids))
	}
}

func TestWhatIsToldFollowsOnWhatWasAndEndsInWhatIsSo(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for run := range seed.Runs(t, 10) {
		l.clear()
		c := randomFoldCase(random)
		define(t, l.store, c.definitions...)
		l.inBatches(random, c.deliveries(random), func() {
			if l.checkTold(); t.Failed() {
				t.Fatalf("run %d", run)
			}
		})
	}
}

func TestOfOneLocationInOrderAndInTimeEveryTransitionIsNews(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for range seed.Runs(t, 5) {
		l.clear()
		var c foldCase
		c.addTarget(random, "target", 100)
		define(t, l.store, c.definitions...)
		deliveries := inTime(c.events)
		deliveries = slices.DeleteFunc(deliveries, func(d delivery) bool { return d.Location != "location-0" })
		slices.SortStableFunc(deliveries, func(a, b delivery) int { return a.Slot.Compare(b.Slot) })
		deliveries = slices.CompactFunc(deliveries, func(a, b delivery) bool { return a.EventID == b.EventID })
		l.inBatches(random, deliveries, func() {})
		want := query(t, l.pool, "SELECT 'news ' || from_state || '-' || to_state FROM transitions ORDER BY slot")
		l.wantTold(want...)
	}
}
