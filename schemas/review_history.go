package schemas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"
)

// alone tells what is missing in the record whatever came before it.
func (r *review) alone() {
	if r.record.Doc() == "" {
		r.add("", Finding{Rule: RuleFieldWithoutDoc, Message: "the record has no doc", Hint: `say in "doc" what happened when this event is written`})
	}
	for i, f := range r.record.Fields() {
		if f.Doc() == "" {
			r.add(fieldPointer("", i), Finding{
				Rule: RuleFieldWithoutDoc, Field: f.Name(), Message: fmt.Sprintf("field %q has no doc", f.Name()),
				Hint: `say in "doc" what it is, in which unit, and when it is null`,
			})
		}
		if enum := enumIn(f.Type(), false); enum != nil && !enum.HasDefault() {
			r.add(fieldPointer("", i), Finding{
				Rule: RuleEnumWithoutDefault, Field: f.Name(),
				Message: fmt.Sprintf("the enum of field %q has no default symbol, so readers of this schema would refuse an event with a symbol that comes later", f.Name()),
				Hint:    fmt.Sprintf(`add "default" with one of its symbols, such as %q, to the enum`, enum.Symbols()[0]),
			})
		}
	}
}

// enumIn returns the first enum that a type is, or has as a branch; a mention of one counts too when it is followed.
func enumIn(schema avro.Schema, followed bool) *avro.EnumSchema {
	if followed {
		schema = dereference(schema)
	}
	switch t := schema.(type) {
	case *avro.EnumSchema:
		return t
	case *avro.UnionSchema:
		for _, branch := range t.Types() {
			if enum := enumIn(branch, followed); enum != nil {
				return enum
			}
		}
	}
	return nil
}

// history tells what changed since the older versions and should not.
func (r *review) history(text string) {
	if len(r.before) == 0 {
		return
	}
	for i, f := range r.record.Fields() {
		r.addition(i, f)
		r.symbols(i, f)
		r.unit(i, f)
	}
	// A build that is older than the last version may be deployed again.
	if !slices.ContainsFunc(r.before, func(a ancestor) bool { return a.text == text }) {
		r.reused()
		r.renamed()
	}
}

// last returns the version that the text would follow.
func (r *review) last() ancestor { return r.before[len(r.before)-1] }

// addition tells what is wrong with a field that some older version lacks.
func (r *review) addition(i int, f *avro.Field) {
	var lacking []string
	for _, a := range r.before {
		if len(writerFields(f, a.record)) == 0 {
			lacking = append(lacking, a.name)
		}
	}
	if len(lacking) == 0 {
		return
	}
	against := together(lacking)
	switch {
	case !f.HasDefault():
		if !r.has(strings.ToLower(string(ReaderFieldMissingDefault)), f.Name()) {
			r.add(fieldPointer("", i), Finding{
				Rule: RuleNewFieldWithoutDefault, Against: against, Field: f.Name(),
				Message: fmt.Sprintf("field %q has no default, and what %s wrote lacks it", f.Name(), against), Hint: defaultHint(f),
			})
		}
	// What the last version has already is too late to change.
	case len(writerFields(f, r.last().record)) == 0 && (!nullable(f.Type()) || f.Default() != nil):
		r.add(fieldPointer("", i), Finding{
			Rule: RuleNewFieldNotNullable, Against: against, Field: f.Name(),
			Message: fmt.Sprintf(`field %q is new and never null, so a replay could not tell its default from a value`, f.Name()),
			Hint:    `make its type ["null", T], and its default null`,
		})
	}
}

// symbols tells the symbols that older versions' enums have and f's lacks, but for those that break the reading anyway.
func (r *review) symbols(i int, f *avro.Field) {
	enum := enumIn(f.Type(), true)
	if enum == nil || !enum.HasDefault() {
		return
	}
	var gone, names []string
	for _, a := range r.before {
		for _, at := range writerFields(f, a.record) {
			was := enumIn(a.record.Fields()[at].Type(), true)
			if was == nil {
				continue
			}
			if missing := missingSymbols(enum, was); len(missing) > 0 {
				gone, names = append(gone, missing...), append(names, a.name)
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	slices.Sort(gone)
	gone = slices.Compact(gone)
	r.add(fieldPointer("", i), Finding{
		Rule: RuleRemovedSymbol, Side: NewReader, Against: together(names), Field: f.Name(),
		Message: fmt.Sprintf("the enum of field %q lacks %s, which %s wrote, so older events would be read as %q", f.Name(), quoted(gone), together(names), enum.Default()),
		Hint:    fmt.Sprintf("put %s back: a symbol that is written no more does no harm", quoted(gone)),
	})
}

// unit tells that f counts time in another unit than older versions did.
func (r *review) unit(i int, f *avro.Field) {
	now := momentOf(f.Type())
	var names []string
	for _, a := range r.before {
		for _, at := range writerFields(f, a.record) {
			was := momentOf(a.record.Fields()[at].Type())
			if isMoment(now) && isMoment(was) && now != was {
				names = append(names, a.name)
			}
		}
	}
	if len(names) > 0 {
		r.add(fieldPointer("", i), Finding{
			Rule: RuleChangedUnit, Side: NewReader, Against: together(names), Field: f.Name(),
			Message: fmt.Sprintf("field %q counts time in another unit than what %s wrote, so it would be read as another moment", f.Name(), together(names)),
			Hint:    "keep the logical type, and add a field of another name for the new one",
		})
	}
}

// momentOf returns the kind of the first branch of a type that is a time, or no such kind.
func momentOf(schema avro.Schema) kind {
	if union, ok := schema.(*avro.UnionSchema); ok {
		for _, branch := range union.Types() {
			if k := momentOf(branch); isMoment(k) {
				return k
			}
		}
		return kindNull
	}
	k, _ := kindOf(dereference(schema))
	return k
}

// reused tells the names that some older version had and a later one had not, unless the last has them again.
func (r *review) reused() {
	last := namesOf(r.last().record)
	for i, f := range r.record.Fields() {
		for _, name := range append([]string{f.Name()}, f.Aliases()...) {
			if last[name] {
				continue
			}
			at := slices.IndexFunc(r.before, func(a ancestor) bool { return namesOf(a.record)[name] })
			if at < 0 {
				continue
			}
			r.add(fieldPointer("", i), Finding{
				Rule: RuleReusedName, Against: r.before[at].name, Field: f.Name(),
				Message: fmt.Sprintf("%q was the name of a field of %s, which was removed since; older events would be read as if they had this one", name, r.before[at].name),
				Hint:    "take a name that was never used",
			})
		}
	}
}

// namesOf returns the names and aliases of a record's fields.
func namesOf(record *avro.RecordSchema) map[string]bool {
	names := make(map[string]bool)
	for _, f := range record.Fields() {
		names[f.Name()] = true
		for _, alias := range f.Aliases() {
			names[alias] = true
		}
	}
	return names
}

// renamed tells the fields that look like ones of the last version under another name.
func (r *review) renamed() {
	last := r.last()
	for _, p := range renames(last.record, r.record) {
		was, now := last.record.Fields()[p.was], r.record.Fields()[p.now]
		r.add(fieldPointer("", p.now), Finding{
			Rule: RuleRenamedWithoutAlias, Against: last.name, Field: now.Name(),
			Message: fmt.Sprintf("field %q of %s is gone and %q of the same type is new: if that is a new name, older events lose the value", was.Name(), last.name, now.Name()),
			Hint:    fmt.Sprintf(`add "aliases": [%q] to it; if it is another thing, remove the one and add the other in two versions`, was.Name()),
		})
	}
}

// rename is a pair of fields by their indices.
type rename struct{ was, now int }

// renames guesses which fields of older are those of newer under another name, without an alias that says so: of the same
// type, and after the same field that both have, or the only ones of that type.
func renames(older, newer *avro.RecordSchema) []rename {
	gone, added := unmatched(older, newer)
	var found []rename
	for _, was := range gone {
		typ := typeText(older.Fields()[was.index].Type())
		ofType := func(a place) bool { return typeText(newer.Fields()[a.index].Type()) == typ }
		at := slices.IndexFunc(added, func(a place) bool { return a.after == was.after && ofType(a) })
		if at < 0 && count(added, ofType) == 1 &&
			count(gone, func(g place) bool { return typeText(older.Fields()[g.index].Type()) == typ }) == 1 {
			at = slices.IndexFunc(added, ofType)
		}
		if at >= 0 {
			found = append(found, rename{was.index, added[at].index})
			added = slices.Delete(added, at, at+1)
		}
	}
	return found
}

// place is the index of a field, and the name of the last field before it that both records have.
type place struct {
	index int
	after string
}

// unmatched returns the fields of older that newer has not, and those of newer that older has not.
func unmatched(older, newer *avro.RecordSchema) (gone, added []place) {
	kept := make(map[int]string) // older's index to newer's name
	var after string
	for i, f := range newer.Fields() {
		sources := writerFields(f, older)
		if len(sources) == 0 {
			added = append(added, place{i, after})
			continue
		}
		after = f.Name()
		for _, at := range sources {
			kept[at] = f.Name()
		}
	}
	after = ""
	for i := range older.Fields() {
		if name, ok := kept[i]; ok {
			after = name
			continue
		}
		gone = append(gone, place{i, after})
	}
	return gone, added
}

func count[T any](all []T, is func(T) bool) int {
	var n int
	for _, one := range all {
		if is(one) {
			n++
		}
	}
	return n
}
