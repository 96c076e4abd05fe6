package schemas

import (
	"slices"
	"testing"
)

// TestFieldsSayWhatColumnsHaveToFollow reads types of each kind back: logical before its base, and null apart.
func TestFieldsSayWhatColumnsHaveToFollow(t *testing.T) {
	s, err := ParseSchema("s", `{"type": "record", "name": "R", "namespace": "n", "fields": [
		{"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
		{"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null},
		{"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["a"]}},
		{"name": "other", "type": ["null", "K"], "default": null},
		{"name": "count", "type": "int"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{{"id", "uuid", false}, {"at", "timestamp-micros", true}, {"kind", "enum", false}, {"other", "enum", true}, {"count", "int", false}}
	if got := s.Fields(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s.Name() != "n.R" {
		t.Errorf("got %q", s.Name())
	}
}
