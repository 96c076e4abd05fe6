package evolve

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

const migrationsDir = "queries/migrations"

// columns are the columns that the migrations give the event's table, with the text behind their names.
func (d *draft) columns() (map[string]string, error) {
	files, err := fs.Glob(d.checkout, migrationsDir+"/*.sql")
	if err != nil {
		return nil, err
	}
	columns := make(map[string]string)
	create := regexp.MustCompile(`(?s)CREATE TABLE ` + d.event.table + ` \((.*?)\n\)`)
	line := regexp.MustCompile(`(?m)^\s+"?([a-z_0-9]+)"?\s+([^,\n]*)`)
	alter := regexp.MustCompile(`ALTER TABLE ` + d.event.table + ` (ADD|DROP) COLUMN (?:IF (?:NOT )?EXISTS )?"?([a-z_0-9]+)"?([^;]*);`)
	for _, file := range files {
		text, err := d.read(file)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(text, "-- +goose Down")
		if m := create.FindStringSubmatch(up); m != nil {
			for _, column := range line.FindAllStringSubmatch(m[1], -1) {
				columns[column[1]] = column[2]
			}
		}
		for _, m := range alter.FindAllStringSubmatch(up, -1) {
			if m[1] == "DROP" {
				delete(columns, m[2])
				continue
			}
			columns[m[2]] = strings.TrimSpace(m[3])
		}
	}
	if len(columns) == 0 {
		return nil, refuse("run it in a checkout of webcheck", "no migration makes the table %s", d.event.table)
	}
	return columns, nil
}

// migrateAdded adds the column. It is null in the rows that are there, which no server has to write for that.
func (d *draft) migrateAdded() error {
	t, _ := typeOf(d.Change.Type)
	if t.name == "bytes" {
		if err := d.overrideBytes(d.Change.Name); err != nil {
			return err
		}
	}
	about := fmt.Sprintf("The field %s of %s: %s Null where a processor of the build before wrote the row.", d.Change.Name, d.Change.Event, d.Change.Doc)
	return d.migrate(d.Change.Name, about,
		fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s;", d.event.table, d.Change.Name, ColumnType(t.name, d.event.collate)),
		fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s;", d.event.table, d.Change.Name))
}

// migrateRenamed adds a column for the new name and fills it from the old one, which stays: processors of the build before write it.
func (d *draft) migrateRenamed() error {
	f, _ := d.field()
	columns, err := d.columns()
	if err != nil {
		return err
	}
	typ, is := columns[f.Name]
	if !is || strings.Contains(typ, "NOT NULL") {
		return refuse("keep the field, and add one beside it", "the table %s has no column %q that may be null", d.event.table, f.Name)
	}
	typ, _, _ = strings.Cut(typ, " --")
	if f.Type == "bytes" {
		if err := d.overrideBytes(d.Change.To); err != nil {
			return err
		}
	}
	about := fmt.Sprintf("The field %[1]s of %[3]s is called %[2]s. Both columns stay until no processor runs that writes %[1]s: then fill once more what "+
		"is null, and drop it.", f.Name, d.Change.To, d.Change.Event)
	return d.migrate(d.Change.To, about,
		fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s;\n%s", d.event.table, d.Change.To, strings.TrimSpace(typ), fill(d.event.table, d.Change.To, f.Name)),
		fmt.Sprintf("%s\nALTER TABLE %s DROP COLUMN %s;", fill(d.event.table, f.Name, d.Change.To), d.event.table, d.Change.To))
}

// fill is the statement that fills one column from another where it is null.
func fill(table, to, from string) string {
	return fmt.Sprintf("UPDATE %[1]s SET %[2]s = %[3]s WHERE %[2]s IS NULL AND %[3]s IS NOT NULL;", table, to, from)
}

// migrate writes the next migration.
func (d *draft) migrate(column, about, up, down string) error {
	files, err := fs.Glob(d.checkout, migrationsDir+"/*.sql")
	if err != nil {
		return err
	}
	number := 0
	for _, file := range files {
		digits, _, _ := strings.Cut(path.Base(file), "_")
		if n, err := strconv.Atoi(digits); err == nil {
			number = max(number, n)
		}
	}
	name := fmt.Sprintf("%s/%05d_%s_%s.sql", migrationsDir, number+1, d.event.table, column)
	d.Files[name] = fmt.Sprintf("-- +goose Up\n\n%s%s\n\n-- +goose Down\n%s\n", comment(about), up, down)
	first, _, _ := strings.Cut(up, "\n")
	d.Did = append(d.Did, name+": "+first)
	return nil
}

// comment writes a text as lines of SQL's comments.
func comment(text string) string {
	var b strings.Builder
	line := "--"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > maxLine {
			b.WriteString(line + "\n")
			line = "--"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// overrideBytes tells sqlc that a column of bytes is a pointer where it may be null, as avrogen has it. It takes a slice else, for which
// there is no rule for all: a dead letter's key is one.
func (d *draft) overrideBytes(column string) error {
	return d.edit("sqlc.yaml", "the type of "+column+" in Go", func(text string) string {
		for _, table := range append([]string{d.event.table}, d.event.copies...) {
			text += fmt.Sprintf("          - {column: %s.%s, nullable: true, go_type: {type: \"[]byte\", pointer: true}}\n", table, column)
		}
		return text
	})
}
