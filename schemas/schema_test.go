package schemas

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
)

func TestSchemaAndEventAgreeFieldByField(t *testing.T) {
	for s, typ := range map[*Schema]reflect.Type{
		CheckCompleted(TopicChecks):          reflect.TypeFor[event.CheckCompleted](),
		TargetDefined(TopicTargets):          reflect.TypeFor[event.TargetDefined](),
		TargetTransitioned(TopicTransitions): reflect.TypeFor[event.TargetTransitioned](),
	} {
		var inSchema, inStruct []string
		for _, f := range s.record.Fields() {
			inSchema = append(inSchema, f.Name())
			if f.Doc() == "" {
				t.Errorf("field %q of %s has no doc", f.Name(), typ)
			}
		}
		for f := range typ.Fields() {
			inStruct = append(inStruct, f.Tag.Get("avro"))
		}
		if diff := cmp.Diff(inSchema, inStruct); diff != "" {
			t.Errorf("the .avsc of %s (-) and package event (+) differ; run make generate:\n%s", typ, diff)
		}
	}
}

func TestCheckCompletedIsTheFilesOwnText(t *testing.T) {
	s := CheckCompleted("other.topic")
	if s.Subject != "other.topic-value" || s.Text != checkCompletedText || !strings.Contains(s.Text, `"default": "missed"`) {
		t.Errorf("got subject %q and text %q", s.Subject, s.Text)
	}
}

// record returns a schema text with the fields, each in JSON.
func record(fields ...string) string {
	return `{"type":"record","name":"R","namespace":"n","fields":[` + strings.Join(fields, ",") + `]}`
}

// field returns a field called f with the type, in JSON.
func field(typ string) string { return `{"name":"f","type":` + typ + `}` }

// enum returns an enum with n symbols.
func enum(n int) string {
	symbols := make([]string, n)
	for i := range symbols {
		symbols[i] = fmt.Sprintf("%q", fmt.Sprintf("s%d", i))
	}
	return `{"type":"enum","name":"E","symbols":[` + strings.Join(symbols, ",") + `]}`
}

// manyFields returns n fields of type int.
func manyFields(n int) []string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = fmt.Sprintf(`{"name":"f%d","type":"int"}`, i)
	}
	return fields
}

func TestParseSchemaRefusesWhatIsOutsideTheProfile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"array", record(field(`{"type":"array","items":"int"}`)), `field "f": an array is not allowed`},
		{"map", record(field(`{"type":"map","values":"int"}`)), `field "f": a map is not allowed`},
		{"array of self", record(field(`{"type":"array","items":"R"}`)), `field "f": an array is not allowed`},
		{"recursion", record(field(`["null","R"]`)), `field "f[1]": record "n.R" is used inside a record`},
		{"recursion by alias", `{"type":"record","name":"R","aliases":["Q"],"fields":[{"name":"f","type":["null","Q"]}]}`, `field "f[1]": record "R" is used inside a record`},
		{"nested record", record(field(`{"type":"record","name":"S","fields":[{"name":"g","type":"int"}]}`)), `field "f": a record is not allowed`},
		{"wide union", record(field(`["null","int","string"]`)), `field "f": a union must be ["null", T]`},
		{"union with null last", record(field(`["int","null"]`)), `field "f": a union must be ["null", T]`},
		{"union of null", record(field(`["null"]`)), `field "f": a union must be ["null", T]`},
		{"empty union", record(field(`[]`)), `field "f": a union must be ["null", T]`},
		{"array in a union", record(field(`["null",{"type":"array","items":"int"}]`)), `field "f[1]": an array is not allowed`},
		{"null", record(field(`"null"`)), `field "f": null is not allowed`},
		{"huge fixed", record(field(`{"type":"fixed","name":"F","size":1000000000}`)), `not 1 to 64`},
		{"empty fixed", record(field(`{"type":"fixed","name":"F","size":0}`)), `not 1 to 64`},
		{"negative fixed", record(field(`{"type":"fixed","name":"F","size":-3}`)), `the text is not an Avro schema`},
		{"huge enum", record(field(enum(257))), `the enum has 257 symbols, more than 256`},
		{"too many fields", record(manyFields(257)...), `the record has 257 fields, more than 256`},
		{"no fields", record(), `the record has no fields`},
		{"too much text", record(field(`"int"`)) + strings.Repeat(" ", MaxSchemaBytes), `more than 65536`},
		{"decimal", record(field(`{"type":"bytes","logicalType":"decimal","precision":4}`)), `logical type "decimal" is not allowed`},
		{"local time", record(field(`{"type":"long","logicalType":"local-timestamp-micros"}`)), `is not allowed`},
		{"mistyped logical type", record(field(`{"type":"long","logicalType":"timestamp-micro"}`)), `logical type "timestamp-micro" is not known`},
		{"logical type of another width", record(field(`{"type":"int","logicalType":"timestamp-micros"}`)), `is not known for this type`},
		{"no record", `"int"`, `a record is expected at the top, not an int`},
		{"a top-level union", `["null","int"]`, `a record is expected at the top`},
		{"an error record", `{"type":"error","name":"R","fields":[{"name":"f","type":"int"}]}`, `a record is expected`},
		{"unknown type", record(field(`"nowhere"`)), `the text is not an Avro schema`},
		{"a type of an earlier schema", record(field(`"webcheck.Outcome"`)), `the text is not an Avro schema`},
		{"illegal default", record(`{"name":"f","type":["null","string"],"default":"null"}`), `the text is not an Avro schema`},
		{"enum default outside its symbols", record(field(`{"type":"enum","name":"E","symbols":["a"],"default":"b"}`)), `not an Avro schema`},
		{"field twice", record(field(`"int"`), field(`"int"`)), `the text is not an Avro schema`},
		{"empty text", "", `the text is not JSON`},
		{"a bare name", "int", `the text is not JSON`},
		{"two texts", record(field(`"int"`)) + "{}", `the text is not JSON`},
		{"deep nesting", strings.Repeat("[", 60_000), `the text is not JSON`},
		{"deep valid nesting", strings.Repeat(`{"type":"array","items":`, 2000) + `"int"` + strings.Repeat("}", 2000), `the text is nested more than 200 deep`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseSchema("s-value", c.text)
			if _, ok := errors.AsType[*ProfileError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if hintOf(err) == "" {
				t.Error("the error has no hint")
			}
		})
	}
}

func TestParseSchemaTellsAllFaults(t *testing.T) {
	_, err := ParseSchema("s-value", record(
		`{"name":"a","type":{"type":"array","items":"int"}}`, `{"name":"b","type":"int"}`,
		`{"name":"c","type":["string",{"type":"map","values":"int"}]}`))
	profile, ok := errors.AsType[*ProfileError](err)
	if !ok {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range profile.Faults {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"a", "c", "c[1]"}, paths); diff != "" {
		t.Error(diff)
	}
}

func TestParseSchemaAcceptsTheWholeProfile(t *testing.T) {
	for _, text := range []string{
		record(field(`"boolean"`)), record(field(`"int"`)), record(field(`"long"`)), record(field(`"float"`)), record(field(`"double"`)),
		record(field(`"bytes"`)), record(field(`"string"`)), record(field(enum(256))), record(field(`["null",` + enum(3) + `]`)),
		record(field(`{"type":"fixed","name":"F","size":64}`)), record(field(`{"type":"int","logicalType":"date"}`)),
		record(field(`["null",{"type":"long","logicalType":"timestamp-millis"}]`)), record(manyFields(256)...),
		record(field(enum(2)), `{"name":"g","type":["null","E"]}`), checkCompletedText,
	} {
		if _, err := ParseSchema("s-value", text); err != nil {
			t.Errorf("%.100s: %v", text, err)
		}
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(checkCompletedText)
	f.Add(record(field(`["null","R"]`)))
	f.Add(`{"type":"record","name":"R","aliases":["Q"],"fields":[{"name":"f","type":{"type":"enum","name":"E","aliases":["R"],"symbols":["a"]}},{"name":"g","type":"R"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ParseSchema("s-value", text)
		if err == nil && Compatible(LevelFullTransitive, text, []string{text}) != nil {
			t.Errorf("%q does not follow itself", text)
		}
	})
}
