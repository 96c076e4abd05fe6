package schemas

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/hamba/avro/v2"
)

//go:embed events/CheckCompleted.avsc
var checkCompletedText string

// Schema is one version of what a topic's values look like, within the profile of [ParseSchema]. It does not change and
// may be shared. The zero Schema is of no use: make one with [ParseSchema] or [CheckCompleted].
type Schema struct {
	// Subject that it is, or is to be, registered under.
	Subject string
	// Text is the schema as it was written: with its docs, aliases and defaults, which an Avro library's canonical form
	// drops. This is what is registered.
	Text string

	record *avro.RecordSchema
}

// CheckCompleted returns this build's schema of the event CheckCompleted, under the subject of topic. The topic is
// [TopicChecks], except for those who have a topic of their own on a shared broker.
func CheckCompleted(topic string) *Schema {
	return mustParseSchema(Subject(topic), checkCompletedText)
}

// mustParseSchema is for text that is part of the program and that a test has parsed.
func mustParseSchema(subject, text string) *Schema {
	s, err := ParseSchema(subject, text)
	if err != nil {
		panic(err)
	}
	return s
}

// ParseSchema reads the text of an Avro schema and holds it against the profile of webcheck's events. The text stands
// alone: it sees no name that another schema defined. Every error is a [*ProfileError] with all the faults found; text
// that is no Avro schema at all has one.
//
// The profile: one record at the top with at most [MaxFields] fields, each of a primitive type, an enum of at most
// [MaxSymbols] symbols, a fixed of at most [MaxFixedBytes], or a union of null, first, and one of these. Logical types
// are uuid, date, timestamp-millis and timestamp-micros. The text has at most [MaxSchemaBytes].
func ParseSchema(subject, text string) (*Schema, error) {
	if len(text) > MaxSchemaBytes {
		return nil, newProfileError(subject, "", fmt.Sprintf("the text has %d bytes, more than %d", len(text), MaxSchemaBytes))
	}
	// The Avro library takes what is no JSON for the name of a type, and reads past its first value.
	if !json.Valid([]byte(text)) {
		return nil, newProfileError(subject, "", "the text is not JSON")
	}
	parsed, err := avro.ParseWithCache(text, "", &avro.SchemaCache{})
	if err != nil {
		return nil, newProfileError(subject, "", "the text is not an Avro schema: "+err.Error())
	}
	record, ok := parsed.(*avro.RecordSchema)
	if !ok || record.IsError() {
		return nil, newProfileError(subject, "", fmt.Sprintf("a record is expected at the top, not %s", describe(parsed)))
	}
	if faults := checkProfile(record); len(faults) > 0 {
		return nil, &ProfileError{Subject: subject, Faults: faults}
	}
	return &Schema{Subject: subject, Text: text, record: record}, nil
}
