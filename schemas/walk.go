package schemas

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hamba/avro/v2"
)

// mismatch is one place where a reader's schema does not fit a writer's.
type mismatch struct {
	kind            BreakKind
	pointer, detail string // as Avro Java gives them
	spot            spot
	reader, writer  avro.Schema // the two types; the records, where a field is missing; nil where only a verdict is known
	missing         *avro.Field // the reader's that the writer lacks
	sources         int         // how many of the writer's fields the reader's reads, where that is more than one
	cause           *mismatch   // why the likeliest branch of a union does not fit
}

// key is what makes one mismatch the same as another.
func (m mismatch) key() [4]string {
	return [4]string{string(m.kind), m.pointer, m.detail, m.spot.field}
}

// spot is the innermost field that a walk is in.
type spot struct {
	field          string // its path for people in the reader, with what is inside its type
	reader, writer string // pointers to it in the two texts
}

// in returns the spot deeper inside the same field.
func (s spot) in(suffix string) spot {
	if s.field != "" {
		s.field += suffix
	}
	return s
}

// newer returns the pointer to the field in the text of the newer of the two schemas.
func (s spot) newer(side Side) string {
	if side == OldReader {
		return s.writer
	}
	return s.reader
}

// steps is how the walk got to a place, innermost first; nil at the top.
type steps struct {
	to    *steps
	token string
}

func (s *steps) then(token string) *steps { return &steps{to: s, token: token} }

// pointer returns the place as Avro Java writes it: "/" at the top.
func (s *steps) pointer() string {
	var tokens []string
	for ; s != nil; s = s.to {
		tokens = append(tokens, s.token)
	}
	slices.Reverse(tokens)
	return "/" + strings.Join(tokens, "/")
}

// ambiguous begins what Avro Java's exception says of a field that it finds more than once.
const ambiguous = "Reader record field "

// comparison is a walk through two schemas. It goes as Avro Java 1.12's SchemaCompatibility does, to the order of the
// questions and what it remembers of their answers, so that it finds the same places:
// https://github.com/apache/avro/blob/release-1.12.1/lang/java/avro/src/main/java/org/apache/avro/SchemaCompatibility.java
type comparison struct {
	reader, writer side
	seen           map[[2]avro.Schema]*visit
	ambiguous      []mismatch // where Avro Java throws
}

// visit is what was found where two types met first; nothing as long as that is being found out, which ends a recursion.
type visit struct{ found []mismatch }

// walk lists where reader does not fit writer.
func walk(reader, writer side) []mismatch {
	c := &comparison{reader: reader, writer: writer, seen: make(map[[2]avro.Schema]*visit)}
	found := c.types(nil, spot{}, reader.schema, writer.schema)
	return distinct(append(found, c.ambiguous...))
}

// distinct returns found without what is told twice.
func distinct(found []mismatch) []mismatch {
	told := make(map[[4]string]bool, len(found))
	return slices.DeleteFunc(found, func(m mismatch) bool {
		again := told[m.key()]
		told[m.key()] = true
		return again
	})
}

// types compares two types, or tells again what was found where they met before.
func (c *comparison) types(at *steps, s spot, reader, writer avro.Schema) []mismatch {
	reader, writer = dereference(reader), dereference(writer)
	pair := [2]avro.Schema{reader, writer}
	if before, ok := c.seen[pair]; ok {
		again := slices.Clone(before.found)
		for i := range again {
			again[i].spot = s
		}
		return distinct(again)
	}
	v := &visit{}
	c.seen[pair] = v
	v.found = c.compare(at, s, reader, writer)
	return v.found
}

func (c *comparison) compare(at *steps, s spot, reader, writer avro.Schema) []mismatch {
	if reader.Type() == writer.Type() {
		return c.compareAlike(at, s, reader, writer)
	}
	if w, ok := writer.(*avro.UnionSchema); ok {
		var found []mismatch
		for i, branch := range w.Types() {
			found = append(found, c.types(at.then(strconv.Itoa(i)), s, reader, branch)...)
		}
		return found
	}
	if r, ok := reader.(*avro.UnionSchema); ok {
		return c.branches(at, s, r, writer)
	}
	if promotes(reader.Type(), writer.Type()) {
		return nil
	}
	return []mismatch{{
		kind: TypeMismatch, pointer: at.pointer(), spot: s, reader: reader, writer: writer,
		detail: fmt.Sprintf("reader type: %s not compatible with writer type: %s", javaType(reader), javaType(writer)),
	}}
}

// compareAlike compares two types of the same kind.
func (c *comparison) compareAlike(at *steps, s spot, reader, writer avro.Schema) []mismatch {
	switch r := reader.(type) {
	case *avro.ArraySchema:
		return c.types(at.then("items"), s.in("[]"), r.Items(), writer.(*avro.ArraySchema).Items())
	case *avro.MapSchema:
		return c.types(at.then("values"), s.in("{}"), r.Values(), writer.(*avro.MapSchema).Values())
	case *avro.FixedSchema:
		w := writer.(*avro.FixedSchema)
		found := names(at, s, r, w)
		if r.Size() != w.Size() {
			found = append(found, mismatch{
				kind: FixedSizeMismatch, pointer: at.then("size").pointer(), spot: s, reader: r, writer: w,
				detail: fmt.Sprintf("expected: %d, found: %d", w.Size(), r.Size()),
			})
		}
		return found
	case *avro.EnumSchema:
		w := writer.(*avro.EnumSchema)
		found := names(at, s, r, w)
		if missing := missingSymbols(r, w); len(missing) > 0 && !r.HasDefault() {
			found = append(found, mismatch{
				kind: MissingEnumSymbols, pointer: at.then("symbols").pointer(), spot: s, reader: r, writer: w,
				detail: "[" + strings.Join(missing, ", ") + "]",
			})
		}
		return found
	case *avro.RecordSchema:
		w := writer.(*avro.RecordSchema)
		return append(names(at, s, r, w), c.fields(at.then("fields"), s, r, w)...)
	case *avro.UnionSchema:
		var found []mismatch
		for i, branch := range writer.(*avro.UnionSchema).Types() {
			inner := c.types(nil, s, r, branch)
			if len(inner) == 0 {
				continue
			}
			m := missingBranch(at.then(strconv.Itoa(i)), s, r, dereference(branch))
			m.cause = inner[0].cause
			found = append(found, m)
		}
		return found
	}
	return nil
}

// branches asks whether some branch of the reader's union reads what writer, which is none, wrote.
func (c *comparison) branches(at *steps, s spot, reader *avro.UnionSchema, writer avro.Schema) []mismatch {
	m := missingBranch(at, s, reader, writer)
	for i, branch := range reader.Types() {
		found := c.types(nil, s.in(fmt.Sprintf("[%d]", i)), branch, writer)
		if len(found) == 0 {
			return nil
		}
		if m.cause == nil && dereference(branch).Type() == writer.Type() {
			m.cause = &found[0]
		}
	}
	return []mismatch{m}
}

func missingBranch(at *steps, s spot, reader *avro.UnionSchema, writer avro.Schema) mismatch {
	return mismatch{
		kind: MissingUnionBranch, pointer: at.pointer(), spot: s, reader: reader, writer: writer,
		detail: "reader union lacking writer type: " + javaType(writer),
	}
}

// fields compares the fields of two records.
func (c *comparison) fields(at *steps, s spot, reader, writer *avro.RecordSchema) []mismatch {
	var found []mismatch
	for i, rf := range reader.Fields() {
		here := at.then(strconv.Itoa(i))
		inside := spot{field: rf.Name(), reader: fieldPointer(c.reader.places[reader], i), writer: c.writer.places[writer]}
		if s.field != "" {
			inside.field = s.field + "." + rf.Name()
		}
		sources := writerFields(rf, writer)
		if times := timesFound(rf, writer); times > 1 {
			c.ambiguous = append(c.ambiguous, mismatch{
				kind: NameMismatch, pointer: here.pointer(), spot: inside, reader: reader, writer: writer, sources: times,
				detail: ambiguous + rf.Name() + " matches multiple fields in writer record schema",
			})
			continue
		}
		if len(sources) == 1 {
			inside.writer = fieldPointer(c.writer.places[writer], sources[0])
			found = append(found, c.types(here.then("type"), inside, rf.Type(), writer.Fields()[sources[0]].Type())...)
			continue
		}
		if !rf.HasDefault() {
			found = append(found, c.withoutDefault(here, inside, rf, reader, writer)...)
		}
	}
	return found
}

// withoutDefault is what Avro Java finds where the writer lacks a field that has no default: a missing default, but for
// an enum with a default symbol, which it compares to the writer's whole record.
func (c *comparison) withoutDefault(at *steps, s spot, rf *avro.Field, reader, writer *avro.RecordSchema) []mismatch {
	if enum, ok := dereference(rf.Type()).(*avro.EnumSchema); ok && enum.HasDefault() {
		found := slices.Clone(c.types(at.then("type"), s, enum, writer))
		for i := range found {
			found[i].missing = rf
		}
		return found
	}
	return []mismatch{{
		kind: ReaderFieldMissingDefault, pointer: at.pointer(), detail: rf.Name(), spot: s,
		reader: reader, writer: writer, missing: rf,
	}}
}

// writerFields returns the indices of the writer's fields that rf reads, by name or by rf's aliases.
func writerFields(rf *avro.Field, writer *avro.RecordSchema) []int {
	var found []int
	for i, wf := range writer.Fields() {
		if rf.Name() == wf.Name() || slices.Contains(rf.Aliases(), wf.Name()) {
			found = append(found, i)
		}
	}
	return found
}

// timesFound is how often Avro Java finds rf in the writer: by its name and by each alias, were it the name once more.
func timesFound(rf *avro.Field, writer *avro.RecordSchema) int {
	aliases := slices.Compact(slices.Sorted(slices.Values(rf.Aliases())))
	return count(writer.Fields(), func(wf *avro.Field) bool { return wf.Name() == rf.Name() }) +
		count(aliases, func(alias string) bool {
			return slices.ContainsFunc(writer.Fields(), func(wf *avro.Field) bool { return wf.Name() == alias })
		})
}

// names compares the names of two types: without their namespaces, or by the reader's aliases with them.
func names(at *steps, s spot, reader, writer avro.NamedSchema) []mismatch {
	if reader.Name() == writer.Name() || slices.Contains(reader.Aliases(), writer.FullName()) {
		return nil
	}
	return []mismatch{{
		kind: NameMismatch, pointer: at.then("name").pointer(), spot: s, reader: reader, writer: writer,
		detail: "expected: " + writer.FullName(),
	}}
}

// missingSymbols returns the writer's symbols that the reader lacks, sorted.
func missingSymbols(reader, writer *avro.EnumSchema) []string {
	var missing []string
	for _, symbol := range writer.Symbols() {
		if !slices.Contains(reader.Symbols(), symbol) {
			missing = append(missing, symbol)
		}
	}
	slices.Sort(missing)
	return missing
}

// promotes says whether a reader of one primitive type takes values of another.
func promotes(reader, writer avro.Type) bool {
	switch reader {
	case avro.Long:
		return writer == avro.Int
	case avro.Float:
		return writer == avro.Int || writer == avro.Long
	case avro.Double:
		return writer == avro.Int || writer == avro.Long || writer == avro.Float
	case avro.Bytes:
		return writer == avro.String
	case avro.String:
		return writer == avro.Bytes
	}
	return false
}

// javaType is a type by the name of Avro Java's Schema.Type.
func javaType(s avro.Schema) string { return strings.ToUpper(string(s.Type())) }
