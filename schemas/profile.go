package schemas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"
)

// Bounds of the profile. They are far above what events need and far below what could hurt a reader.
const (
	// MaxSchemaBytes bounds a schema's text: ours has under 5 KiB.
	MaxSchemaBytes = 64 << 10
	// MaxFields bounds a record's fields: PostgreSQL takes at most 1600 columns, people far fewer.
	MaxFields = 256
	// MaxSymbols bounds an enum.
	MaxSymbols = 256
	// MaxFixedBytes bounds a fixed: room for any hash.
	MaxFixedBytes = 64
)

// ProfileFault is one reason why a schema is outside the profile.
type ProfileFault struct {
	// Path is the field's name, followed by [0], [1] … for a branch of its union; empty when the schema as a whole is meant.
	Path string
	// Message says what is wrong, in words that follow the path.
	Message string
}

// ProfileError says that a text is no schema for webcheck's events, with every reason.
type ProfileError struct {
	// Subject that the schema is meant for.
	Subject string
	// Faults found, in the order of the fields; never empty.
	Faults []ProfileFault
}

func newProfileError(subject, path, message string) *ProfileError {
	return &ProfileError{Subject: subject, Faults: []ProfileFault{{Path: path, Message: message}}}
}

// Error lists all the faults in one line.
func (e *ProfileError) Error() string {
	texts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		texts[i] = f.Message
		if f.Path != "" {
			texts[i] = fmt.Sprintf("field %q: %s", f.Path, f.Message)
		}
	}
	return fmt.Sprintf("checking the schema for %q: %s", e.Subject, strings.Join(texts, "; "))
}

// Hint says what a person can write instead.
func (e *ProfileError) Hint() string {
	return `an event is a flat record of primitives, enums and ["null", T]`
}

// checkProfile lists what in record is outside the profile.
func checkProfile(record *avro.RecordSchema) []ProfileFault {
	var faults []ProfileFault
	fields := record.Fields()
	if len(fields) == 0 {
		faults = append(faults, ProfileFault{Message: "the record has no fields"})
	}
	if len(fields) > MaxFields {
		faults = append(faults, ProfileFault{Message: fmt.Sprintf("the record has %d fields, more than %d", len(fields), MaxFields)})
	}
	for _, f := range fields {
		faults = append(faults, checkFieldProfile(f)...)
	}
	return faults
}

// checkFieldProfile lists what in one field is outside the profile.
func checkFieldProfile(f *avro.Field) []ProfileFault {
	union, ok := f.Type().(*avro.UnionSchema)
	if !ok {
		return checkTypeProfile(f.Name(), f.Type())
	}
	var faults []ProfileFault
	types := union.Types()
	if len(types) != 2 || types[0].Type() != avro.Null || types[1].Type() == avro.Null {
		faults = append(faults, ProfileFault{Path: f.Name(), Message: `a union must be ["null", T]`})
	}
	for i, t := range types {
		if t.Type() != avro.Null {
			faults = append(faults, checkTypeProfile(fmt.Sprintf("%s[%d]", f.Name(), i), t)...)
		}
	}
	return faults
}

// checkTypeProfile lists what is wrong with the type at path, which is no union. It never follows a reference further
// than the enum or fixed it names, so it ends on recursive schemas too.
func checkTypeProfile(path string, schema avro.Schema) []ProfileFault {
	if ref, ok := schema.(*avro.RefSchema); ok && ref.Schema().Type() == avro.Record {
		return []ProfileFault{{Path: path, Message: fmt.Sprintf("record %q is used inside a record", ref.Schema().FullName())}}
	}
	switch s := dereference(schema).(type) {
	case *avro.PrimitiveSchema:
		return checkLogical(path, s, s.Logical())
	case *avro.EnumSchema:
		if n := len(s.Symbols()); n > MaxSymbols {
			return []ProfileFault{{Path: path, Message: fmt.Sprintf("the enum has %d symbols, more than %d", n, MaxSymbols)}}
		}
		return nil
	case *avro.FixedSchema:
		if n := s.Size(); n < 1 || n > MaxFixedBytes {
			return []ProfileFault{{Path: path, Message: fmt.Sprintf("the fixed has %d bytes, not 1 to %d", n, MaxFixedBytes)}}
		}
		return checkLogical(path, s, s.Logical())
	default:
		return []ProfileFault{{Path: path, Message: describe(schema) + " is not allowed"}}
	}
}

// checkLogical refuses logical types other than those that the codec checks the range of, and those that the Avro
// library did not know or found in the wrong place, which it would pass over in silence.
func checkLogical(path string, schema avro.PropertySchema, logical avro.LogicalSchema) []ProfileFault {
	var name string
	if logical != nil {
		name = string(logical.Type())
	} else if text, ok := schema.Prop("logicalType").(string); ok {
		return []ProfileFault{{Path: path, Message: fmt.Sprintf("logical type %q is not known for this type", text)}}
	}
	known := []string{"", string(avro.UUID), string(avro.Date), string(avro.TimestampMillis), string(avro.TimestampMicros)}
	if !slices.Contains(known, name) {
		return []ProfileFault{{Path: path, Message: fmt.Sprintf("logical type %q is not allowed", name)}}
	}
	return nil
}

// dereference returns the enum or fixed that a second mention of its name stands for.
func dereference(schema avro.Schema) avro.Schema {
	if ref, ok := schema.(*avro.RefSchema); ok {
		return ref.Schema()
	}
	return schema
}

// describe names a schema's type with its article, for a sentence.
func describe(schema avro.Schema) string {
	switch t := dereference(schema).Type(); t {
	case avro.Array, avro.Enum, avro.Error, avro.Int:
		return "an " + string(t)
	case avro.Null, avro.Bytes:
		return string(t)
	default:
		return "a " + string(t)
	}
}
