package processor

import (
	"slices"
	"strings"
	"testing"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// TestAReplayFillsANewColumnWhateverTheOrderIfItMayBeNull is why a new field has to be null unless given. Of two rows of one slot that
// differ in the new column alone, the one with a value is kept, whichever came first: null is what an older processor left. A default
// that is a value would be as good as any other, and the smaller of both would stay.
func TestAReplayFillsANewColumnWhateverTheOrderIfItMayBeNull(t *testing.T) {
	pool := migrated(t)
	writeAll(t, pool, newEvents(1), func() int { return 1 })
	if _, err := pool.Exec(t.Context(), "ALTER TABLE checks ADD COLUMN extra integer, ADD COLUMN extra_of_default integer NOT NULL DEFAULT 0"); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, replayed, stored string
		want                   bool
	}{
		{"a value before null", `{"extra": 5}`, `{}`, true},
		{"null never before a value", `{}`, `{"extra": 5}`, false},
		{"nothing new", `{"extra": 5}`, `{"extra": 5}`, false},
		{"a default that is a value stays", `{"extra_of_default": 5}`, `{}`, false},
	}
	for _, c := range cases {
		var got bool
		err := pool.QueryRow(t.Context(), `SELECT check_precedes(jsonb_populate_record(NULL::checks, to_jsonb(c) || $1::text::jsonb),
	jsonb_populate_record(NULL::checks, to_jsonb(c) || $2::text::jsonb)) FROM checks AS c`, c.replayed, c.stored).Scan(&got)
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: the replayed row is kept: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestAFailureThatAnOlderProcessorDoesNotKnowIsUnknownUntilANewerOneHasReadIt lets a prober write symbols of a later build, of which
// one comes before "unknown" in the order of texts and one behind it. A build that knows them is stood for by rows that have them.
func TestAFailureThatAnOlderProcessorDoesNotKnowIsUnknownUntilANewerOneHasReadIt(t *testing.T) {
	p := newPipeline(t, 1)
	known := `"paused"]`
	text := strings.Replace(schemas.CheckCompleted(p.topic).Text, known, `"paused", "quota", "waf"]`, 1)
	later, err := schemas.ParseSchema(schemas.Subject(p.topic), text)
	if err != nil {
		t.Fatal(err)
	}
	id, err := p.schemas().Register(t.Context(), later)
	if err != nil {
		t.Fatal(err)
	}
	p.encoder = schemas.NewEncoder(later, id)
	events := newEvents(4)
	for i := range events {
		events[i].Outcome, events[i].Failure = event.OutcomeDown, new([]event.Failure{"quota", "waf", event.FailureDns, "waf"}[i])
	}
	writeAll(t, p.pool, events[3:], func() int { return 1 }) // read by the newer one first
	failures := func() []string { return query(t, p.pool, "SELECT failure FROM checks ORDER BY slot") }

	p.produce(1, events...)
	p.process(len(events))
	if got, want := failures(), []string{"unknown", "unknown", "dns", "waf"}; !slices.Equal(got, want) {
		t.Errorf("the older one stored %q, want %q", got, want)
	}
	writeAll(t, p.pool, events, func() int { return len(events) })
	if got, want := failures(), []string{"quota", "waf", "dns", "waf"}; !slices.Equal(got, want) {
		t.Errorf("after a replay by the newer one: %q, want %q", got, want)
	}
	if letters := query(t, p.pool, "SELECT cause FROM dead_letters"); len(letters) > 0 {
		t.Errorf("dead letters: %q", letters)
	}
}
