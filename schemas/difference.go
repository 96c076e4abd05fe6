package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hamba/avro/v2"
)

// ChangeKind says how a field of one schema became what it is in another.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Renamed ChangeKind = "renamed" // by an alias
	Changed ChangeKind = "changed"
)

// FieldChange is how one field differs between two schemas.
type FieldChange struct {
	Kind ChangeKind
	// Field is its name, in the newer schema unless it is removed; empty: the record itself.
	Field string
	// Was is the old name of a renamed field.
	Was string
	// What differs, each in a few words: "type: int -> long", `default: null -> 0`, "symbol added: x"; of a field that is added or
	// removed, what it is.
	What []string
	// Line in the newer schema's text, from 1; 0 of a field that is removed.
	Line int
}

// Diff lists how the newer record differs from the older: itself first, then its fields in order, then those removed.
// The error says that a text is no Avro schema of a record.
func Diff(older, newer string) ([]FieldChange, error) {
	o, err := newDescribed(older)
	if err != nil {
		return nil, fmt.Errorf("reading the older schema: %w", err)
	}
	n, err := newDescribed(newer)
	if err != nil {
		return nil, fmt.Errorf("reading the newer schema: %w", err)
	}
	where := newPlaces(newer)
	var changes []FieldChange
	if what := recordChanges(o, n); len(what) > 0 {
		line, _ := where.nearest("")
		changes = append(changes, FieldChange{Kind: Changed, What: what, Line: line})
	}
	taken := make(map[int]bool)
	moved := movedFields(o.record, n.record)
	for i, f := range n.record.Fields() {
		line, _ := where.nearest(fieldPointer("", i))
		at := source(f, o.record)
		if at < 0 {
			changes = append(changes, FieldChange{Kind: Added, Field: f.Name(), What: n.whole(i), Line: line})
			continue
		}
		taken[at] = true
		c := FieldChange{Kind: Changed, Field: f.Name(), What: fieldChanges(o, at, n, i), Line: line}
		if was := o.record.Fields()[at].Name(); was != f.Name() {
			c.Kind, c.Was = Renamed, was
		}
		if moved[f.Name()] {
			c.What = append(c.What, fmt.Sprintf("position: %d -> %d", at+1, i+1))
		}
		if c.Kind == Renamed || len(c.What) > 0 {
			changes = append(changes, c)
		}
	}
	for i, f := range o.record.Fields() {
		if !taken[i] {
			changes = append(changes, FieldChange{Kind: Removed, Field: f.Name(), What: o.whole(i)})
		}
	}
	return changes, nil
}

// described is a record with what its text says of the fields, which the library keeps in another form.
type described struct {
	record *avro.RecordSchema
	fields []map[string]json.RawMessage
}

func newDescribed(text string) (described, error) {
	parsed, err := parseAvro(text)
	if err != nil {
		return described{}, err
	}
	record, ok := parsed.(*avro.RecordSchema)
	if !ok {
		return described{}, fmt.Errorf("a record is expected at the top, not %s", describe(parsed))
	}
	var raw struct {
		Fields []map[string]json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return described{}, err
	}
	if len(raw.Fields) != len(record.Fields()) {
		return described{}, errors.New("the text has its fields twice")
	}
	return described{record: record, fields: raw.Fields}, nil
}

// whole says what field i is.
func (d described) whole(i int) []string {
	f := d.record.Fields()[i]
	what := []string{"type: " + typeText(f.Type())}
	if f.HasDefault() {
		what = append(what, "default: "+d.value(i, "default"))
	}
	if f.Doc() != "" {
		what = append(what, "doc: "+strconv.Quote(f.Doc()))
	}
	return what
}

// value is what the text says under key of field i, without the spaces between: "none" when it says nothing.
func (d described) value(i int, key string) string {
	raw, ok := d.fields[i][key]
	if !ok {
		return "none"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return string(raw)
	}
	return compact.String()
}

// deep says whether a type has others inside that [typeText] does not show.
func deep(schema avro.Schema) bool {
	switch t := schema.(type) {
	case *avro.RecordSchema, *avro.ArraySchema, *avro.MapSchema:
		return true
	case *avro.UnionSchema:
		return slices.ContainsFunc(t.Types(), deep)
	}
	return false
}

// source returns the index of the older record's field that f comes from: by its own name, else by an alias; -1 for none.
func source(f *avro.Field, older *avro.RecordSchema) int {
	at := -1
	for _, i := range writerFields(f, older) {
		if older.Fields()[i].Name() == f.Name() {
			return i
		}
		if at < 0 {
			at = i
		}
	}
	return at
}

// arrow says how something changed; nothing when it did not.
func arrow(what, older, newer string) []string {
	if older == newer {
		return nil
	}
	return []string{what + ": " + older + " -> " + newer}
}

func recordChanges(o, n described) []string {
	what := arrow("name", o.record.FullName(), n.record.FullName())
	what = append(what, arrow("doc", strconv.Quote(o.record.Doc()), strconv.Quote(n.record.Doc()))...)
	return append(what, arrow("aliases", list(o.record.Aliases()), list(n.record.Aliases()))...)
}

// fieldChanges lists how field i of n differs from field at of o, name and place apart.
func fieldChanges(o described, at int, n described, i int) []string {
	was, now := o.record.Fields()[at], n.record.Fields()[i]
	what := arrow("type", typeText(was.Type()), typeText(now.Type()))
	what = append(what, enumChanges(enumIn(was.Type(), true), enumIn(now.Type(), true))...)
	if len(what) == 0 && deep(now.Type()) && o.value(at, "type") != n.value(i, "type") {
		what = append(what, "type: changed inside")
	}
	what = append(what, arrow("default", o.value(at, "default"), n.value(i, "default"))...)
	what = append(what, arrow("doc", strconv.Quote(was.Doc()), strconv.Quote(now.Doc()))...)
	what = append(what, arrow("aliases", list(was.Aliases()), list(now.Aliases()))...)
	return append(what, arrow("order", string(was.Order()), string(now.Order()))...)
}

// enumChanges lists how an enum differs from what it was.
func enumChanges(was, now *avro.EnumSchema) []string {
	if was == nil || now == nil {
		return nil
	}
	var what []string
	for _, s := range now.Symbols() {
		if !slices.Contains(was.Symbols(), s) {
			what = append(what, "symbol added: "+s)
		}
	}
	for _, s := range was.Symbols() {
		if !slices.Contains(now.Symbols(), s) {
			what = append(what, "symbol removed: "+s)
		}
	}
	if len(what) == 0 && !slices.Equal(was.Symbols(), now.Symbols()) {
		what = append(what, "symbols: "+list(was.Symbols())+" -> "+list(now.Symbols()))
	}
	what = append(what, arrow("default symbol", orNone(was.Default()), orNone(now.Default()))...)
	what = append(what, arrow("enum aliases", list(was.Aliases()), list(now.Aliases()))...)
	return append(what, arrow("enum doc", strconv.Quote(was.Doc()), strconv.Quote(now.Doc()))...)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// list is texts in one.
func list(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
