package processor

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// filled gives every field of e that is null a value of its type, whichever fields an event has.
func filled(e event.CheckCompleted, n int) event.CheckCompleted {
	at := e.Slot.Add(time.Duration(n) * time.Second)
	values := map[string]any{
		"boolean": n%2 == 0, "int": int32(n), "long": int64(n) << 33, "float": float32(n) / 3, "double": float64(n) / 3, "string": fmt.Sprintf("text %d", n),
		"bytes": []byte{0, byte(n), 0xff}, "uuid": e.EventID, "date": at.Truncate(24 * time.Hour), "timestamp-millis": at.Truncate(time.Millisecond),
		"timestamp-micros": at.Truncate(time.Microsecond), "enum": event.FailureDns,
	}
	fields := e.Pointers()
	for i, f := range schemas.CheckCompleted(schemas.TopicChecks).Fields() {
		if to := reflect.ValueOf(fields[i]).Elem(); f.Nullable && to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
			to.Elem().Set(reflect.ValueOf(values[f.Type]))
		}
	}
	return e
}

// TestEveryColumnComesBackAsItWasWritten writes rows with every field, with none that may be null, and both a second time, which
// merges them, and reads them as verify does.
func TestEveryColumnComesBackAsItWasWritten(t *testing.T) {
	pool := migrated(t)
	events := newEvents(20)
	for n := range events {
		if n%2 == 0 {
			events[n] = filled(events[n], n+1)
		}
	}
	want := make(map[string]db.CopyChecksParams)
	for _, e := range events {
		want[e.EventID] = row(e)
	}
	for range 2 {
		if _, letters := writeAll(t, pool, events, func() int { return 7 }); len(letters) > 0 {
			t.Fatalf("%d events are dead letters", len(letters))
		}
	}
	rows, err := db.New().PageChecks(t.Context(), pool, db.PageChecksParams{AfterID: "00000000-0000-0000-0000-000000000000", UpTo: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(events) {
		t.Fatalf("%d rows of %d events", len(rows), len(events))
	}
	seed, content := maphash.MakeSeed(), hasher{}
	for _, stored := range rows {
		got, wanted := db.CopyChecksParams(stored), want[stored.EventID]
		if diff := cmp.Diff(wanted, got, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Error(diff)
		}
		if content.sum(seed, &wanted) != content.sum(seed, &got) {
			t.Errorf("event %s: verify would find the row different", stored.EventID)
		}
	}
}
