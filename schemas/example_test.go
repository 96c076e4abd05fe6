package schemas_test

import (
	"fmt"
	"time"

	"webcheck/schemas"
)

func ExampleEventID() {
	slot := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	fmt.Println(schemas.EventID("example-home", "eu-west", slot))
	fmt.Println(schemas.EventID("example-home", "us-east", slot))
	// Output:
	// 019cece5-2687-7f9d-b81f-53b6b08ff82c
	// 019cece5-2687-74d6-aa69-1fd45d566ca5
}

func ExampleParseSchema() {
	_, err := schemas.ParseSchema("webcheck.checks-value", `{"type": "record", "name": "R", "fields": [
		{"name": "tags", "type": {"type": "array", "items": "string"}},
		{"name": "next", "type": ["null", "R"]}]}`)
	fmt.Println(err)
	// Output:
	// checking the schema for "webcheck.checks-value": field "tags": an array is not allowed; field "next[1]": record "R" is used inside a record
}

func ExampleCompatible() {
	older := `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`
	newer := `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]}`
	fmt.Println(schemas.Compatible(schemas.LevelBackward, newer, []string{older}))
	fmt.Println(schemas.Compatible(schemas.LevelForward, newer, []string{older}))
	// Output:
	// incompatible schema: field "b" has no default in the new schema, and what the schema 1 before wrote lacks it
	// <nil>
}

func ExampleReview() {
	older := schemas.Older{Name: "version 3", Text: `{"type": "record", "name": "R", "doc": "A check.", "fields": [
		{"name": "status", "type": "int", "doc": "HTTP status."}]}`}
	text := `{"type": "record", "name": "R", "doc": "A check.", "fields": [
		{"name": "status", "type": "int", "doc": "HTTP status."},
		{"name": "redirects", "type": "int"}]}`
	findings, err := schemas.Review(schemas.LevelBackward, "webcheck.checks-value", text, []schemas.Older{older})
	for _, f := range findings {
		fmt.Printf("line %d: %s\n  hint: %s\n", f.Line, f.Message, f.Hint)
	}
	fmt.Println(err)
	// Output:
	// line 3: field "redirects" has no default in the new schema, and what version 3 wrote lacks it
	//   hint: give it a default: "type": ["null", "int"], "default": null
	// line 3: field "redirects" has no doc
	//   hint: say in "doc" what it is, in which unit, and when it is null
	// <nil>
}

func ExampleDiff() {
	older := `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]}`
	newer := `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "long", "default": 0}, {"name": "c", "aliases": ["b"], "type": "int"}]}`
	changes, err := schemas.Diff(older, newer)
	for _, c := range changes {
		fmt.Println(c.Kind, c.Field, c.Was, c.What)
	}
	fmt.Println(err)
	// Output:
	// changed a  [type: int -> long default: none -> 0]
	// renamed c b [aliases: none -> [b]]
	// <nil>
}
