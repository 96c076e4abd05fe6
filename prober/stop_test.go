package prober

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"webcheck/gen/event"
)

func TestStopLetsRunningChecksFinishAndWritesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		store.answer = func(*event.CheckCompleted) (time.Duration, error) { return 2 * time.Second, nil }
		var acknowledged atomic.Int64
		target := every("one", time.Hour)
		c := Config{Emit: store, Targets: []Target{target}, CheckAtStart: true, OnCheck: func(*event.CheckCompleted) { acknowledged.Add(1) }}
		stop := run(t, newTestProber(t, c, taking(5*time.Second)))
		wait(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("stopping took %v, want the check's 4s and the store's 2s", took)
		}
		if got := reasons(store.all()); got["up"] != 1 || len(got) != 1 || acknowledged.Load() != 1 {
			t.Errorf("got %v, %d acknowledged", got, acknowledged.Load())
		}
	})
}

func TestStopCutsChecksThatTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		store.answer = func(*event.CheckCompleted) (time.Duration, error) { return 2 * time.Second, nil }
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Hour)}, CheckAtStart: true}, taking(time.Minute)))
		wait(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 9500*time.Millisecond {
			t.Errorf("stopping took %v, want three quarters of 10s and the store's 2s", took)
		}
		if got := reasons(store.all()); got["missed shutdown"] != 1 || len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

func TestStopAccountsForASlotThatIsDueAndNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		target := every("one", 10*time.Second)
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{target}}, taking(10*time.Second+500*time.Millisecond)))
		wait(time.Until(NextSlot(target, time.Now())) + 10*time.Second + 200*time.Millisecond) // the second slot waits for the first
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := reasons(store.all()); got["up"] != 1 || got["missed shutdown"] != 1 || len(got) != 2 {
			t.Errorf("got %v", got)
		}
	})
}

func TestStopSaysHowManyEventsAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		var never atomic.Bool
		store.answer = func(*event.CheckCompleted) (time.Duration, error) {
			if never.Load() {
				return -1, nil
			}
			return 0, nil
		}
		called := make(map[string]bool)
		c := Config{Emit: store, Logger: lines.logger(), Targets: []Target{every("one", time.Second)}, OnCheck: func(e *event.CheckCompleted) { called[e.EventID] = true }}
		stop := run(t, newTestProber(t, c, taking(time.Millisecond)))
		wait(10 * time.Second)
		never.Store(true)
		wait(10 * time.Second)
		began := time.Now()
		err := stop()
		if err == nil || !strings.Contains(err.Error(), "10 events were not written") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if hint, ok := errors.AsType[*UnwrittenError](err); !ok || hint.Count != 10 || hint.Hint() == "" {
			t.Errorf("got %#v", err)
		}
		if took := time.Since(began); took != DefaultShutdownTimeout {
			t.Errorf("stopping took %v, want %v", took, DefaultShutdownTimeout)
		}
		if len(called) != 10 {
			t.Errorf("%d events were said to be written, want 10", len(called))
		}
		lines.want(t, "events are not acknowledged; they are kept and sent again")
	})
}

func TestStoreThatGoesAwayAndComesBackIsSaidOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		began := time.Now()
		store.answer = func(*event.CheckCompleted) (time.Duration, error) {
			if since := time.Since(began); since > 10*time.Second && since < 40*time.Second {
				return 40*time.Second - since, nil
			}
			return 0, nil
		}
		stop := run(t, newTestProber(t, Config{Emit: store, Logger: lines.logger(), Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond)))
		wait(60 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		lines.want(t, "events are not acknowledged; they are kept and sent again")
		lines.want(t, "events are acknowledged again")
		if got := reasons(store.all()); got["up"] < 59 || len(got) != 1 {
			t.Errorf("a store that is away changed the events: %v", got)
		}
	})
}

func TestSlotsWhoseResultsAreGivenUpAreMissedOnceTheStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, lines := newRecorder(), newLines()
		began := time.Now()
		full := errors.New("buffer full")
		store.answer = func(*event.CheckCompleted) (time.Duration, error) {
			if since := time.Since(began); since > 10*time.Second && since < 20*time.Second {
				return 0, full
			}
			return 0, nil
		}
		var acknowledged atomic.Int64
		c := Config{Emit: store, Logger: lines.logger(), Targets: []Target{every("one", time.Second)}, OnCheck: func(*event.CheckCompleted) { acknowledged.Add(1) }}
		stop := run(t, newTestProber(t, c, taking(time.Millisecond)))
		wait(30 * time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		last := make(map[time.Time]*event.CheckCompleted)
		for _, e := range store.all() {
			last[e.Slot] = e
		}
		got := make(map[string]int)
		for _, e := range last {
			got[strings.TrimSpace(e.Outcome+" "+text(e.Failure))]++
		}
		if want := map[string]int{"up": 20, "missed own_fault": 10}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if n := acknowledged.Load(); n != 30 {
			t.Errorf("%d events were said to be written, want one a slot", n)
		}
		lines.want(t, "event not written; further ones are only counted until one is")
		lines.want(t, "events are written again; the slots whose results were lost follow as missed")
	})
}

func TestSlotsWhoseResultsAreLostAtTheStopAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRecorder()
		full := errors.New("buffer full")
		store.answer = func(*event.CheckCompleted) (time.Duration, error) { return 0, full }
		stop := run(t, newTestProber(t, Config{Emit: store, Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond)))
		wait(10 * time.Second)
		if err := stop(); !errors.Is(err, full) || !strings.Contains(err.Error(), "10 events were not written") {
			t.Errorf("got %v", err)
		}
	})
}

func TestProberRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestProber(t, Config{Emit: newRecorder(), Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
		if err := run(t, p)(); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Error("the second run began")
		}
	})
}

func TestNewReportsEveryFaultAtOnce(t *testing.T) {
	_, err := New(Config{Location: "EU West", MaxInFlight: -1, ShutdownTimeout: -1, Targets: []Target{NewTarget("home", "x"), NewTarget("home", "http://example.com")}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"location:", "name:", "emitter:", "max_in_flight:", "shutdown_timeout:", `target "home": url:`, `target "home": id: is taken`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in:\n%v", part, err)
		}
	}
	if _, err := New(Config{Location: "here", Name: "p", Emit: newRecorder()}); err == nil || !strings.Contains(err.Error(), "targets: there is none") {
		t.Errorf("without targets: %v", err)
	}
}
