package schemas

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// TestDirectDecodingGivesWhatTheLibraryGives decodes random events of this build's own schema both ways. It also holds that
// this schema is decoded directly at all: a field of a type that direct does not know would make every event slow.
func TestDirectDecodingGivesWhatTheLibraryGives(t *testing.T) {
	s := CheckCompleted(TopicChecks)
	w, err := newWriter(s, s)
	if err != nil {
		t.Fatal(err)
	}
	if w.direct == nil {
		t.Fatal("this build's own schema is not decoded directly")
	}
	library, err := newWriter(s, s)
	if err != nil {
		t.Fatal(err)
	}
	library.direct = nil
	random := seed.Random(t)
	for range 2000 {
		body := encode(t, s, 1, randomEvent(random))[headerBytes:]
		var got, want event.CheckCompleted
		if err := decode(w, body, &got); err != nil {
			t.Fatal(err)
		}
		if err := decode(library, body, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestDirectDecodingSharesNothing holds that neither the bytes nor another event change an event after it was decoded.
func TestDirectDecodingSharesNothing(t *testing.T) {
	s := CheckCompleted(TopicChecks)
	d := decoderOf(t, s.Text)
	value := encode(t, s, 1, usualEvent())
	first := mustDecode(t, d, value)
	second := mustDecode(t, d, value)
	want := mustDecode(t, d, value)
	clear(value)
	*second.TotalUs, *second.ConnectUs = -1, -1
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
}

// TestOtherSchemasAreDecodedByTheLibrary holds for each schema that this build did not write.
func TestOtherSchemasAreDecodedByTheLibrary(t *testing.T) {
	s := CheckCompleted(TopicChecks)
	for name, c := range evolutions(t) {
		w, err := newWriter(s, parse(t, c.schema))
		if err == nil && w.direct != nil {
			t.Errorf("%v is decoded directly", name)
		}
	}
}
