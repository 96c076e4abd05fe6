package schemas

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

var (
	//go:embed events/CheckCompleted.avsc
	checkCompletedText string
	//go:embed events/TargetDefined.avsc
	targetDefinedText string
	//go:embed events/TargetTransitioned.avsc
	targetTransitionedText string
)

// Schema is one version of what a topic's values look like, within the profile of [ParseSchema]. It does not change and
// may be shared. The zero Schema is of no use: make one with [ParseSchema], or with the function of an event.
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

// TargetDefined returns this build's schema of the event TargetDefined, under the subject of topic: [TopicTargets], or one's own.
func TargetDefined(topic string) *Schema {
	return mustParseSchema(Subject(topic), targetDefinedText)
}

// TargetTransitioned returns this build's schema of the event TargetTransitioned, under the subject of topic:
// [TopicTransitions], or one's own.
func TargetTransitioned(topic string) *Schema {
	return mustParseSchema(Subject(topic), targetTransitionedText)
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
	parsed, err := parseAvro(text)
	if err != nil {
		return nil, newProfileError(subject, "", err.Error())
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

// maxNesting bounds a schema's depth in brackets. Comparing two takes the library time by the third power of it: 5 s at 1000.
const maxNesting = 200

// CheckAvro says whether text is one whole Avro schema, of whatever kind, that can be parsed and compared in good time.
func CheckAvro(text string) error {
	_, err := parseAvro(text)
	return err
}

// parseAvro parses a schema with a cache of its own: one that names a type that it does not define would otherwise find
// that in an earlier schema.
func parseAvro(text string) (avro.Schema, error) {
	// The library takes what is no JSON for the name of a type, and reads past its first value.
	if !json.Valid([]byte(text)) {
		return nil, errors.New("the text is not JSON")
	}
	if nesting(text) > maxNesting {
		return nil, fmt.Errorf("the text is nested more than %d deep", maxNesting)
	}
	if err := checkSpelling([]byte(text)); err != nil {
		return nil, fmt.Errorf("the text is not an Avro schema: %w", err)
	}
	parsed, err := parseByLibrary(text)
	if err != nil {
		return nil, fmt.Errorf("the text is not an Avro schema: %w", err)
	}
	return parsed, nil
}

// parseByLibrary is the library's own parsing, which panics on some texts: on a default for a union without branches.
func parseByLibrary(text string) (parsed avro.Schema, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			parsed, err = nil, fmt.Errorf("parsing it: %v", fault)
		}
	}()
	return avro.ParseWithCache(text, "", &avro.SchemaCache{})
}

// nesting is how deep brackets are nested in a JSON text.
func nesting(text string) int {
	var depth, deepest int
	tokens := json.NewDecoder(strings.NewReader(text))
	for {
		token, err := tokens.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		deepest = max(deepest, depth)
	}
}
