package processor

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAStripStartsEveryTenMinutes(t *testing.T) {
	minute := time.Minute.Milliseconds()
	midnight := firstSlot.UnixMilli()
	for offset, want := range map[int64]int64{0: 0, 1: 0, 10*minute - 1: 0, 10 * minute: 10 * minute, 1440*minute - 1: 1430 * minute, -1: -10 * minute} {
		if got := stripStart(midnight+offset) - midnight; got != want {
			t.Errorf("%d ms after midnight: got %d, want %d", offset, got, want)
		}
	}
}

func FuzzAStripGivesBackWhatItTook(f *testing.F) {
	f.Add(int64(0), int32(-1), uint8(0))
	f.Add(stripMs-1, int32(math.MaxInt32), uint8(3))
	f.Add(int64(100), int32(0), uint8(2))
	f.Fuzz(func(t *testing.T, offset int64, totalUs int32, o uint8) {
		s := strip{startsMs: stripStart(firstSlot.UnixMilli()), version: "v"}
		want := observation{slotMs: s.startsMs + (offset%stripMs+stripMs)%stripMs, totalUs: max(totalUs, -1), outcome: outcome(o % 4), version: "v"}
		packed := s.pack(&want)
		if got := s.unpack(packed); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		next := want
		next.slotMs, next.totalUs, next.outcome = want.slotMs+1, -1, 0
		if s.pack(&next) <= packed {
			t.Errorf("the check after %+v is not behind it", want)
		}
	})
}

func TestObservationsOfStripsSideBySideComeInTheOrderOfSlots(t *testing.T) {
	a, b := strip{startsMs: 0, version: "a"}, strip{startsMs: 0, version: "b"}
	later := strip{startsMs: stripMs, version: "a"}
	var want []int64
	for slot := int64(0); slot < 100; slot += 10 {
		s := &a
		if slot%30 == 0 {
			s = &b
		}
		s.checks = append(s.checks, s.pack(&observation{slotMs: slot}))
		want = append(want, slot)
	}
	later.checks = append(later.checks, later.pack(&observation{slotMs: stripMs}))
	want = append(want, stripMs)
	var got []int64
	for _, o := range observations([]strip{a, b, later}) {
		got = append(got, o.slotMs)
		if isB := o.slotMs < stripMs && o.slotMs%30 == 0; isB != (o.version == "b") {
			t.Errorf("slot %d is of version %s", o.slotMs, o.version)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
