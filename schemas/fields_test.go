package schemas

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestFieldsSayWhatColumnsHaveToFollow reads types of each kind back: logical before its base, and null apart.
func TestFieldsSayWhatColumnsHaveToFollow(t *testing.T) {
	s, err := ParseSchema("s", `{"type": "record", "name": "R", "namespace": "n", "fields": [
		{"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
		{"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null},
		{"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["a"]}},
		{"name": "other", "type": ["null", "K"], "default": null},
		{"name": "count", "type": "int", "aliases": ["number"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{
		{"id", "uuid", false, nil}, {"at", "timestamp-micros", true, nil}, {"kind", "enum", false, nil}, {"other", "enum", true, nil},
		{"count", "int", false, []string{"number"}},
	}
	if got := s.Fields(); !cmp.Equal(got, want, cmpopts.EquateEmpty()) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s.Name() != "n.R" {
		t.Errorf("got %q", s.Name())
	}
}
