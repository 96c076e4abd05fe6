package schemas

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	rnd := seed.Random(t)
	s := CheckCompleted(TopicChecks)
	d := decoderOf(t, s.Text)
	e := NewEncoder(s, 1)
	for range 3000 {
		want := randomEvent(rnd)
		prefix := []byte("kept")
		value, err := e.AppendEncode(prefix, want)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(value[:len(prefix)]); got != "kept" {
			t.Fatalf("what was in dst became %q", got)
		}
		if diff := cmp.Diff(*want, mustDecode(t, d, value[len(prefix):])); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestDecodedTimesAreInUTC(t *testing.T) {
	d := decoderOf(t, checkCompletedText)
	e := usualEvent()
	zone := time.FixedZone("X", -7*3600)
	e.Slot, e.StartedAt, *e.CertificateExpiresAt = e.Slot.In(zone), e.StartedAt.In(zone), e.CertificateExpiresAt.In(zone)
	got := mustDecode(t, d, encode(t, CheckCompleted(TopicChecks), 1, e))
	for _, at := range []time.Time{got.Slot, got.StartedAt, *got.CertificateExpiresAt} {
		if at.Location() != time.UTC {
			t.Errorf("%s is not in UTC", at)
		}
	}
	if !got.Slot.Equal(e.Slot) {
		t.Errorf("slot %s became %s", e.Slot, got.Slot)
	}
}

// TestDecodeLeavesWhatOthersHoldAlone decodes twice into one event and looks at a copy of the first.
func TestDecodeLeavesWhatOthersHoldAlone(t *testing.T) {
	s := CheckCompleted(TopicChecks)
	d := decoderOf(t, s.Text)
	var into event.CheckCompleted
	for range 2 {
		if err := d.Decode(context.Background(), encode(t, s, 1, usualEvent()), &into); err != nil {
			t.Fatal(err)
		}
		kept := into
		other := usualEvent()
		*other.StatusCode, other.RegexMatched, *other.RemoteAddress = 503, nil, "other"
		value := encode(t, s, 1, other)
		if err := d.Decode(context.Background(), value, &into); err != nil {
			t.Fatal(err)
		}
		clear(value)
		if diff := cmp.Diff(*usualEvent(), kept); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(*other, into); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDecodeRefusesEveryCutAndEveryPadding(t *testing.T) {
	rnd := seed.Random(t)
	s := CheckCompleted(TopicChecks)
	d := decoderOf(t, s.Text)
	e := NewEncoder(s, 1)
	refused := 0
	for range 60 {
		value, err := e.AppendEncode(nil, randomEvent(rnd))
		if err != nil {
			t.Fatal(err)
		}
		var bad [][]byte
		for n := range value {
			bad = append(bad, value[:n:n])
		}
		for _, padding := range []string{"\x00", "\x01", "\x02", "\xff", "\x00\x00\x00\x00\x00\x00\x00\x00", string(value), string(value[headerBytes:])} {
			bad = append(bad, append(value[:len(value):len(value)], padding...))
		}
		for _, v := range bad {
			var into event.CheckCompleted
			if err := d.Decode(context.Background(), v, &into); !errors.Is(err, ErrUndecodable) {
				t.Fatalf("%d of %d bytes, %x: %v", len(v), len(value), v, err)
			}
			refused++
		}
	}
	t.Logf("%d values refused", refused)
}

func TestDecodeRefusesWhatIsNoWireFormat(t *testing.T) {
	value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
	with := func(at int, b byte) []byte {
		v := append([]byte{}, value...)
		v[at] = b
		return v
	}
	d := decoderOf(t, checkCompletedText)
	for _, c := range []struct {
		name  string
		value []byte
		want  string
	}{
		{"tombstone", nil, "no value"},
		{"empty", []byte{}, "no value"},
		{"other magic byte", with(0, 1), "not with the magic byte 0"},
		{"JSON", []byte(`{"event_id":"x"}`), "begins with byte 0x7b"},
		{"only part of the id", value[:4], "too few for a schema id"},
		{"id 0", with(4, 0), "schema id 0 is outside"},
		{"negative id", with(1, 0x80), "schema id 2147483649 is outside"},
		{"unknown id", with(4, 9), `unknown schema id 9 under "webcheck.checks-value"`},
		{"too large", append(value, make([]byte, MaxBytes)...), "more than 1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := d.Decode(context.Background(), c.value, new(event.CheckCompleted))
			if !errors.Is(err, ErrUndecodable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEncoderRefusesWhatCannotBePutIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*event.CheckCompleted)
		want   string
	}{
		{"invalid UTF-8", func(e *event.CheckCompleted) { e.TargetID = "a\xff" }, `field "target_id" at byte`},
		{"invalid UTF-8 in an optional text", func(e *event.CheckCompleted) { e.FailureText = new("\xc3") }, "not UTF-8"},
		{"a surrogate", func(e *event.CheckCompleted) { e.Prober = "\xed\xa0\x80" }, "not UTF-8"},
		{"no id", func(e *event.CheckCompleted) { e.EventID = "" }, "not a UUID"},
		{"id in upper case", func(e *event.CheckCompleted) { e.EventID = strings.ToUpper(e.EventID) }, "not a UUID"},
		{"id without dashes", func(e *event.CheckCompleted) { e.EventID = strings.Repeat("0", 36) }, "not a UUID"},
		{"no outcome", func(e *event.CheckCompleted) { e.Outcome = "" }, "unknown enum symbol"},
		{"unknown outcome", func(e *event.CheckCompleted) { e.Outcome = "sideways" }, "unknown enum symbol: sideways"},
		{"unknown failure", func(e *event.CheckCompleted) { e.Failure = new("gremlins") }, "unknown enum symbol: gremlins"},
		{"zero slot", func(e *event.CheckCompleted) { e.Slot = time.Time{} }, `field "slot": time`},
		{"zero start", func(e *event.CheckCompleted) { e.StartedAt = time.Time{} }, `field "started_at": time`},
		{"a time that overflows", func(e *event.CheckCompleted) { e.StartedAt = time.Unix(1<<60, 0) }, "outside the years"},
		{"the year 10000", func(e *event.CheckCompleted) { e.CertificateExpiresAt = new(time.Unix(maxUnix+1, 0)) }, `field "certificate_expires_at"`},
		{"the year 0", func(e *event.CheckCompleted) { e.StartedAt = time.Unix(minUnix-1, 0) }, "outside the years"},
		{"long failure text", func(e *event.CheckCompleted) { e.FailureText = new(strings.Repeat("x", 1025)) }, "1025 bytes, more than 1024"},
		{"long assertion value", func(e *event.CheckCompleted) { e.AssertionValue = new(strings.Repeat("x", 257)) }, "257 bytes, more than 256"},
		{"too large", func(e *event.CheckCompleted) { e.Prober = strings.Repeat("x", MaxBytes) }, "more than 1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := usualEvent()
			c.change(e)
			dst, err := NewEncoder(CheckCompleted(TopicChecks), 1).AppendEncode([]byte("kept"), e)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if string(dst) != "kept" {
				t.Errorf("dst became %q", dst)
			}
		})
	}
}

// TestEncoderLooksAtEveryTime sets each time that an event has, or will have, to one whose microseconds overflow into the
// range that is allowed.
func TestEncoderLooksAtEveryTime(t *testing.T) {
	looksAtEveryTime(t, CheckCompleted(TopicChecks), usualEvent)
	looksAtEveryTime(t, TargetDefined(TopicTargets), usualDefinition)
	looksAtEveryTime(t, TargetTransitioned(TopicTransitions), usualTransition)
}

func looksAtEveryTime[E Event](t *testing.T, s *Schema, make func() *E) {
	t.Helper()
	overflowing := time.Unix(1<<62/1_000_000*4+1_800_000_000, 0)
	typ := reflect.TypeFor[E]()
	for i := range typ.NumField() {
		e := make()
		switch p := reflect.ValueOf(e).Elem().Field(i).Addr().Interface().(type) {
		case *time.Time:
			*p = overflowing
		case **time.Time:
			*p = &overflowing
		default:
			continue
		}
		if _, err := NewEncoderOf[E](s, 1).AppendEncode(nil, e); err == nil {
			t.Errorf("%s of the year %d was taken", typ.Field(i).Name, overflowing.Year())
		}
	}
}

func TestEncoderAcceptsTheBounds(t *testing.T) {
	d := decoderOf(t, checkCompletedText)
	for name, change := range map[string]func(*event.CheckCompleted){
		"NUL": func(e *event.CheckCompleted) { e.TargetID = "a\x00b" },
		"longest texts": func(e *event.CheckCompleted) {
			e.FailureText, e.AssertionValue = new(strings.Repeat("x", 1024)), new(strings.Repeat("y", 256))
		},
		"the last second":       func(e *event.CheckCompleted) { e.CertificateExpiresAt = new(time.Unix(maxUnix, 999_999_000).UTC()) },
		"the first microsecond": func(e *event.CheckCompleted) { e.StartedAt = time.Unix(minUnix, 1000).UTC() },
		"the largest numbers":   func(e *event.CheckCompleted) { e.Attempts, e.BodyBytes = 1<<31-1, new(int32(-1<<31)) },
		"empty texts":           func(e *event.CheckCompleted) { e.Prober, e.Assertion = "", new("") },
	} {
		t.Run(name, func(t *testing.T) {
			want := usualEvent()
			change(want)
			if diff := cmp.Diff(*want, mustDecode(t, d, encode(t, CheckCompleted(TopicChecks), 1, want))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEncoderRefusesAnIDThatDoesNotFit(t *testing.T) {
	for _, id := range []int{0, -1, 1 << 31} {
		if _, err := NewEncoder(CheckCompleted(TopicChecks), id).AppendEncode(nil, usualEvent()); err == nil {
			t.Errorf("id %d was taken", id)
		}
	}
}
