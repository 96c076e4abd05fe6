package cli

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// TestBenchProbeMeasuresAndLeavesNothing runs stages of each kind twice on few targets. It holds what was counted, and no time.
func TestBenchProbeMeasuresAndLeavesNothing(t *testing.T) {
	s := newBenchServices(t)
	code, out, notices := s.run(t.Context(), nil, "probe", "--divide", "100", "--seconds", "1", "--runs", "2", "--json", "--stages", "probe,probe-800,hanging")
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, notices)
	}
	var result probeResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, stage := range result.Stages {
		names = append(names, stage.Name)
		for _, m := range stage.Runs {
			if m.Checks+m.Missed < 1 || m.Gaps != 0 || m.CPU <= 0 || m.SiteCPU <= 0 || m.ResidentBytes < 1<<20 || m.PeakBytes < m.ResidentBytes {
				t.Errorf("%s: got %+v", stage.Name, m)
			}
		}
		if len(stage.Runs) != 2 {
			t.Errorf("%s: got %d runs, want 2", stage.Name, len(stage.Runs))
		}
	}
	if want := []string{"bare", "probe", "bare-spread", "probe-800", "steady", "hanging"}; !slices.Equal(names, want) {
		t.Errorf("got stages %v, want %v", names, want)
	}
	s.holdNothing(t)
}

// TestBenchProbeThatIsInterruptedLeavesNothing interrupts it in a prober's stage.
func TestBenchProbeThatIsInterruptedLeavesNothing(t *testing.T) {
	s := newBenchServices(t)
	ctx, interrupt := context.WithCancel(t.Context())
	code, out, notices := s.run(ctx, func(notice string) {
		if strings.Contains(notice, "run 1 of 1: probe\n") {
			interrupt()
		}
	}, "probe", "--divide", "100", "--seconds", "1", "--stages", "probe")
	if code != exitFailed || !strings.Contains(notices, "webcheck: interrupted\n") {
		t.Errorf("exit code %d: %s", code, notices)
	}
	if !strings.Contains(out, "\nbare ") {
		t.Errorf("what was measured before is not printed: %q", out)
	}
	s.holdNothing(t)
}

// TestLatenessSharesAreWithinAThirtySecond holds them against sorted numbers.
func TestLatenessSharesAreWithinAThirtySecond(t *testing.T) {
	random := seed.Random(t)
	for range seed.Runs(t, 50) {
		var l latenesses
		exact := randomLatenesses(random)
		for _, us := range exact {
			l.add(us)
		}
		slices.Sort(exact)
		for _, part := range []float64{0.5, 0.99, 1} {
			want := float64(exact[max(int(part*float64(len(exact)))-1, 0)]) / 1e3
			if got := l.share(part); got < want || got > want*(1+1.0/32) {
				t.Errorf("%v of %d numbers: got %v ms, want %v", part, len(exact), got, want)
			}
		}
	}
}

// randomLatenesses are of very different sizes, up to an hour.
func randomLatenesses(random *rand.Rand) []int64 {
	exact := make([]int64, 1+random.IntN(1000))
	for i := range exact {
		exact[i] = random.Int64N(1 + random.Int64N(time.Hour.Microseconds())>>random.IntN(32))
	}
	return exact
}

// TestWitnessCountsOnlyTheSlotsOfItsTime holds which events count, and as what.
func TestWitnessCountsOnlyTheSlotsOfItsTime(t *testing.T) {
	from := time.UnixMilli(1_000_000)
	var w witness
	see := func(id string, after time.Duration, outcome event.Outcome) {
		slot := from.Add(after)
		w.see(&event.CheckCompleted{TargetID: id, Slot: slot, StartedAt: slot.Add(2 * time.Millisecond), Outcome: outcome})
	}
	see("bench-1", 0, event.OutcomeUp) // nothing is measured yet
	w.from.Store(from.UnixMilli())
	see("bench-1", -time.Millisecond, event.OutcomeUp)
	see("bench-1", 0, event.OutcomeUp)
	see("bench-1", time.Second, event.OutcomeDown)
	see("bench-1", 2*time.Second, event.OutcomeMissed)
	see("hangs-0", time.Second, event.OutcomeDown)
	w.until.Store(from.Add(3 * time.Second).UnixMilli())
	see("bench-1", 3*time.Second, event.OutcomeUp)
	got := [4]int64{w.handed.Load(), w.checked.Load(), w.missed.Load(), w.down.Load()}
	if want := [4]int64{6, 3, 1, 1}; got != want {
		t.Errorf("got %v handed, checked, missed, down; want %v", got, want)
	}
	if got := w.late.share(1); got != 2 {
		t.Errorf("got %v ms late, want 2", got)
	}
}
