package schemas

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hamba/avro/v2"

	"webcheck/embedded/testservices/avropairs"
	"webcheck/embedded/testservices/seed"
)

// TestTheWalkAgreesWithTheLibrary holds that a person always gets the walk's reasons, and never the library's one sentence.
func TestTheWalkAgreesWithTheLibrary(t *testing.T) {
	random := seed.Random(t)
	for range seed.Runs(t, 1000) {
		older, newer := avropairs.Random(random)
		checkAgreement(t, newer, older)
		checkAgreement(t, older, newer)
	}
}

// checkAgreement fails unless library and walk both say that reader reads what writer wrote, or both that it does not. Where
// a field is found twice the library takes the first.
func checkAgreement(t *testing.T, reader, writer string) {
	t.Helper()
	r, err := newSide(reader)
	if err != nil {
		t.Fatalf("%v: %s", err, reader)
	}
	w, err := newSide(writer)
	if err != nil {
		t.Fatalf("%v: %s", err, writer)
	}
	verdict := avro.NewSchemaCompatibility().Compatible(r.schema, w.schema)
	found := walk(r, w)
	for _, m := range found {
		if m.sources > 1 {
			return
		}
	}
	if (verdict == nil) != (len(found) == 0) {
		t.Fatalf("the library says %v, the walk %+v\nreader %s\nwriter %s", verdict, found, reader, writer)
	}
}

func TestABreakSaysWhatWhereAndWhy(t *testing.T) {
	enum := func(name, symbols, more string) string {
		return `{"type":"enum","name":"` + name + `","symbols":[` + symbols + `]` + more + `}`
	}
	fixed := func(size int) string { return fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, size) }
	for _, c := range []struct {
		older, newer string
		level        Level
		want         []string // field, pointer: message; hint
	}{
		{record(field(`"int"`)), record(field(`"int"`), `{"name":"g","type":"int"}`), LevelBackward, []string{
			`g /fields/1: field "g" has no default in the new schema, and what the schema 1 before wrote lacks it; give it a default: "type": ["null", "int"], "default": null`}},
		{record(field(`"int"`), `{"name":"g","type":"int"}`), record(field(`"int"`)), LevelForward, []string{
			`g /fields/1: field "g" has no default in the schema 1 before, and what the new schema writes lacks it; keep the field, or first make a version that gives it a default`}},
		{record(field(`"int"`)), record(field(enum("E", `"a"`, `,"default":"a"`))), LevelBackward, []string{
			`f /fields/0/type: field "f" in the new schema is an enum, which does not take the int that the schema 1 before wrote; keep the type, and add a field of another name for what is new`}},
		{record(field(`"int"`)), record(field(`"long"`)), LevelForward, []string{
			`f /fields/0/type: field "f" in the schema 1 before is an int, which does not take the long that the new schema writes; keep the type, and add a field of another name for what is new`}},
		{record(field(enum("E", `"a","b"`, ``))), record(field(enum("E", `"a"`, ``))), LevelBackward, []string{
			`f /fields/0/type/symbols: the enum of field "f" in the new schema lacks "b", which the schema 1 before wrote, and has no default symbol; put "b" back, or give the enum a default symbol`}},
		{record(field(`["null",` + enum("E", `"a"`, ``) + `]`)), record(field(`["null",` + enum("E", `"a","b"`, ``) + `]`)), LevelForward, []string{
			`f /fields/0/type/1: the enum of field "f[1]" in the schema 1 before lacks "b", which the new schema writes, and has no default symbol; leave "b" out, or first make a version in which the enum has a default symbol`}},
		{record(field(`["null","int","string"]`)), record(field(`["null","int"]`)), LevelBackward, []string{
			`f /fields/0/type/2: the union of field "f" in the new schema has no branch for the string that the schema 1 before wrote; keep the type, and add a field of another name for what is new`}},
		{record(field(`["null","int"]`)), record(field(`["null","int","string"]`)), LevelForward, []string{
			`f /fields/0/type/2: the union of field "f" in the schema 1 before has no branch for the string that the new schema writes; keep the type, and add a field of another name for what is new`}},
		{record(field(`["int","string"]`)), record(field(`["int","boolean"]`)), LevelFull, []string{
			`f /fields/0/type/1: the union of field "f" in the new schema has no branch for the string that the schema 1 before wrote; put the string back into the union`,
			`f /fields/0/type/1: the union of field "f" in the schema 1 before has no branch for the boolean that the new schema writes; leave the boolean out, and add a field of another name for it`}},
		{record(field(`"int"`)), record(field(`"int"`), `{"name":"g","type":["null","int"]}`, `{"name":"h","type":`+enum("E", `"a"`, `,"default":"a"`)+`}`), LevelBackward, []string{
			`g /fields/1: field "g" has no default in the new schema, and what the schema 1 before wrote lacks it; give it "default": null`,
			`h /fields/2/type: field "h" has no default in the new schema, and what the schema 1 before wrote lacks it; give it a default: make its type ["null", T], and its default null`}},
		{record(field(fixed(4))), record(field(fixed(8))), LevelFull, []string{
			`f /fields/0/type/size: field "f" has 8 bytes in the new schema, not the 4 that the schema 1 before wrote; keep the type, and add a field of another name for what is new`,
			`f /fields/0/type/size: field "f" has 4 bytes in the schema 1 before, not the 8 that the new schema writes; keep the type, and add a field of another name for what is new`}},
		{record(field(enum("E", `"a"`, ``))), record(field(enum("G", `"a"`, ``))), LevelFull, []string{
			`f /fields/0/type/name: the enum of field "f" is named "n.G" in the new schema, and "n.E" in what the schema 1 before wrote; keep the name, or add "aliases": ["n.E"] to the enum`,
			`f /fields/0/type/name: the enum of field "f" is named "n.E" in the schema 1 before, and "n.G" in what the new schema writes; keep the name "n.E"`}},
		{strings.Replace(record(field(`"int"`)), `"R"`, `"S"`, 1), record(field(`"int"`)), LevelBackward, []string{
			` /name: the record is named "n.R" in the new schema, and "n.S" in what the schema 1 before wrote; keep the name, or add "aliases": ["n.S"] to the record`}},
		{record(field(`"int"`), `{"name":"g","type":"int"}`), record(`{"name":"f","type":"int","aliases":["g"]}`), LevelBackward, []string{
			`f /fields/0: field "f" in the new schema is found 2 times in what the schema 1 before wrote, by its name and its aliases; remove the alias, or one of the fields`}},
		{`"string"`, `"int"`, LevelBackward, []string{
			` /: the top type in the new schema is an int, which does not take the string that the schema 1 before wrote; keep the type, and add a field of another name for what is new`}},
	} {
		breaks, err := Breaks(c.level, c.newer, []string{c.older})
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, b := range breaks {
			got = append(got, fmt.Sprintf("%s %s: %s; %s", b.Field, b.Pointer, b.Message, b.Hint))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s\nafter %s\n%s", c.newer, c.older, diff)
		}
	}
}

// TestABreakPointsIntoTheNewText has the break of either side at the field of the new schema that it is about, or at the
// record that lacks it.
func TestABreakPointsIntoTheNewText(t *testing.T) {
	older := `{"type": "record", "name": "R", "fields": [
		{"name": "gone", "type": "int"},
		{"name": "at", "type": {"type": "record", "name": "S", "fields": [{"name": "x", "type": "int"}]}},
		{"name": "again", "type": "S"}]}`
	newer := `{"type": "record", "name": "R", "fields": [
		{"name": "new", "type": "int"},
		{"name": "where", "aliases": ["at"], "type":
			{"type": "record", "name": "S", "fields": [
				{"name": "x", "type": "string"}]}},
		{"name": "again", "type": "S"}]}`
	breaks, err := Breaks(LevelFull, newer, []string{older})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range breaks {
		got = append(got, fmt.Sprintf("%d:%d %s %s %s", b.Line, b.Column, b.Side, b.Kind, b.Field))
	}
	want := []string{
		"2:3 new reader READER_FIELD_MISSING_DEFAULT_VALUE new",
		"5:5 new reader TYPE_MISMATCH where.x",
		"6:3 new reader TYPE_MISMATCH again",
		"1:1 old reader READER_FIELD_MISSING_DEFAULT_VALUE gone",
		"1:1 old reader READER_FIELD_MISSING_DEFAULT_VALUE at",
		"5:5 old reader TYPE_MISMATCH again.x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBreaksNeedSchemasAndALevel(t *testing.T) {
	for _, c := range []struct {
		level        Level
		newer, older string
		want         string
	}{
		{"full", `"int"`, `"int"`, `parsing compatibility level "full"`},
		{LevelFull, `"nowhere"`, `"int"`, `unknown type: nowhere`},
		{LevelFull, `"int"`, `{`, `reading the schema 1 before: the text is not JSON`},
		{LevelFull, `["null",["int"]]`, `"int"`, `union type cannot be a union`},
	} {
		if _, err := Breaks(c.level, c.newer, []string{c.older}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestManyUsesOfOneBrokenTypeAreFewBreaks has a type at the bottom of a tower in which each storey uses the one below twice.
func TestManyUsesOfOneBrokenTypeAreFewBreaks(t *testing.T) {
	tower := func(bottom string) string {
		text := bottom
		for i := range 40 {
			below := fmt.Sprintf("S%d", i-1)
			if i == 0 {
				below = "int"
			}
			text = fmt.Sprintf(`{"type":"record","name":"S%d","fields":[{"name":"a","type":%s},{"name":"b","type":%q}]}`, i, text, below)
		}
		return text
	}
	breaks, err := Breaks(LevelBackward, tower(`"int"`), []string{tower(`"string"`)})
	if err != nil || len(breaks) != 40 {
		t.Errorf("got %d breaks, %v", len(breaks), err)
	}
}

func TestConfluentTellsBreaksInItsWords(t *testing.T) {
	for _, c := range []struct {
		b    Break
		want string
	}{
		{Break{Kind: ReaderFieldMissingDefault, Side: NewReader, Pointer: "/fields/1", Detail: "f2"},
			`{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'f2'}`},
		{Break{Kind: ReaderFieldMissingDefault, Side: OldReader, Pointer: "/fields/1", Detail: "f2"},
			`{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/1' in the old schema has no default value and is missing in the new schema', additionalInfo:'f2'}`},
		{Break{Kind: TypeMismatch, Side: NewReader, Pointer: "/fields/0/type", Detail: "reader type: INT not compatible with writer type: LONG"},
			`{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: LONG'}`},
		{Break{Kind: NameMismatch, Side: NewReader, Pointer: "/name", Detail: "expected: n.R"},
			`{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/name')', additionalInfo:'expected: n.R'}`},
		{Break{Kind: NameMismatch, Side: NewReader, Pointer: "/fields/0", Detail: "Reader record field f matches multiple fields in writer record schema"},
			`Unexpected exception during compatibility check: Reader record field f matches multiple fields in writer record schema`},
		{Break{Kind: MissingEnumSymbols, Side: OldReader, Pointer: "/fields/0/type/symbols", Detail: "[x, y]"},
			`{errorType:'MISSING_ENUM_SYMBOLS', description:'The old schema is missing enum symbols '[x, y]' at path '/fields/0/type/symbols' in the new schema', additionalInfo:'[x, y]'}`},
		{Break{Kind: FixedSizeMismatch, Side: NewReader, Pointer: "/fields/0/type/size", Detail: "expected: 4, found: 8"},
			`{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '/fields/0/type/size' in the new schema does not match with the old schema', additionalInfo:'expected: 4, found: 8'}`},
		{Break{Kind: MissingUnionBranch, Side: NewReader, Pointer: "/fields/0/type/2", Detail: "reader union lacking writer type: STRING"},
			`{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at path '/fields/0/type/2' in the old schema', additionalInfo:'reader union lacking writer type: STRING'}`},
	} {
		if diff := cmp.Diff(c.want, c.b.Confluent()); diff != "" {
			t.Error(diff)
		}
	}
}
