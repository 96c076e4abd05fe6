package evolve

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"webcheck/schemas"
)

// Names of fields are those of columns and, in another spelling, of Go, so they have words of small letters.
var (
	fieldName  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$`)
	symbolName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// maxNameBytes is the length of a name that PostgreSQL does not cut.
const maxNameBytes = 63

// checkNew refuses a field that may not come to the schema: by its name, its type, or without a word on what it is.
func (d *draft) checkNew() error {
	name := d.Change.Name
	if d.Change.Kind == RenameField {
		name = d.Change.To
	} else if _, known := typeOf(d.Change.Type); !known {
		return refuse("the types are "+strings.Join(Types(), ", "), "a field cannot have the type %q", d.Change.Type)
	} else if err := checkDoc(name, d.Change.Doc); err != nil {
		return err
	}
	switch {
	case !fieldName.MatchString(name) || len(name) > maxNameBytes:
		return refuse("write it as the others are: words of small letters and digits with _ between them, such as first_byte_us", "%q is no name for a field", name)
	case IsReserved(name):
		return refuse("take another name", "PostgreSQL reserves the name %q", name)
	}
	for _, f := range d.schema.Fields() {
		if f.Name == name {
			return refuse("take another name", "%s has a field %q", d.Change.Event, name)
		}
		if goName(f.Name) == goName(name) {
			return refuse("take another name", "in Go %q would be called %s, as %q is", name, goName(name), f.Name)
		}
	}
	if version, err := d.used(name); err != nil {
		return err
	} else if version != "" {
		return refuse("take a name that was never used: older events have something else under this one", "%q was a field of %s", name, version)
	}
	columns, err := d.columns()
	if err != nil {
		return err
	}
	if _, is := columns[name]; is {
		return refuse("take another name", "the table %s has a column %q", d.event.table, name)
	}
	return nil
}

// checkDoc refuses a doc that is none, or no line of text.
func checkDoc(name, doc string) error {
	if strings.TrimSpace(doc) == "" {
		return refuse(`say it with --doc "What it is, in which unit, and when it is null."`, "nothing says what %q is", name)
	}
	if strings.ContainsFunc(doc, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\uFFFD' }) {
		return refuse("write one line of text", "the doc of %q has control characters or is not UTF-8", name)
	}
	return nil
}

// used names the last version that had the name, as a field or an alias; empty when none had.
func (d *draft) used(name string) (string, error) {
	last := ""
	for _, o := range d.older {
		s, err := schemas.ParseSchema(d.event.subject(), o.Text)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", o.Name, err)
		}
		for _, f := range s.Fields() {
			if f.Name == name || slices.Contains(f.Aliases, name) {
				last = o.Name
			}
		}
	}
	return last, nil
}

// field finds the field that the change is about.
func (d *draft) field() (schemas.Field, bool) {
	fields := d.schema.Fields()
	i := slices.IndexFunc(fields, func(f schemas.Field) bool { return f.Name == d.Change.Name })
	if i < 0 {
		return schemas.Field{}, false
	}
	return fields[i], true
}

// checkOld refuses to remove or rename a field that is not there, or that somebody relies on.
func (d *draft) checkOld() error {
	f, is := d.field()
	if !is {
		var names []string
		for _, f := range d.schema.Fields() {
			names = append(names, f.Name)
		}
		return refuse("its fields are "+strings.Join(names, ", "), "%s has no field %q", d.Change.Event, d.Change.Name)
	}
	if !f.Nullable {
		return refuse("keep it, and add a field beside it", "field %q is never null: programs of the build before, and the column of %s, need a value", f.Name, d.event.table)
	}
	if len(d.schema.Fields()) == 1 {
		return refuse("keep it", "field %q is the only one", f.Name)
	}
	return nil
}

// addToSchema adds the field at the end, because a row has its columns in the order of the fields.
func (d *draft) addToSchema() error {
	doc := strings.TrimSpace(d.Change.Doc)
	if !strings.HasSuffix(doc, ".") {
		doc += "."
	}
	d.Change.Doc = doc
	t, _ := typeOf(d.Change.Type)
	line := fmt.Sprintf(`    {"name": %s, "type": ["null", %s], "default": null, "doc": %s}`, quote(d.Change.Name), t.avro, quote(doc))
	last := d.schema.Fields()[len(d.schema.Fields())-1].Name
	return d.edit(d.file, fmt.Sprintf("field %q of type %s, null unless given", d.Change.Name, t.name), func(text string) string {
		at := fieldLine(last).FindStringIndex(text)
		if at == nil {
			return text
		}
		return text[:at[1]] + ",\n" + line + text[at[1]:]
	})
}

// removeFromSchema takes the field's line out.
func (d *draft) removeFromSchema() error {
	return d.edit(d.file, fmt.Sprintf("without the field %q", d.Change.Name), func(text string) string {
		at := fieldLine(d.Change.Name).FindStringIndex(text)
		switch {
		case at == nil:
			return text
		case text[at[1]] == ',':
			return text[:at[0]] + strings.TrimPrefix(text[at[1]:], ",\n")
		}
		return strings.TrimSuffix(text[:at[0]], ",\n") + text[at[1]:]
	})
}

// renameInSchema gives the field its new name, and the old one as an alias.
func (d *draft) renameInSchema() error {
	return d.edit(d.file, fmt.Sprintf("field %q is called %q, and was called so by an alias", d.Change.Name, d.Change.To), func(text string) string {
		at := fieldLine(d.Change.Name).FindStringIndex(text)
		if at == nil {
			return text
		}
		line := text[at[0]:at[1]]
		old, renamed := `"name": `+quote(d.Change.Name), `"name": `+quote(d.Change.To)
		if f, _ := d.field(); len(f.Aliases) > 0 {
			line = strings.Replace(line, `"aliases": [`, `"aliases": [`+quote(d.Change.Name)+", ", 1)
		} else {
			renamed += fmt.Sprintf(`, "aliases": [%s]`, quote(d.Change.Name))
		}
		return text[:at[0]] + strings.Replace(line, old, renamed, 1) + text[at[1]:]
	})
}

// addSymbolToSchema adds the symbol as the enum's last.
func (d *draft) addSymbolToSchema() error {
	c := d.Change
	if !symbolName.MatchString(c.To) || len(c.To) > maxNameBytes {
		return refuse("write it as the others are: small letters, digits and _", "%q is no name for a symbol", c.To)
	}
	text, err := d.read(d.file)
	if err != nil {
		return err
	}
	at := enumSymbols(c.Name).FindStringSubmatchIndex(text)
	if at == nil {
		return refuse("its enums are "+strings.Join(enumsOf(text), ", "), "%s has no enum %q", c.Event, c.Name)
	}
	if strings.Contains(text[at[2]:at[3]], quote(c.To)) {
		return refuse("nothing has to be done", "%s has the symbol %q", c.Name, c.To)
	}
	return d.edit(d.file, fmt.Sprintf("symbol %q of %s; a reader that does not know it reads %q", c.To, c.Name, text[at[4]:at[5]]), func(text string) string {
		return text[:at[3]] + ", " + quote(c.To) + text[at[3]:]
	})
}

// fieldLine finds the line of a field: the file has one a field.
func fieldLine(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^    \{"name": ` + quote(name) + `, .*\}`)
}

// enumSymbols finds the symbols of an enum, and its default.
func enumSymbols(name string) *regexp.Regexp {
	return regexp.MustCompile(`"type": "enum", "name": ` + regexp.QuoteMeta(quote(name)) + `, "symbols": \[([^\]]*)\], "default": "([^"]*)"`)
}

// enumsOf lists the enums that a schema defines.
func enumsOf(text string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`"type": "enum", "name": "([^"]*)"`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// quote writes a text as JSON does, but for <, > and &, which need no escape here.
func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text always has a form
	return strings.TrimSuffix(b.String(), "\n")
}
