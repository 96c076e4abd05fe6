package schemas

import "github.com/hamba/avro/v2"

// Seconds of the first and the last moment that a time may have: the years 1 to 9999, which RFC 3339 can write and
// PostgreSQL can hold. The zero time.Time, the first of them, is a time that was forgotten and is not among them.
const (
	minUnix = -62_135_596_800 // 0001-01-01T00:00:00Z
	maxUnix = 253_402_300_799 // 9999-12-31T23:59:59Z
)

// kind is what the bytes of a step must look like.
type kind uint8

const (
	kindBoolean kind = iota
	kindInt
	kindLong
	kindSized  // size bytes: float, double, fixed
	kindBytes  // a length and as many bytes
	kindString // a length and as many bytes of UTF-8
	kindUUID   // a length of 36 and the canonical form
	kindEnum   // an int below size
	kindMillis // a long: milliseconds since 1970
	kindMicros // a long: microseconds since 1970
	kindDate   // an int: days since 1970
	kindNull
)

// step is one field of a writer's schema, in the order of the bytes.
type step struct {
	field    string
	kind     kind
	size     int  // kindSized: bytes; kindEnum: symbols
	nullable bool // a union index, 0 for null or 1, comes first
	lift     bool // the reader's type is a union and the writer's is not
}

// plan is how the bytes of a writer's schema must look from the first to the last one.
type plan []step

// newPlan makes the plan for values written with writer and read with reader. Both count: bytes that a reader takes for
// a string must be UTF-8, even if their writer called them bytes.
func newPlan(reader, writer *avro.RecordSchema) plan {
	p := make(plan, 0, len(writer.Fields()))
	for _, wf := range writer.Fields() {
		wt, nullable := unwrap(wf.Type())
		s := step{field: wf.Name(), nullable: nullable}
		s.kind, s.size = kindOf(wt)
		if rf := readerField(reader, wf); rf != nil {
			rt, readerNullable := unwrap(rf.Type())
			s.lift = readerNullable && !nullable && wt.Type() != avro.Null
			s.kind = stricter(s.kind, rt)
		}
		p = append(p, s)
	}
	return p
}

// stricter returns the kind to hold bytes of kind k against when they are read as reader.
func stricter(k kind, reader avro.Schema) kind {
	want, _ := kindOf(reader)
	switch {
	case k == kindBytes && (want == kindString || want == kindUUID), k == kindString && want == kindUUID:
		return want
	case k == kindLong && (want == kindMillis || want == kindMicros), k == kindInt && want == kindDate:
		return want
	default:
		return k
	}
}

// unwrap returns the T of a union ["null", T] and true, or the schema itself.
func unwrap(schema avro.Schema) (avro.Schema, bool) {
	if union, ok := schema.(*avro.UnionSchema); ok {
		return dereference(union.Types()[1]), true
	}
	return dereference(schema), false
}

// kindOf returns the kind of a type within the profile, and its size where that is part of it.
func kindOf(schema avro.Schema) (kind, int) {
	switch s := schema.(type) {
	case *avro.EnumSchema:
		return kindEnum, len(s.Symbols())
	case *avro.FixedSchema:
		return kindSized, s.Size()
	case *avro.PrimitiveSchema:
		return kindOfPrimitive(s)
	default:
		return kindNull, 0
	}
}

func kindOfPrimitive(s *avro.PrimitiveSchema) (kind, int) {
	var logical avro.LogicalType
	if s.Logical() != nil {
		logical = s.Logical().Type()
	}
	switch {
	case logical == avro.UUID:
		return kindUUID, 0
	case logical == avro.Date:
		return kindDate, 0
	case logical == avro.TimestampMillis:
		return kindMillis, 0
	case logical == avro.TimestampMicros:
		return kindMicros, 0
	}
	switch s.Type() {
	case avro.Boolean:
		return kindBoolean, 0
	case avro.Int:
		return kindInt, 0
	case avro.Long:
		return kindLong, 0
	case avro.Float:
		return kindSized, 4
	case avro.Double:
		return kindSized, 8
	case avro.Bytes:
		return kindBytes, 0
	default:
		return kindString, 0
	}
}
