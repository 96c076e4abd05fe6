package schemas

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// TestEventIDNeverChanges holds the function itself: an id that came out differently would count old checks twice. The
// ids were made by another implementation, in Python.
func TestEventIDNeverChanges(t *testing.T) {
	slot := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	for _, c := range []struct {
		target, location string
		slot             time.Time
		want             string
	}{
		{"example-home", "eu-west", slot, "019cece5-2687-7f9d-b81f-53b6b08ff82c"},
		{"example-home", "us-east", slot, "019cece5-2687-74d6-aa69-1fd45d566ca5"},
		{"", "", time.Unix(0, 0), "00000000-0000-783c-b2ea-c98c2fdac4a9"},
		{"zürich-€", "😀", time.UnixMilli(maxEventMillis), "ffffffff-ffff-755e-a904-bbe2c46e4dce"},
	} {
		if got := EventID(c.target, c.location, c.slot); got != c.want {
			t.Errorf("EventID(%q, %q, %s) = %s, want %s", c.target, c.location, c.slot, got, c.want)
		}
	}
}

// TestTransitionIDNeverChanges is the same for transitions: another id would tell the same news twice.
func TestTransitionIDNeverChanges(t *testing.T) {
	slot := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	for _, c := range []struct{ target, from, to, want string }{
		{"example-home", event.TargetStateUp, event.TargetStateDown, "019cece5-2687-78d0-be3d-daef2d5eda6c"},
		{"example-home", event.TargetStateDown, event.TargetStateUp, "019cece5-2687-7f01-a902-9885b2529b56"},
		{"zürich-€", event.TargetStateUnknown, event.TargetStateDegraded, "019cece5-2687-7c96-b342-ef50b6a3f13a"},
	} {
		if got := TransitionID(c.target, c.from, c.to, slot); got != c.want {
			t.Errorf("TransitionID(%q, %q, %q, %s) = %s, want %s", c.target, c.from, c.to, slot, got, c.want)
		}
	}
}

func TestEventIDIsAUUIDv7WithTheSlotsTime(t *testing.T) {
	rnd := seed.Random(t)
	for range 2000 {
		e := randomEvent(rnd)
		id := EventID(e.TargetID, e.Location, e.Slot)
		if !isUUID([]byte(id)) {
			t.Fatalf("%q is no canonical UUID", id)
		}
		if version, variant := id[14], id[19]; version != '7' || !strings.ContainsRune("89ab", rune(variant)) {
			t.Fatalf("%q has version %c and variant %c", id, version, variant)
		}
		raw := fromHex(t, strings.ReplaceAll(id, "-", ""))
		if got := time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, raw[:6]...)))); !got.Equal(e.Slot) {
			t.Fatalf("%q carries %s, want %s", id, got, e.Slot)
		}
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	out := make([]byte, len(text)/2)
	for i := range out {
		high := strings.IndexByte("0123456789abcdef", text[2*i])
		low := strings.IndexByte("0123456789abcdef", text[2*i+1])
		out[i] = byte(high<<4 | low)
	}
	return out
}

func TestEventIDDependsOnNothingElse(t *testing.T) {
	slot := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	want := EventID("a", "b", slot)
	zone := slot.In(time.FixedZone("X", 5*3600))
	if got := EventID("a", "b", zone); got != want {
		t.Errorf("in another zone the id is %s, want %s", got, want)
	}
	if got := EventID("a", "b", slot.Add(999*time.Microsecond)); got != want {
		t.Errorf("within the millisecond the id is %s, want %s", got, want)
	}
}

func TestEventIDKeepsTargetAndLocationApart(t *testing.T) {
	slot := time.Unix(1_800_000_000, 0)
	seen := map[string][2]string{}
	texts := []string{"", "a", "b", "ab", "abc", "bc", "c", "\x00", "\x00\x00", "\x00\x00\x00\x01a", "a\x00\x00\x00\x01b"}
	for _, target := range texts {
		for _, location := range texts {
			id := EventID(target, location, slot)
			if other, ok := seen[id]; ok {
				t.Errorf("%q at %q and %q at %q have the same id", target, location, other[0], other[1])
			}
			seen[id] = [2]string{target, location}
		}
	}
}

func TestEventIDsSortBySlot(t *testing.T) {
	rnd := seed.Random(t)
	var times []time.Time
	for range 500 {
		times = append(times, time.UnixMilli(rnd.Int64N(maxEventMillis)))
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := 1; i < len(times); i++ {
		a, b := EventID("x", "y", times[i-1]), EventID("z", "q", times[i])
		if times[i-1].Before(times[i]) && bytes.Compare([]byte(a), []byte(b)) >= 0 {
			t.Fatalf("%s of %s is not before %s of %s", a, times[i-1], b, times[i])
		}
	}
}

func TestCheckEventIDAcceptsTheEventOfItsSlotAlone(t *testing.T) {
	change := func(f func(*event.CheckCompleted)) *event.CheckCompleted {
		e := usualEvent()
		f(e)
		return e
	}
	renew := func(f func(*event.CheckCompleted)) *event.CheckCompleted {
		e := change(f)
		e.EventID = EventID(e.TargetID, e.Location, e.Slot)
		return e
	}
	for _, c := range []struct {
		name  string
		event *event.CheckCompleted
		want  string // part of the error, or "" for none
	}{
		{"as made", usualEvent(), ""},
		{"slot in another zone", change(func(e *event.CheckCompleted) { e.Slot = e.Slot.In(time.FixedZone("X", 3600)) }), ""},
		{"other target", change(func(e *event.CheckCompleted) { e.TargetID = "other" }), `make the id "`},
		{"other location", change(func(e *event.CheckCompleted) { e.Location = "other" }), `make the id "`},
		{"other slot", change(func(e *event.CheckCompleted) { e.Slot = e.Slot.Add(time.Second) }), `make the id "`},
		{"no id", change(func(e *event.CheckCompleted) { e.EventID = "" }), `make the id "`},
		{"upper case", change(func(e *event.CheckCompleted) { e.EventID = strings.ToUpper(e.EventID) }), `make the id "`},
		{"no target", renew(func(e *event.CheckCompleted) { e.TargetID = "" }), "the target id is empty"},
		{"no location", renew(func(e *event.CheckCompleted) { e.Location = "" }), "the location is empty"},
		{"slot with microseconds", renew(func(e *event.CheckCompleted) { e.Slot = e.Slot.Add(time.Microsecond) }), "whole milliseconds"},
		{"slot before 1970", renew(func(e *event.CheckCompleted) { e.Slot = time.UnixMilli(-1) }), "outside the years"},
		{"slot after 10889", renew(func(e *event.CheckCompleted) { e.Slot = time.UnixMilli(maxEventMillis + 1) }), "outside the years"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckEventID(c.event)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTopicsAreThoseOfTheConstants(t *testing.T) {
	want := []Topic{
		{Name: "webcheck.targets", Compacted: true, Subject: "webcheck.targets-value"},
		{Name: "webcheck.checks", Retention: 30 * 24 * time.Hour, Subject: "webcheck.checks-value"},
		{Name: "webcheck.transitions", Retention: 90 * 24 * time.Hour, Subject: "webcheck.transitions-value"},
		{Name: "webcheck.dead", Retention: 90 * 24 * time.Hour, MaxBytes: 2 << 20},
	}
	if diff := cmp.Diff(want, Topics()); diff != "" {
		t.Error(diff)
	}
}
