package schemas

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

// Side says whose reading breaks.
type Side string

// The two sides of a question about compatibility.
const (
	// NewReader means that the newer schema does not read what the older one wrote: BACKWARD asks for that.
	NewReader Side = "new reader"
	// OldReader means that the older schema does not read what the newer one writes: FORWARD asks for that.
	OldReader Side = "old reader"
)

// BreakKind is a reason by the name that Avro Java's SchemaIncompatibilityType has for it.
type BreakKind string

// All the kinds.
const (
	MissingUnionBranch        BreakKind = "MISSING_UNION_BRANCH"
	TypeMismatch              BreakKind = "TYPE_MISMATCH"
	NameMismatch              BreakKind = "NAME_MISMATCH"
	MissingEnumSymbols        BreakKind = "MISSING_ENUM_SYMBOLS"
	FixedSizeMismatch         BreakKind = "FIXED_SIZE_MISMATCH"
	ReaderFieldMissingDefault BreakKind = "READER_FIELD_MISSING_DEFAULT_VALUE"
)

// Break is one reason why one schema cannot read what another wrote.
type Break struct {
	Kind BreakKind
	Side Side
	// Older is the index of the older schema.
	Older int
	// Field is the path for people to the field in the reader: "outcome", "failure[1]" for a branch of its union, "tags[]" and
	// "labels{}" for what is in an array or a map, "a.b" for a field of a record inside; empty: the schema as a whole.
	Field string
	// Pointer is the place in the reader's schema as Avro Java gives it, an RFC 6901 pointer: "/fields/1/type/symbols", and
	// "/" for the whole. Its steps into a union are the writer's branches.
	Pointer string
	// Detail is what Avro Java adds: the field's name, the symbols …
	Detail string
	// Line and Column, in characters, in the newer schema's text, from 1: of the field, or the record where it has none.
	Line, Column int
	// Message says in one sentence what breaks and why; Hint what to do.
	Message, Hint string
}

// Breaks lists each reason why the schema newer may not follow the older ones, which are in the order of registration,
// at level: oldest schema first, then the new reader's before the old reader's. The texts may be any Avro schemas, not
// only those of the profile. An error says that a text is no schema, or level no level.
//
// The verdict is the Avro library's, or the stricter one of the walk that finds the reasons, which goes as Avro Java's
// SchemaCompatibility does.
func Breaks(level Level, newer string, older []string) ([]Break, error) {
	level, err := ParseLevel(string(level))
	if err != nil {
		return nil, err
	}
	n, err := newSide(newer)
	if err != nil {
		return nil, err
	}
	sides := make([]side, len(older))
	for i, text := range older {
		if sides[i], err = newSide(text); err != nil {
			return nil, fmt.Errorf("reading the schema %d before: %w", len(older)-i, err)
		}
	}
	where := newPlaces(newer)
	var breaks []Break
	compareAll(level, n, sides, func(s Side, i int, m mismatch) {
		b := m.toBreak(s, fmt.Sprintf("the schema %d before", len(older)-i))
		b.Older = i
		b.Line, b.Column = where.nearest(m.spot.newer(s))
		breaks = append(breaks, b)
	})
	return breaks, nil
}

// compareAll tells each mismatch at level between newer and the older schemas, which are in the order of registration.
func compareAll(level Level, newer side, older []side, tell func(Side, int, mismatch)) {
	name := strings.TrimSuffix(string(level), "_TRANSITIVE")
	backward := name == string(LevelBackward) || name == string(LevelFull)
	forward := name == string(LevelForward) || name == string(LevelFull)
	first := 0
	if name == string(level) {
		first = max(0, len(older)-1)
	}
	for i := first; i < len(older); i++ {
		if backward {
			for _, m := range disagreements(newer, older[i]) {
				tell(NewReader, i, m)
			}
		}
		if forward {
			for _, m := range disagreements(older[i], newer) {
				tell(OldReader, i, m)
			}
		}
	}
}

// side is one of two schemas that are compared.
type side struct {
	schema avro.Schema
	places map[avro.Schema]string // of the definitions of records, as pointers in the text
}

func newSide(text string) (side, error) {
	parsed, err := parseAvro(text)
	if err != nil {
		return side{}, err
	}
	s := side{schema: parsed, places: make(map[avro.Schema]string)}
	s.place(parsed, "")
	return s, nil
}

// place remembers where records are defined, from schema at pointer on. References end it, so it ends.
func (s *side) place(schema avro.Schema, pointer string) {
	switch t := schema.(type) {
	case *avro.RecordSchema:
		s.places[t] = pointer
		for i, f := range t.Fields() {
			s.place(f.Type(), fieldPointer(pointer, i)+"/type")
		}
	case *avro.ArraySchema:
		s.place(t.Items(), pointer+"/items")
	case *avro.MapSchema:
		s.place(t.Values(), pointer+"/values")
	case *avro.UnionSchema:
		for i, branch := range t.Types() {
			s.place(branch, fmt.Sprintf("%s/%d", pointer, i))
		}
	}
}

// fieldPointer points at the field of that index of the record at pointer.
func fieldPointer(record string, index int) string { return fmt.Sprintf("%s/fields/%d", record, index) }

// disagreements says why reader cannot read what writer wrote: nothing when it can.
func disagreements(reader, writer side) []mismatch {
	// The library remembers by a fingerprint that leaves defaults out, so a second question to the same checker may get
	// the first one's answer.
	verdict := avro.NewSchemaCompatibility().Compatible(reader.schema, writer.schema)
	found := walk(reader, writer)
	if verdict != nil && len(found) == 0 {
		found = []mismatch{{kind: TypeMismatch, pointer: "/", detail: verdict.Error()}}
	}
	return found
}
