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
