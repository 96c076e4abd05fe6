package cli

import (
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaDiffCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "diff",
		Usage: "show how the schemas differ from those that came last",
		Description: "Compares with the latest version of each subject in the registry, or with the last schema of --against, and names the columns and statements " +
			"that have to follow. Ends with 0 when there is no difference, and with 3 when there is one.\n\n" +
			"Examples:\n  webcheck schema diff\n  webcheck schema diff --against git:main --schemas schemas/events",
		Flags:  flags([]urfave.Flag{againstFlag(), schemasFlag(), subjectFlag("compare"), jsonFlag("each schema")}, schemaSections),
		Before: noArguments, Action: p.diffSchemas,
	}
}

func (p *program) diffSchemas(c *urfave.Context) error {
	judged, err := p.judged(c)
	if err != nil {
		return err
	}
	before, err := p.earlier(c, judged)
	if err != nil {
		return err
	}
	out, changed := newPrinter(p.Stdout, p.Env), 0
	for _, s := range judged {
		d, err := diffSchema(s, before[s.subject])
		if err != nil {
			return err
		}
		if d.Changed {
			changed++
		}
		if c.Bool("json") {
			if err := out.json(d); err != nil {
				return err
			}
			continue
		}
		out.schemaDiff(d)
	}
	if changed > 0 {
		return errSomethingDown
	}
	return nil
}

// earlier reads the schemas of which the last one of each subject is compared with.
func (p *program) earlier(c *urfave.Context, judged []judgedSchema) (earlierSchemas, error) {
	if c.IsSet("against") {
		return readSources(c)
	}
	registry, err := p.reachRegistry(c)
	if err != nil {
		return nil, err
	}
	return registeredVersions(c.Context, registry, judged)
}

// schemaDiff is how a schema differs from the one before it, as JSON too.
type schemaDiff struct {
	Subject string          `json:"subject"`
	File    string          `json:"file"`
	Against string          `json:"against,omitempty"` // empty: there is none
	Changed bool            `json:"changed"`
	Fields  []fieldChange   `json:"fields,omitempty"`
	Text    bool            `json:"text_only,omitempty"` // the text differs, and no field does
	SQL     []touchedColumn `json:"sql,omitempty"`
}

type fieldChange struct {
	Kind  schemas.ChangeKind `json:"kind"`
	Field string             `json:"field"`
	Was   string             `json:"was,omitempty"`
	What  []string           `json:"what,omitempty"`
	Line  int                `json:"line,omitempty"`
}

// touchedColumn is where a change of a field has to be followed in SQL.
type touchedColumn struct {
	Column     string   `json:"column"`
	Like       string   `json:"like,omitempty"` // another table, which is made like this one
	Statements []string `json:"statements"`
	File       string   `json:"file"`
}

// diffSchema compares s with the last one before it.
func diffSchema(s judgedSchema, before []schemas.Older) (schemaDiff, error) {
	d := schemaDiff{Subject: s.subject, File: s.file, Changed: true}
	if len(before) == 0 {
		return d, nil
	}
	last := before[len(before)-1]
	d.Against = last.Name
	changes, err := schemas.Diff(last.Text, s.text)
	if err != nil {
		return d, fmt.Errorf("comparing %s with %s: %w", s.file, last.Name, err)
	}
	d.Fields = fieldChanges(changes)
	d.Text = len(changes) == 0 && last.Text != s.text
	d.Changed = len(changes) > 0 || d.Text
	d.SQL = touchedColumns(s.name, changes)
	return d, nil
}

func fieldChanges(changes []schemas.FieldChange) []fieldChange {
	all := make([]fieldChange, 0, len(changes))
	for _, c := range changes {
		all = append(all, fieldChange{c.Kind, c.Field, c.Was, c.What, c.Line})
	}
	return all
}

// touchedColumns are the columns that changed fields of an event have: those of fields that are added, removed, renamed or get another
// type.
func touchedColumns(name string, changes []schemas.FieldChange) []touchedColumn {
	var all []touchedColumn
	for _, row := range vocabularies()[name].rows {
		for _, c := range changes {
			ofType := slices.ContainsFunc(c.What, func(what string) bool { return strings.HasPrefix(what, "type") })
			if c.Field != "" && (c.Kind != "changed" || ofType) {
				all = append(all, touchedColumn{row.table + "." + c.Field, row.like, row.statements, row.file})
			}
		}
	}
	return all
}

// schemaDiff writes the difference as "webcheck targets diff" does.
func (p *printer) schemaDiff(d schemaDiff) {
	switch {
	case d.Against == "":
		p.printf("%s", p.paint(green, fmt.Sprintf("+ %s  %s has nothing before it", printable(d.Subject), printable(d.File))))
		return
	case !d.Changed:
		p.printf("= %s  %s is as %s", printable(d.Subject), printable(d.File), printable(d.Against))
		return
	}
	p.printf("%s", p.paint(yellow, fmt.Sprintf("~ %s  %s against %s", printable(d.Subject), printable(d.File), printable(d.Against))))
	if d.Text {
		p.printf("    the text only: no field, default or doc")
	}
	for _, f := range d.Fields {
		p.printf("    %s", p.fieldChange(f))
	}
	if len(d.SQL) == 0 {
		return
	}
	columns := make([]string, len(d.SQL))
	for n, touched := range d.SQL {
		columns[n] = printable(touched.Column)
	}
	text := strings.Join(columns, ", ")
	if d.SQL[0].Like != "" {
		text += " (and " + d.SQL[0].Like + ", which is like it)"
	}
	p.printf("    in SQL: %s; %s of %s", text, strings.Join(d.SQL[0].Statements, ", "), d.SQL[0].File)
}

// fieldChange is one field's change in a line.
func (p *printer) fieldChange(f fieldChange) string {
	sign, colour := "~", yellow
	switch f.Kind {
	case "added":
		sign, colour = "+", green
	case "removed":
		sign, colour = "-", red
	}
	name := f.Field
	if f.Was != "" && f.Was != f.Field {
		name = f.Was + " -> " + f.Field
	}
	text := p.paint(colour, sign+" "+printable(name))
	if len(f.What) > 0 {
		text += "  " + printable(strings.Join(f.What, "; "))
	}
	return text
}
