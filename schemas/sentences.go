package schemas

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

// voices is how a sentence about a reader and a writer calls them. It must read well with several in one: "versions 1 to 3".
type voices struct {
	reader, writer string
	writes         string // "wrote", or "writes" where only the writer can still change
}

// voicesOf calls the newer schema just that, and the older by its name.
func voicesOf(s Side, older string) voices {
	if s == OldReader {
		return voices{reader: older, writer: "the new schema", writes: "writes"}
	}
	return voices{reader: "the new schema", writer: older, writes: "wrote"}
}

// fixed says whether the reader is what cannot change any more.
func (v voices) fixed() bool { return v.writes == "writes" }

// toBreak puts m into words. Older and the position are the caller's.
func (m mismatch) toBreak(s Side, older string) Break {
	v := voicesOf(s, older)
	return Break{Kind: m.kind, Side: s, Field: m.spot.field, Pointer: m.pointer, Detail: m.detail, Message: m.message(v), Hint: m.hint(v)}
}

// subject is what m is about: its field, or the type at the top.
func (m mismatch) subject() string {
	if m.spot.field == "" {
		return "the top type"
	}
	return fmt.Sprintf("field %q", m.spot.field)
}

// named is the type that m is about.
func (m mismatch) named() string {
	if m.spot.field == "" {
		return "the " + string(m.reader.Type())
	}
	return fmt.Sprintf("the %s of %s", m.reader.Type(), m.subject())
}

// message says what does not fit, and why.
func (m mismatch) message(v voices) string {
	written := v.writer + " " + v.writes
	switch {
	case m.missing != nil:
		return fmt.Sprintf("%s has no default in %s, and what %s lacks it", m.subject(), v.reader, written)
	case m.reader == nil:
		return fmt.Sprintf("%s and what %s do not fit: %s", v.reader, written, m.detail)
	case m.sources > 1:
		return fmt.Sprintf("%s in %s is found %d times in what %s, by its name and its aliases", m.subject(), v.reader, m.sources, written)
	}
	switch m.kind {
	case MissingEnumSymbols:
		return fmt.Sprintf("%s in %s lacks %s, which %s, and has no default symbol", m.named(), v.reader, m.symbols(), written)
	case FixedSizeMismatch:
		return fmt.Sprintf("%s has %d bytes in %s, not the %d that %s", m.subject(), m.reader.(*avro.FixedSchema).Size(), v.reader,
			m.writer.(*avro.FixedSchema).Size(), written)
	case NameMismatch:
		return fmt.Sprintf("%s is named %q in %s, and %q in what %s", m.named(), fullNameOf(m.reader), v.reader, fullNameOf(m.writer), written)
	case MissingUnionBranch:
		if m.cause != nil {
			return m.cause.message(v)
		}
		return fmt.Sprintf("%s in %s has no branch for the %s that %s", m.named(), v.reader, m.writer.Type(), written)
	default:
		return fmt.Sprintf("%s in %s is %s, which does not take the %s that %s", m.subject(), v.reader, describe(m.reader), m.writer.Type(), written)
	}
}

// hint says what to do. Where the reader is what cannot change, the change must wait or go another way.
func (m mismatch) hint(v voices) string {
	switch {
	case m.missing != nil && v.fixed():
		return "keep the field, or first make a version that gives it a default"
	case m.missing != nil:
		return defaultHint(m.missing)
	case m.reader == nil:
		return "keep what the older schema says"
	case m.sources > 1:
		return "remove the alias, or one of the fields"
	}
	switch m.kind {
	case MissingEnumSymbols:
		if v.fixed() {
			return fmt.Sprintf("leave %s out, or first make a version in which the enum has a default symbol", m.symbols())
		}
		return fmt.Sprintf("put %s back, or give the enum a default symbol", m.symbols())
	case NameMismatch:
		if v.fixed() {
			return fmt.Sprintf("keep the name %q", fullNameOf(m.reader))
		}
		return fmt.Sprintf(`keep the name, or add "aliases": [%q] to the %s`, fullNameOf(m.writer), m.reader.Type())
	case MissingUnionBranch:
		switch {
		case m.cause != nil:
			return m.cause.hint(v)
		case nullable(m.reader):
			return "keep the type, and add a field of another name for what is new"
		case v.fixed():
			return fmt.Sprintf("leave the %s out, and add a field of another name for it", m.writer.Type())
		default:
			return fmt.Sprintf("put the %s back into the union", m.writer.Type())
		}
	default:
		return "keep the type, and add a field of another name for what is new"
	}
}

// defaultHint says how to give f a default.
func defaultHint(f *avro.Field) string {
	if nullable(f.Type()) {
		return `give it "default": null`
	}
	if plain, ok := f.Type().(*avro.PrimitiveSchema); ok && plain.Logical() == nil {
		return fmt.Sprintf(`give it a default: "type": ["null", %q], "default": null`, plain.Type())
	}
	return `give it a default: make its type ["null", T], and its default null`
}

// nullable says whether a type is a union of null, first, and one other.
func nullable(schema avro.Schema) bool {
	union, ok := schema.(*avro.UnionSchema)
	return ok && len(union.Types()) == 2 && union.Types()[0].Type() == avro.Null
}

// symbols lists what an enum lacks, each in quotes.
func (m mismatch) symbols() string {
	return quoted(missingSymbols(m.reader.(*avro.EnumSchema), m.writer.(*avro.EnumSchema)))
}

// quoted lists texts, each in quotes.
func quoted(texts []string) string {
	q := make([]string, len(texts))
	for i, t := range texts {
		q[i] = fmt.Sprintf("%q", t)
	}
	return strings.Join(q, ", ")
}

// fullNameOf is the name of a named type, with its namespace.
func fullNameOf(s avro.Schema) string { return s.(avro.NamedSchema).FullName() }
