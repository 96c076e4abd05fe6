package prober

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"webcheck/embedded/testservices/seed"
)

// What the group keeps never says that more is accounted for than is, whatever had to be left out.
func TestAccountedTextKeepsWhatFitsAndNeverClaimsMore(t *testing.T) {
	random := seed.Random(t)
	for range 300 {
		now := time.Now().UnixMilli() - random.Int64N(1000)
		a := accounted{until: now}
		for i := range random.IntN(400) {
			a.leave(fmt.Sprintf("target-%d-%s", i, strings.Repeat("x", random.IntN(50))), now-random.Int64N(100_000))
		}
		text := a.String()
		if len(text) > maxAccountedBytes {
			t.Fatalf("%d bytes", len(text))
		}
		back, err := parseAccounted(text)
		if err != nil {
			t.Fatal(err)
		}
		for id := range a.behind {
			want, _ := a.of(id)
			if got, known := back.of(id); !known || got > want {
				t.Fatalf("%s is accounted for until %d, the text says %d", id, want, got)
			}
		}
		if got, _ := back.of("another"); got > a.until {
			t.Fatalf("a target that is not behind is accounted for until %d, the text says %d", a.until, got)
		}
		if len(text) < maxAccountedBytes-200 && back.until != a.until {
			t.Fatalf("all fits, and until is %d instead of %d", back.until, a.until)
		}
	}
}

func TestAccountedTextThatIsNotOursSaysNothing(t *testing.T) {
	for _, text := range []string{"x", "webcheck-accounted-1", "webcheck-accounted-1 yesterday", "webcheck-accounted-1 1960-01-01T00:00:00Z",
		"webcheck-accounted-1 2026-01-01T00:00:00Z a", "webcheck-accounted-1 2026-01-01T00:00:00Z a@b", "webcheck-accounted-1 2026-01-01T00:00:00Z @5"} {
		if a, err := parseAccounted(text); err == nil || a.until != 0 {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
	}
	if a, err := parseAccounted(""); err != nil || a.until != 0 {
		t.Errorf("no text: %+v, %v", a, err)
	}
}

func TestSpansHoldEachSlotOnce(t *testing.T) {
	random := seed.Random(t)
	for range 200 {
		var all spans
		want := make(map[int64]bool)
		for range 1 + random.IntN(30) {
			from := random.Int64N(100)
			s := span{from, from + 1 + random.Int64N(10)}
			all = all.add(s)
			for slot := s.from; slot < s.to; slot++ {
				want[slot] = true
			}
		}
		got := 0
		for i, s := range all {
			if i > 0 && all[i-1].to >= s.from {
				t.Fatalf("%v touch", all)
			}
			for slot := s.from; slot < s.to; slot++ {
				if got++; !want[slot] {
					t.Fatalf("%v has %d", all, slot)
				}
			}
		}
		if got != len(want) {
			t.Fatalf("%v has %d slots, want %d", all, got, len(want))
		}
	}
}
