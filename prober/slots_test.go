package prober

import (
	"fmt"
	"testing"
	"time"

	"webcheck/embedded/testservices/seed"
)

func TestSlotsFollowOneAnother(t *testing.T) {
	rnd := seed.Random(t)
	for range 2000 {
		interval := MinInterval + time.Duration(rnd.Int64N(int64((MaxInterval-MinInterval)/time.Millisecond)))*time.Millisecond
		target := every(fmt.Sprintf("t%d", rnd.Uint32()), interval)
		now := time.UnixMicro(2*MaxInterval.Microseconds() + rnd.Int64N(4e15))
		at, next := SlotAt(target, now), NextSlot(target, now)
		switch {
		case at.After(now) || !next.After(now):
			t.Fatalf("%v: slot %v, next %v", now, at, next)
		case next.Sub(at) != interval:
			t.Fatalf("slots %v apart, want %v", next.Sub(at), interval)
		case at.Location() != time.UTC || at.Nanosecond()%int(time.Millisecond) != 0:
			t.Fatalf("slot %v is not a whole millisecond in UTC", at)
		case !SlotAt(target, at).Equal(at) || !NextSlot(target, at).Equal(next) || !SlotAt(target, next.Add(-time.Nanosecond)).Equal(at):
			t.Fatalf("slot %v does not hold at its edges", at)
		case time.Duration(at.UnixMilli())*time.Millisecond%interval != Phase(target.ID, interval):
			t.Fatalf("slot %v is not at the phase", at)
		}
	}
}

func TestPhaseNeverChanges(t *testing.T) {
	for id, want := range map[string]time.Duration{"home": 28604 * time.Millisecond, "shop": 53725 * time.Millisecond} {
		if got := Phase(id, time.Minute); got != want {
			t.Errorf("%s: phase %v, want %v", id, got, want)
		}
	}
}

func TestPhasesSpreadEvenly(t *testing.T) {
	const targets, buckets = 60_000, 60
	var counts [buckets]int
	for i := range targets {
		counts[Phase(fmt.Sprintf("site-%d", i), time.Minute)/time.Second]++
	}
	for second, n := range counts {
		if n < 850 || n > 1150 { // 1000 expected; five standard deviations
			t.Errorf("second %d has %d targets", second, n)
		}
	}
}
