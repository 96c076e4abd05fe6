package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"webcheck/cli/evolve"
	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// Rules that the schema of an event breaks when Go or SQL do not follow it.
const (
	ruleNotInGo       = "not_in_go"
	ruleOtherTypeInGo = "other_type_in_go"
	ruleNotInSchema   = "not_in_schema"
	ruleNotInSQL      = "not_in_sql"
	ruleOtherInSQL    = "other_type_in_sql"
	ruleOtherOrder    = "other_order"
)

// eventRow is a table that takes each field of an event as a column.
type eventRow struct {
	table      string
	like       string   // a temporary table that is made like it; empty: none
	collate    bool     // whether its texts compare by byte
	file       string   // of the statements
	statements []string // that name every column
	row        reflect.Type
}

// vocabulary is where the fields of an event are, besides its schema: as a struct and as the rows that it becomes.
type vocabulary struct {
	event reflect.Type
	rows  []eventRow
}

// vocabularies are those of this build's events, by the record's full name.
func vocabularies() map[string]vocabulary {
	return map[string]vocabulary{
		"webcheck.TargetDefined": {reflect.TypeFor[event.TargetDefined](), []eventRow{
			{"definitions", "", true, "queries/folds.sql", []string{"InsertDefinition"}, reflect.TypeFor[db.InsertDefinitionParams]()},
		}},
		"webcheck.CheckCompleted": {reflect.TypeFor[event.CheckCompleted](), []eventRow{
			{"checks", "incoming_checks", true, "queries/checks.sql", []string{"CopyChecks", "CopyIncomingChecks", "MergeIncomingChecks"}, reflect.TypeFor[db.CopyChecksParams]()},
		}},
		"webcheck.TargetTransitioned": {reflect.TypeFor[event.TargetTransitioned](), []eventRow{
			{"outbox", "", false, "queries/folds.sql", []string{"InsertOutbox"}, reflect.TypeFor[db.InsertOutboxParams]()},
		}},
	}
}

// drift finds where this build's structs and rows are not what a schema says. They are made of the schemas by "make generate", so
// those of the build itself agree; of a directory that was edited it tells what has to follow.
func drift(s judgedSchema) []schemas.Finding {
	parsed, err := schemas.ParseSchema(s.subject, s.text)
	if err != nil {
		return nil // what is wrong is found elsewhere
	}
	d := &drifting{schema: s, words: vocabularies()[s.name], fields: parsed.Fields()}
	d.names = structNames(d.words.event)
	for n, f := range d.fields {
		d.checkGo(n, f)
		for _, row := range d.words.rows {
			d.checkRow(n, f, row)
		}
	}
	d.checkGone()
	d.checkOrder()
	return d.findings
}

// drifting looks at one schema.
type drifting struct {
	schema   judgedSchema
	words    vocabulary
	fields   []schemas.Field
	names    map[string]string // of the struct's fields, by the schema's name
	findings []schemas.Finding
}

// found notes a fault of the schema's n-th field; -1 is the record.
func (d *drifting) found(n int, rule, hint, message string, arguments ...any) {
	f := schemas.Finding{Rule: rule, Message: fmt.Sprintf(message, arguments...), Hint: hint}
	pointer := ""
	if n >= 0 {
		f.Field, pointer = d.fields[n].Name, fmt.Sprintf("/fields/%d", n)
	}
	f.Line, f.Column = schemas.Locate(d.schema.text, pointer)
	d.findings = append(d.findings, f)
}

// checkGo looks for the struct's field.
func (d *drifting) checkGo(n int, f schemas.Field) {
	is, found := d.words.event.FieldByName(d.names[f.Name])
	switch want := goType(f); {
	case !found:
		d.found(n, ruleNotInGo, `run "make generate", and build again`, "this build's %s has no such field", d.words.event)
	case is.Type != want:
		d.found(n, ruleOtherTypeInGo, `run "make generate", and build again`, "this build's %s has the type %s, and %s is expected", d.words.event, is.Type, want)
	}
}

// checkRow looks for the column.
func (d *drifting) checkRow(n int, f schemas.Field, row eventRow) {
	is, found := row.field(f.Name, d.names)
	switch want, old := goType(f), d.oldName(f); {
	case !found && old != "":
		hint := fmt.Sprintf(`in a new file of queries/migrations: %s then name it in place of %s in %s of %s, and run "make generate"; the old column stays while a processor of the build before runs`,
			fmt.Sprintf("ALTER TABLE %[1]s ADD COLUMN %[2]s %[3]s; UPDATE %[1]s SET %[2]s = %[4]s;", row.table, quoteColumn(f.Name), row.sqlType(f), quoteColumn(old)),
			old, andList(row.statements), row.file)
		d.found(n, ruleNotInSQL, hint, "the table %s has no such column, but %s, the field's old name", row.table, old)
	case !found:
		hint := fmt.Sprintf(`in a new file of queries/migrations: %s then name the column in %s of %s, in the place that it has in the schema, and run "make generate"`,
			fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s;", row.table, quoteColumn(f.Name), row.sqlType(f)), andList(row.statements), row.file)
		d.found(n, ruleNotInSQL, hint, "the table %s has no such column", row.table)
	case is.Type != want:
		hint := fmt.Sprintf(`in a new file of queries/migrations: %s then run "make generate"`, row.alterType(f, is.Type))
		d.found(n, ruleOtherInSQL, hint, "the column of %s has the type %s in Go, and %s is expected", row.table, is.Type, want)
	}
}

// oldName is the name that a renamed field has in this build; empty where it is new.
func (d *drifting) oldName(f schemas.Field) string {
	for _, alias := range f.Aliases {
		if d.names[alias] != "" {
			return alias
		}
	}
	return ""
}

// alterType is the statement that makes the column one for f.
func (r eventRow) alterType(f schemas.Field, is reflect.Type) string {
	column := quoteColumn(f.Name)
	if isPointer := is.Kind() == reflect.Pointer; isPointer != f.Nullable && (isPointer && is.Elem() == goType(f) || !isPointer && is == goType(f).Elem()) {
		if f.Nullable {
			return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL;", r.table, column)
		}
		return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;", r.table, column)
	}
	return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s;", r.table, column, r.sqlType(f))
}

// checkGone looks for fields of the struct that the schema does not have any more.
func (d *drifting) checkGone() {
	for field := range d.words.event.Fields() {
		name := field.Tag.Get("avro")
		if !slices.ContainsFunc(d.fields, func(f schemas.Field) bool { return f.Name == name || d.oldName(f) == name }) {
			d.found(-1, ruleNotInSchema, fmt.Sprintf(`take the column out of %s, and run "make generate"; the table may keep it`, d.statements()),
				"this build's %s has the field %q, which is not in the schema", d.words.event, name)
		}
	}
}

// checkOrder looks for the first field that this build has in another place: a struct only converts to one in the same order.
func (d *drifting) checkOrder() {
	var order []string
	for field := range d.words.event.Fields() {
		order = append(order, field.Tag.Get("avro"))
	}
	order = slices.DeleteFunc(order, func(name string) bool {
		return !slices.ContainsFunc(d.fields, func(f schemas.Field) bool { return f.Name == name })
	})
	for n, f := range d.fields {
		switch {
		case !slices.Contains(order, f.Name):
		case order[0] != f.Name:
			d.found(n, ruleOtherOrder, fmt.Sprintf(`put the columns of %s into the order of the schema, and run "make generate"`, d.statements()),
				"this build's %s has %q here", d.words.event, order[0])
			return
		default:
			order = order[1:]
		}
	}
}

// statements names what writes the event's columns.
func (d *drifting) statements() string {
	var all []string
	for _, row := range d.words.rows {
		all = append(all, andList(row.statements)+" of "+row.file)
	}
	return strings.Join(all, ", ")
}

// structNames are the names of an event's fields in Go, by those in the schema.
func structNames(t reflect.Type) map[string]string {
	names := make(map[string]string)
	for f := range t.Fields() {
		names[f.Tag.Get("avro")] = f.Name
	}
	return names
}

// field is the column for a field of the schema. The column of one that the event does not have yet is known by its letters.
func (r eventRow) field(name string, names map[string]string) (reflect.StructField, bool) {
	if known, is := names[name]; is {
		return r.row.FieldByName(known)
	}
	letters := strings.ReplaceAll(name, "_", "")
	return r.row.FieldByNameFunc(func(candidate string) bool { return strings.EqualFold(candidate, letters) })
}

// goTypes are the types that "make generate" gives to a field and to a column that are not null.
var goTypes = map[string]reflect.Type{
	"boolean": reflect.TypeFor[bool](), "int": reflect.TypeFor[int32](), "long": reflect.TypeFor[int64](),
	"float": reflect.TypeFor[float32](), "double": reflect.TypeFor[float64](), "bytes": reflect.TypeFor[[]byte](),
	"string": reflect.TypeFor[string](), "enum": reflect.TypeFor[string](), "uuid": reflect.TypeFor[string](),
	"date": reflect.TypeFor[time.Time](), "timestamp-millis": reflect.TypeFor[time.Time](), "timestamp-micros": reflect.TypeFor[time.Time](),
}

// goType is the type that f has to have; bytes where this program has no field of such a type.
func goType(f schemas.Field) reflect.Type {
	typ, known := goTypes[f.Type]
	if !known {
		typ = goTypes["bytes"]
	}
	if f.Nullable {
		return reflect.PointerTo(typ)
	}
	return typ
}

// sqlType is the type of the column that takes f, with what stands behind it.
func (r eventRow) sqlType(f schemas.Field) string { return evolve.ColumnType(f.Type, r.collate) }

// quoteColumn quotes a name that PostgreSQL reserves.
func quoteColumn(name string) string {
	if evolve.IsReserved(name) {
		return `"` + name + `"`
	}
	return name
}
