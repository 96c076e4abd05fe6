package schemas

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hamba/avro/v2"
)

// Older is a schema that came before, and what to call it: "version 3", "main".
type Older struct{ Name, Text string }

// Rules of a review. The others are the kinds of [Break] in lower case.
const (
	// RuleNotAvro: the text is no Avro schema.
	RuleNotAvro = "not_avro"
	// RuleProfile: the schema is outside the profile of [ParseSchema].
	RuleProfile = "profile"
	// RuleFieldWithoutDoc: a field, or the record, says nothing for people.
	RuleFieldWithoutDoc = "field_without_doc"
	// RuleEnumWithoutDefault: a reader of this schema would refuse an event with a symbol that comes later.
	RuleEnumWithoutDefault = "enum_without_default"
	// RuleNewFieldWithoutDefault: events that an older version wrote lack the field.
	RuleNewFieldWithoutDefault = "new_field_without_default"
	// RuleNewFieldNotNullable: a replay tells "not known" from a value only by null, which is what a processor that was older
	// than the event left in the column.
	RuleNewFieldNotNullable = "new_field_not_nullable"
	// RuleReusedName: older events have something else under the name.
	RuleReusedName = "reused_name"
	// RuleRenamedWithoutAlias: what older events have under the old name would be lost.
	RuleRenamedWithoutAlias = "renamed_without_alias"
	// RuleRemovedSymbol: older events that have the symbol would be read as the enum's default.
	RuleRemovedSymbol = "removed_symbol"
	// RuleChangedUnit: a time would be read as another moment, which Avro's own rules let through and a [Decoder] does not.
	RuleChangedUnit = "changed_unit"
)

// Finding is one thing that keeps a text from following the older ones.
type Finding struct {
	// Rule is one of those above, or a break's kind in lower case.
	Rule string
	// Side whose reading breaks, and the older schemas it breaks with, by name; both empty where the text alone is at fault.
	Side    Side
	Against string
	// Field as in [Break]; empty: the record, or the text as a whole.
	Field string
	// Line and Column, in characters, from 1, of the text.
	Line, Column int
	// Message says in one sentence what is wrong and why; Hint what to do.
	Message, Hint string
}

// Review lists everything that keeps text, which is meant for subject, from following the older schemas, oldest first, at
// level: in the order of the lines. A break with several of them is one finding. The error says that level is no level, or
// that an older text is no schema.
func Review(level Level, subject, text string, older []Older) ([]Finding, error) {
	if _, err := ParseLevel(string(level)); err != nil {
		return nil, err
	}
	before := make([]side, len(older))
	for i, o := range older {
		var err error
		if before[i], err = newSide(o.Text); err != nil {
			return nil, fmt.Errorf("reading %s: %w", o.Name, err)
		}
	}
	r := &review{places: newPlaces(text)}
	parsed, err := newSide(text)
	if err != nil {
		r.notAvro(text, err)
		return r.findings, nil
	}
	r.profile(subject, text, parsed)
	r.breaks(level, parsed, before, older)
	if record, ok := parsed.schema.(*avro.RecordSchema); ok {
		r.record = record
		r.alone()
		for i, s := range before {
			if was, ok := s.schema.(*avro.RecordSchema); ok {
				r.before = append(r.before, ancestor{name: older[i].Name, text: older[i].Text, record: was})
			}
		}
		r.history(text)
	}
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.findings, nil
}

// review is one run of [Review].
type review struct {
	places   places
	record   *avro.RecordSchema
	before   []ancestor
	findings []Finding
}

// ancestor is an older record by its name.
type ancestor struct {
	name, text string
	record     *avro.RecordSchema
}

// add adds a finding about what pointer points at.
func (r *review) add(pointer string, f Finding) {
	f.Line, f.Column = r.places.nearest(pointer)
	r.findings = append(r.findings, f)
}

// has says whether rule was found at field already.
func (r *review) has(rule, field string) bool {
	return slices.ContainsFunc(r.findings, func(f Finding) bool { return f.Rule == rule && f.Field == field && f.Side != OldReader })
}

// notAvro tells why text is no Avro schema, and where as far as that is known: at the syntax error, or at the first field
// without which, and all after it, it would be one.
func (r *review) notAvro(text string, reason error) {
	f := Finding{Rule: RuleNotAvro, Message: reason.Error(), Hint: "see https://avro.apache.org/docs/1.12.0/specification"}
	var raw map[string]any
	err := json.Unmarshal([]byte(text), &raw)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		f.Line, f.Column = position(text, int(max(0, syntax.Offset-1)))
		f.Message += ": " + syntax.Error()
		r.findings = append(r.findings, f)
		return
	}
	fields, _ := raw["fields"].([]any)
	at := ""
	for i := range min(len(fields), MaxFields) {
		raw["fields"] = fields[:i+1]
		start, err := json.Marshal(raw)
		if err != nil {
			break
		}
		if CheckAvro(string(start)) != nil {
			at = fieldPointer("", i)
			if field, ok := fields[i].(map[string]any); ok {
				f.Field, _ = field["name"].(string)
			}
			break
		}
	}
	r.add(at, f)
}

// profile tells what in the schema is outside the profile.
func (r *review) profile(subject, text string, parsed side) {
	_, err := ParseSchema(subject, text)
	outside, ok := errors.AsType[*ProfileError](err)
	if !ok {
		return
	}
	for _, fault := range outside.Faults {
		name, _, _ := strings.Cut(fault.Path, "[")
		message := fault.Message
		if fault.Path != "" {
			message = fmt.Sprintf("field %q: %s", fault.Path, fault.Message)
		}
		r.add(pointerTo(parsed.schema, name), Finding{Rule: RuleProfile, Field: fault.Path, Message: message, Hint: outside.Hint()})
	}
}

// pointerTo points at the field of that name in schema, or at the whole.
func pointerTo(schema avro.Schema, name string) string {
	if record, ok := schema.(*avro.RecordSchema); ok {
		for i, f := range record.Fields() {
			if f.Name() == name {
				return fieldPointer("", i)
			}
		}
	}
	return ""
}

// breaks tells the breaks at level, those with several older schemas as one.
func (r *review) breaks(level Level, parsed side, before []side, older []Older) {
	type group struct {
		side  Side
		m     mismatch
		names []string
	}
	var groups []*group
	known := make(map[[4]string]*group)
	compareAll(level, parsed, before, func(s Side, i int, m mismatch) {
		key := [4]string{string(s), string(m.kind), m.pointer + m.spot.field, m.message(voicesOf(s, ""))}
		if known[key] == nil {
			known[key] = &group{side: s, m: m}
			groups = append(groups, known[key])
		}
		known[key].names = append(known[key].names, older[i].Name)
	})
	for _, g := range groups {
		against := together(g.names)
		b := g.m.toBreak(g.side, against)
		r.add(g.m.spot.newer(g.side), Finding{
			Rule: strings.ToLower(string(b.Kind)), Side: g.side, Against: against, Field: b.Field, Message: b.Message, Hint: b.Hint,
		})
	}
}

// together is several names as one: "versions 1 to 3 and 5" for versions, which are in order, else a list.
func together(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	var runs []string
	var first, last int
	for i, name := range names {
		text, is := strings.CutPrefix(name, "version ")
		n, err := strconv.Atoi(text)
		if !is || err != nil {
			return listed(names)
		}
		if i == 0 || n != last+1 {
			first = n
			runs = append(runs, text)
		}
		last = n
		if last > first {
			runs[len(runs)-1] = fmt.Sprintf("%d to %d", first, last)
		}
	}
	if len(runs) == 1 && last == first+1 {
		return fmt.Sprintf("versions %d and %d", first, last)
	}
	return "versions " + listed(runs)
}

// listed joins names, of which there is one at least, as in a sentence.
func listed(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
