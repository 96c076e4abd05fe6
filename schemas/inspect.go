package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// Inspection is what can be said of a value that need not be decodable, up to where it is broken.
type Inspection struct {
	// SchemaID in the value's header; 0 when there is none, and then Missing says why.
	SchemaID int
	// Subjects are those that the registry has the schema under, each with the version there: "webcheck.checks-value/3". That
	// of the reader's schema comes first.
	Subjects []string
	// Record is the full name of the schema's record.
	Record string
	// Fields are those that could be read, in the order of the bytes.
	Fields []InspectedField
	// Fault is what is wrong with the bytes; nil when they are one whole record and nothing more, which a decoder may
	// refuse nevertheless.
	Fault error
	// Missing is why there is nothing to see of the fields: no header, no schema, no answer of the registry.
	Missing error
}

// InspectedField is a field whose bytes are as its type wants them.
type InspectedField struct {
	// Name and Type, without null, as the writer's schema has them. A logical type goes before its base.
	Name, Type string
	// Offset is where the field begins in the value, header and all.
	Offset int
	// Value is a nil, bool, int64, float64, string, []byte or time.Time. The symbol stands for an enum.
	Value any
}

// Inspect looks at a value with its writer's schema, under whatever subject the registry has it. The walk that goes before
// decoding reads the fields; the Avro library sees nothing of the value. reader is what a decoder would read it as, whose
// types the bytes are held against if the schema is under reader's subject. r may be nil.
func Inspect(ctx context.Context, r *Registry, reader *Schema, value []byte) *Inspection {
	in := new(Inspection)
	if in.SchemaID, in.Missing = schemaID(value); in.Missing != nil {
		return in
	}
	if r == nil {
		in.Missing = errors.New("there is no registry to ask for the schema")
		return in
	}
	wrote, err := r.anySchema(ctx, in, reader.Subject)
	if err != nil {
		in.Missing = err
		return in
	}
	in.Record = wrote.record.FullName()
	held := newPlan(wrote.record, wrote.record)
	if wrote.Subject == reader.Subject {
		held = newPlan(reader.record, wrote.record)
	}
	body := value[headerBytes:]
	_, in.Fault = held.scan(body, nil)
	in.Fields = held.read(wrote.record, body)
	return in
}

// anySchema returns the schema of in's id under whatever subject, preferably this one, and notes all of its subjects.
func (r *Registry) anySchema(ctx context.Context, in *Inspection, preferred string) (*Schema, error) {
	ctx = sr.WithParams(ctx, sr.ShowDeleted)
	found, err := r.client.SchemaByID(ctx, in.SchemaID)
	if saysNone(err) {
		return nil, fmt.Errorf("the registry has no schema with id %d", in.SchemaID)
	}
	if err != nil {
		return nil, newRegistryError("fetching schema %d", in.SchemaID, err)
	}
	var subject string
	versions, err := r.client.SchemaVersionsByID(ctx, in.SchemaID)
	if err != nil { // a registry before 5.5 does not say; the schema is there nevertheless
		versions = nil
	}
	for _, v := range versions {
		if subject == "" {
			subject = v.Subject
		}
		place := len(in.Subjects)
		if sameSubject(v.Subject, preferred) {
			subject, place = preferred, 0
		}
		in.Subjects = slices.Insert(in.Subjects, place, fmt.Sprintf("%s/%d", v.Subject, v.Version))
	}
	if found.Type != sr.TypeAvro {
		return nil, newProfileError(subject, "", fmt.Sprintf("schema %d is not Avro but %s", in.SchemaID, found.Type))
	}
	return ParseSchema(subject, found.Schema)
}

// read gives the fields of body up to the first one that scan refuses.
func (p plan) read(record *avro.RecordSchema, body []byte) []InspectedField {
	fields := make([]InspectedField, 0, len(p))
	pos := 0
	for i := range p {
		next, fault := p[i].scan(body, pos)
		if fault != "" {
			break
		}
		typ, _ := unwrap(record.Fields()[i].Type())
		fields = append(fields, InspectedField{
			Name: p[i].field, Type: typeName(typ), Offset: headerBytes + pos, Value: p[i].value(typ, body[pos:next]),
		})
		pos = next
	}
	return fields
}

// typeName is a type's logical name, or its own.
func typeName(typ avro.Schema) string {
	if logical, ok := typ.(avro.LogicalTypeSchema); ok && logical.Logical() != nil {
		return string(logical.Logical().Type())
	}
	return string(typ.Type())
}

// value gives what the bytes of a field say that scan has accepted.
func (s *step) value(typ avro.Schema, bytes []byte) any {
	if s.nullable {
		branch, next, _ := readVarint(bytes, 0, 32)
		if branch == 0 {
			return nil
		}
		bytes = bytes[next:]
	}
	switch s.kind {
	case kindNull:
		return nil
	case kindBoolean:
		return bytes[0] == 1
	case kindSized:
		return sized(typ, bytes)
	case kindBytes, kindString, kindUUID:
		_, start, _ := readVarint(bytes, 0, 64)
		if s.kind == kindBytes {
			return bytes[start:]
		}
		return string(bytes[start:])
	}
	n, _, _ := readVarint(bytes, 0, 64)
	switch s.kind {
	case kindEnum:
		return typ.(*avro.EnumSchema).Symbols()[n]
	case kindDate:
		return time.Unix(n*86400, 0).UTC()
	case kindMillis:
		return time.UnixMilli(n).UTC()
	case kindMicros:
		return time.UnixMicro(n).UTC()
	default:
		return n
	}
}

// sized gives a float, a double or a fixed.
func sized(typ avro.Schema, bytes []byte) any {
	switch typ.Type() {
	case avro.Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(bytes)))
	case avro.Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(bytes))
	default:
		return bytes
	}
}
