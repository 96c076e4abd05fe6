package prober

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"webcheck/gen/event"
)

// run starts p and returns a function that ends it and returns what Run did.
func run(t testing.TB, p *Prober) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

// wait lets the time of a synctest bubble pass.
func wait(d time.Duration) { <-time.After(d) }

func TestSlotsAreCheckedOnTimeAndARestartKeepsTheRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := []Target{every("one", time.Second), every("two", 7*time.Second)}
		store := newRecorder()
		for range 3 {
			stop := run(t, newTestProber(t, Config{Emit: store, Targets: targets}, taking(10*time.Millisecond)))
			wait(20 * time.Second)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			wait(1234 * time.Millisecond)
		}
		for id, events := range slotsOf(store.all()) {
			for i, e := range events {
				if late := e.StartedAt.Sub(e.Slot); late < 0 || late > 2*time.Millisecond {
					t.Errorf("%s: slot %v started %v late", id, e.Slot, late)
				}
				if i > 0 && e.Slot.Sub(events[i-1].Slot)%map[string]time.Duration{"one": time.Second, "two": 7 * time.Second}[id] != 0 {
					t.Errorf("%s: slots %v and %v are out of rhythm", id, events[i-1].Slot, e.Slot)
				}
			}
		}
		if n := len(slotsOf(store.all())["one"]); n != 60 {
			t.Errorf("%d events in three times 20s, want 60", n)
		}
	})
}

func TestCheckAtStartRunsTheSlotThatItIsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := every("one", time.Hour)
		var ids []string
		for range 2 {
			store := newRecorder()
			stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{target}, CheckAtStart: true}, taking(time.Millisecond)))
			started := time.Now()
			wait(time.Second)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			events := store.all()
			if len(events) != 1 || !events[0].Slot.Equal(SlotAt(target, started)) || events[0].StartedAt.Sub(started) > time.Millisecond {
				t.Fatalf("%d events, the first %+v", len(events), events)
			}
			ids = append(ids, events[0].EventID)
		}
		if ids[0] != ids[1] {
			t.Errorf("a restart within the slot made another event: %v", ids)
		}
	})
}

func TestCheckAtStartWaitsForASlotThatIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := every("one", 2*time.Second)
		wait(time.Until(NextSlot(target, time.Now())) + 1500*time.Millisecond)
		store := newRecorder()
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{target}, CheckAtStart: true}, taking(800*time.Millisecond)))
		wait(2 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); len(got) != 1 || got["up"] != 1 {
			t.Errorf("got %v, want one check that is up and nothing missed", got)
		}
	})
}

func TestCheckAtStartIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []Target
		for i := range 100 {
			targets = append(targets, every(fmt.Sprintf("t%d", i), time.Hour))
		}
		store := newRecorder()
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: targets, CheckAtStart: true, MaxInFlight: 7}, taking(time.Second)))
		wait(2 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for _, e := range store.all() {
			if e.Outcome != event.OutcomeUp {
				t.Errorf("%s: %s, %s", e.TargetID, e.Outcome, text(e.FailureText))
			}
		}
		if n := len(store.all()); n < 7 || n > 9 {
			t.Errorf("%d checks at the start, want 7 and what was due anyway", n)
		}
	})
}

// reasons counts the failures of events.
func reasons(events []*event.CheckCompleted) map[string]int {
	counts := make(map[string]int)
	for _, e := range events {
		counts[strings.TrimSpace(e.Outcome+" "+text(e.Failure))]++
	}
	return counts
}

func TestTargetThatHangsForItsWholeIntervalIsCheckedInEachSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		target := every("one", time.Second)
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{target}}, taking(time.Second+2*time.Millisecond)))
		wait(20 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["up"] < 19 || got["missed overload"] > 0 {
			t.Errorf("got %v, want 20 checks", got)
		}
	})
}

func TestSlotWhoseEarlierCheckStillRunsIsMissedWithOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Second)}}, taking(1500*time.Millisecond)))
		wait(20 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["up"] != 10 || got["missed overload"] != 10 {
			t.Errorf("got %v, want ten each", got)
		}
	})
}

func TestSlotBeyondTheBoundIsMissedWithOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		targets := []Target{every("a", time.Second), every("b", time.Second), every("c", time.Second)}
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: targets, MaxInFlight: 1}, taking(999*time.Millisecond)))
		wait(10 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["up"] != 10 || got["missed overload"]+got["missed shutdown"] != 20 || got["missed overload"] < 18 {
			t.Errorf("got %v, want 10 checks and 20 missed", got)
		}
	})
}

func TestCheckThatEndedIsNotHeldAgainstASlotThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		p := newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Second)}, MaxInFlight: 1}, taking(0))
		p.takeFixed()
		w := p.schedule[0]
		wait(time.Until(moment(w.slot)))
		host := p.host(w)
		w.running, p.checks.running, host.running = true, 1, 1
		p.finish(&inHand{definedSlot: w.definition(w.slot - w.interval), host: host}) // while the scheduler was busy
		p.release(t.Context(), t.Context())
		p.awaitChecks()
		close(p.ended)
		p.workers.Wait()
		if got := reasons(store.all()); got["up"] != 1 {
			t.Errorf("got %v, want a check", got)
		}
	})
}

func TestClockThatStepsForwardLeavesMissedSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		p := newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
		var offset atomic.Int64
		p.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		stop := run(t, p)
		wait(10 * time.Second)
		offset.Store(int64(5 * time.Minute))
		wait(10 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["missed not_running"] < 299 || got["missed not_running"] > 300 || got["up"] < 19 {
			t.Errorf("got %v, want 20 checks and five minutes of missed slots", got)
		}
	})
}

func TestLongSleepLeavesABoundedNumberOfMissedSlotsAndALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		p := newTestProber(t, Config{Emit: store, Logger: lines.logger(), CatchUp: 10 * time.Minute, Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
		var offset atomic.Int64
		p.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		stop := run(t, p)
		wait(10 * time.Second)
		offset.Store(int64(10 * 24 * time.Hour))
		wait(10 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["missed not_running"] < 599 || got["missed not_running"] > 600 || got["up"] < 19 {
			t.Errorf("got %v, want ten minutes of missed slots", got)
		}
		lines.want(t, "the prober did not run for long; the oldest slots have no event")
	})
}

func TestClockThatStepsBackIsSaidOnceAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		p := newTestProber(t, Config{Emit: store, Logger: lines.logger(), Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
		var offset atomic.Int64
		p.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		stop := run(t, p)
		wait(10 * time.Second)
		offset.Store(-int64(5 * time.Second))
		wait(10 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["up"] < 14 || got["up"] > 16 || len(got) != 1 {
			t.Errorf("got %v, want 15 checks in 15 seconds of wall clock", got)
		}
		lines.want(t, "the clock stepped back; slots that were run are not run again")
	})
}

func TestClockThatWasADayAheadDoesNotSilenceTheProber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		p := newTestProber(t, Config{Emit: store, Logger: lines.logger(), CatchUp: time.Minute, Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
		var offset atomic.Int64
		p.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		stop := run(t, p)
		wait(10 * time.Second)
		offset.Store(int64(24 * time.Hour))
		wait(3 * time.Second)
		offset.Store(0)
		back := time.Now()
		wait(10 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, e := range store.all() {
			if e.Outcome == event.OutcomeUp && e.StartedAt.After(back) && e.Slot.Before(back.Add(time.Minute)) {
				checked++
			}
		}
		if checked < 8 {
			t.Errorf("%d checks in the ten seconds after the clock was right again", checked)
		}
		lines.want(t, "the clock stepped far back; the slots from now on are run, whatever was written of them")
	})
}

func TestPanicInACheckIsAnOwnFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Second)}}, func(context.Context, *Target) *event.CheckCompleted {
			panic(errors.New("index out of range"))
		}))
		wait(3 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["missed own_fault"] != 3 || len(got) != 1 {
			t.Errorf("got %v, want three own faults", got)
		}
	})
}

func TestIdleTargetsCostNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []Target
		for i := range 5000 {
			targets = append(targets, every(fmt.Sprintf("t%d", i), 24*time.Hour))
		}
		before := runtime.NumGoroutine()
		stop := run(t, newTestProber(t, Config{Emit: newRecorder(), Targets: targets}, taking(time.Millisecond)))
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 3 {
			t.Errorf("%d goroutines for 5000 idle targets", n)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func newLines() *lines { return new(lines) }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// want fails the test unless message was logged exactly once.
func (l *lines) want(t *testing.T, message string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := strings.Count(l.text.String(), message); n != 1 {
		t.Errorf("%q was logged %d times in:\n%s", message, n, l.text.String())
	}
}
