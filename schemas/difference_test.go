package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffTellsEachChange(t *testing.T) {
	a, b, c, d := fieldOf("a", `"int"`, ""), fieldOf("b", `"string"`, ""), fieldOf("c", `"long"`, ""), optional("d", `"boolean"`)
	enum := func(symbols, more string) string {
		return `{"type":"enum","name":"E","symbols":[` + symbols + `]` + more + `}`
	}
	for _, x := range []struct {
		name         string
		older, newer string
		want         []FieldChange
	}{
		{"nothing", documented(a, d), strings.ReplaceAll(documented(a, d), "\n", " "), nil},
		{"a field more", documented(a), documented(a, d), []FieldChange{
			{Kind: Added, Field: "d", What: []string{"type: null or boolean", "default: null", `doc: "d"`}, Line: 3}}},
		{"a field less", documented(a, d), documented(a), []FieldChange{
			{Kind: Removed, Field: "d", What: []string{"type: null or boolean", "default: null", `doc: "d"`}}}},
		{"another name", documented(a), documented(fieldOf("z", `"int"`, `,"aliases":["a"]`)), []FieldChange{
			{Kind: Renamed, Field: "z", Was: "a", What: []string{"aliases: none -> [a]"}, Line: 2}}},
		{"another name and type", documented(a), documented(fieldOf("z", `"long"`, `,"aliases":["a"]`)), []FieldChange{
			{Kind: Renamed, Field: "z", Was: "a", What: []string{"type: int -> long", "aliases: none -> [a]"}, Line: 2}}},
		{"another type", documented(a), documented(fieldOf("a", `["null",{"type":"long","logicalType":"timestamp-micros"}]`, "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"type: int -> null or long timestamp-micros"}, Line: 2}}},
		{"another logical type", documented(fieldOf("a", `{"type":"long","logicalType":"timestamp-millis"}`, "")), documented(fieldOf("a", `{"type":"long","logicalType":"timestamp-micros"}`, "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"type: long timestamp-millis -> long timestamp-micros"}, Line: 2}}},
		{"another scale", documented(fieldOf("a", `{"type":"bytes","logicalType":"decimal","precision":4}`, "")), documented(fieldOf("a", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}`, "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"type: bytes decimal(4,0) -> bytes decimal(4,1)"}, Line: 2}}},
		{"a default", documented(a), documented(fieldOf("a", `"int"`, `,"default": 0`)), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"default: none -> 0"}, Line: 2}}},
		{"a default of null", documented(fieldOf("a", `["null","int"]`, "")), documented(optional("a", `"int"`)), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"default: none -> null"}, Line: 2}}},
		{"a doc", documented(a), documented(strings.Replace(a, `"d"`, `"e \"f\""`, 1)), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{`doc: "d" -> "e \"f\""`}, Line: 2}}},
		{"the order it sorts in", documented(a), documented(fieldOf("a", `"int"`, `,"order":"ignore"`)), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"order: ascending -> ignore"}, Line: 2}}},
		{"symbols", documented(fieldOf("a", enum(`"x","y"`, ""), "")), documented(fieldOf("a", enum(`"z","x"`, `,"default":"x","doc":"e"`), "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"symbol added: z", "symbol removed: y", "default symbol: none -> x", `enum doc: "" -> "e"`}, Line: 2}}},
		{"symbols in another order", documented(fieldOf("a", enum(`"x","y"`, ""), "")), documented(fieldOf("a", enum(`"y","x"`, ""), "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"symbols: [x, y] -> [y, x]"}, Line: 2}}},
		{"one that moved", documented(a, b, c, d), documented(b, c, a, d), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"position: 1 -> 3"}, Line: 4}}},
		{"the record", documented(a), strings.Replace(documented(a), `"name":"R","namespace":"n","doc":"d"`, `"name":"S","aliases":["R"]`, 1), []FieldChange{
			{Kind: Changed, What: []string{"name: n.R -> S", `doc: "d" -> ""`, "aliases: none -> [R]"}, Line: 1}}},
		{"all at once, in the order of the newer", documented(a, b, c), documented(d, fieldOf("c", `"double"`, "")), []FieldChange{
			{Kind: Added, Field: "d", What: []string{"type: null or boolean", "default: null", `doc: "d"`}, Line: 2},
			{Kind: Changed, Field: "c", What: []string{"type: long -> double"}, Line: 3},
			{Kind: Removed, Field: "a", What: []string{"type: int", `doc: "d"`}},
			{Kind: Removed, Field: "b", What: []string{"type: string", `doc: "d"`}}}},
		{"a field of a record inside", documented(fieldOf("a", `["null",{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}]`, "")), documented(fieldOf("a", `["null", {"type":"record","name":"S","fields":[{"name":"x","type":"long"}]}]`, "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"type: changed inside"}, Line: 2}}},
		{"types of any kind", documented(a), documented(fieldOf("a", `[{"type":"array","items":{"type":"map","values":"n.R"}},{"type":"fixed","name":"F","size":12,"logicalType":"duration"}]`, "")), []FieldChange{
			{Kind: Changed, Field: "a", What: []string{"type: int -> array of (map of (record n.R)) or fixed n.F of 12 bytes duration"}, Line: 2}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, err := Diff(x.older, x.newer)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDiffNeedsTwoRecords(t *testing.T) {
	for _, c := range []struct{ older, newer, want string }{
		{`"int"`, documented(), "reading the older schema: a record is expected at the top, not an int"},
		{documented(), `{`, "reading the newer schema: the text is not JSON"},
	} {
		if _, err := Diff(c.older, c.newer); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
