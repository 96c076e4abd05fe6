package processor

import "testing"

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
