package prober

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// slotsOf returns the slots that have events, by target.
func slotsOf(events []*event.CheckCompleted) map[string][]*event.CheckCompleted {
	slots := make(map[string][]*event.CheckCompleted)
	for _, e := range events {
		slots[e.TargetID] = append(slots[e.TargetID], e)
	}
	return slots
}

// checkEverySlotOnce holds the events of a run against the promise: each slot from the first to the last has one event, with its id.
// First and last say how far the run reached at least.
func checkEverySlotOnce(t *testing.T, targets []Target, events []*event.CheckCompleted, first func(Target) time.Time, end time.Time) {
	t.Helper()
	byTarget := slotsOf(events)
	for _, target := range targets {
		seen := make(map[time.Time]bool)
		last := first(target).Add(-target.Interval)
		for _, e := range byTarget[target.ID] {
			if seen[e.Slot] {
				t.Errorf("%s: slot %v has two events", target.ID, e.Slot)
			}
			seen[e.Slot] = true
			if e.Slot.After(last) {
				last = e.Slot
			}
			if err := schemas.CheckEventID(e); err != nil {
				t.Errorf("%s: %v", target.ID, err)
			}
			if missed := e.Outcome == event.OutcomeMissed; missed != (e.Attempts == 0) || missed && e.TotalUs != nil {
				t.Errorf("%s: slot %v: %s after %d attempts", target.ID, e.Slot, e.Outcome, e.Attempts)
			}
		}
		if last.Before(SlotAt(target, end)) {
			t.Errorf("%s: the last slot is %v, the run ended at %v", target.ID, last, end)
		}
		for slot := first(target); !slot.After(last); slot = slot.Add(target.Interval) {
			if !seen[slot] {
				t.Errorf("%s: slot %v has no event", target.ID, slot)
			}
			delete(seen, slot)
		}
		if len(seen) > 0 {
			t.Errorf("%s: slots outside the run or the rhythm: %v", target.ID, seen)
		}
	}
}

// Whatever checks, stores, the process and the clock do: a run accounts for each of its slots once.
func TestEverySlotHasExactlyOneEventWhateverHappens(t *testing.T) {
	rnd := seed.Random(t)
	for i := range 60 {
		seed := rnd.Uint64()
		t.Run(fmt.Sprintf("schedule %d", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runRandomSchedule(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

// locked is randomness for several goroutines.
type locked struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (l *locked) upTo(n int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rnd.Int64N(n)
}

func runRandomSchedule(t *testing.T, rnd *rand.Rand) {
	wait(time.Duration(rnd.Int64N(int64(time.Hour)))) // from anywhere in the rhythm
	l := &locked{rnd: rnd}
	store := newRecorder()
	store.answer = func(*event.CheckCompleted) (time.Duration, error) {
		if l.upTo(200) == 0 {
			wait(time.Duration(l.upTo(int64(3 * time.Second)))) // a stalled process
		}
		return time.Duration(l.upTo(int64(500 * time.Millisecond))), nil
	}
	var acknowledged atomic.Int64
	c := Config{
		Emit: store, MaxInFlight: 1 + rnd.IntN(8), CheckAtStart: rnd.IntN(2) == 0, ShutdownTimeout: time.Minute,
		OnCheck: func(*event.CheckCompleted) { acknowledged.Add(1) },
	}
	for i := range 1 + rnd.IntN(12) {
		c.Targets = append(c.Targets, every(fmt.Sprintf("t%d", i), time.Duration(100+rnd.IntN(5000))*time.Millisecond))
	}
	var running atomic.Int64
	p := newTestProber(t, c, func(ctx context.Context, target *Target) *event.CheckCompleted {
		if n := running.Add(1); n > int64(c.MaxInFlight) {
			t.Errorf("%d checks at once, the bound is %d", n, c.MaxInFlight)
		}
		defer running.Add(-1)
		if l.upTo(100) == 0 {
			panic("a bug")
		}
		return taking(time.Duration(l.upTo(int64(target.Timeout)+1)))(ctx, target)
	})
	var offset atomic.Int64
	p.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }

	started := p.now()
	stop := run(t, p)
	synctest.Wait()
	for range rnd.IntN(6) {
		wait(time.Duration(l.upTo(int64(20 * time.Second))))
		offset.Add(l.upTo(int64(20*time.Second)) - int64(10*time.Second))
	}
	wait(time.Duration(l.upTo(int64(20 * time.Second))))
	end := p.now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	checkEverySlotOnce(t, c.Targets, store.all(), func(target Target) time.Time {
		for i := range c.Targets {
			rest := NextSlot(target, started).Sub(started.Truncate(time.Millisecond))
			if c.Targets[i].ID == target.ID && c.CheckAtStart && i < c.MaxInFlight && rest >= min(target.Timeout, target.Interval/2).Truncate(time.Millisecond) {
				return SlotAt(target, started)
			}
		}
		return NextSlot(target, started)
	}, end)
	if got, want := acknowledged.Load(), int64(len(store.all())); got != want {
		t.Errorf("%d of %d events were acknowledged", got, want)
	}
}
