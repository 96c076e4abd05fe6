package evolve

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"webcheck/schemas"
)

const changelogFile = "schemas/CHANGELOG.md"

// addToGo names the field where an event is made of its row field by field: the compiler does not miss it there.
func (d *draft) addToGo() error {
	if d.event.goCopy.name == "" {
		return nil
	}
	name := goName(d.Change.Name)
	return d.editPlace(d.event.goCopy, func(text string) string {
		return strings.TrimSuffix(text, ",\n\t}") + fmt.Sprintf(", %[1]s: row.%[1]s,\n\t}", name)
	}, d.event.goCopy.name+" with "+name)
}

// removeFromGo takes the field out there.
func (d *draft) removeFromGo() error {
	if d.event.goCopy.name == "" {
		return nil
	}
	name := goName(d.Change.Name)
	return d.editPlace(d.event.goCopy, func(text string) string {
		return regexp.MustCompile(`[ \t]\b`+name+`: row\.`+name+`,`).ReplaceAllString(text, "")
	}, d.event.goCopy.name+" without "+name)
}

// renameInGo renames the field there.
func (d *draft) renameInGo() error {
	if d.event.goCopy.name == "" {
		return nil
	}
	old, name := goName(d.Change.Name), goName(d.Change.To)
	return d.editPlace(d.event.goCopy, func(text string) string {
		return regexp.MustCompile(`\b`+old+`\b`).ReplaceAllString(text, name)
	}, fmt.Sprintf("%s with %s in place of %s", d.event.goCopy.name, name, old))
}

// findOthers tells which other statements mention the column.
func (d *draft) findOthers(column string) error {
	files, err := fs.Glob(d.checkout, "queries/*.sql")
	if err != nil {
		return err
	}
	mention := regexp.MustCompile(`\b` + column + `\b`)
	for _, file := range files {
		text, err := d.read(file)
		if err != nil {
			return err
		}
		statement := ""
		for n, line := range strings.Split(text, "\n") {
			if name, is := strings.CutPrefix(line, "-- name: "); is {
				statement, _, _ = strings.Cut(name, " ")
			}
			if mention.MatchString(line) && !strings.HasPrefix(line, "--") && !d.names(file, statement) {
				d.Left = append(d.Left, fmt.Sprintf("%s:%d: %s reads a column %s: if it is that of %s, decide what it reads of new events", file, n+1, statement, column, d.event.table))
			}
		}
	}
	return nil
}

// names reports whether the statement is one of those that name every column.
func (d *draft) names(file, statement string) bool {
	return slices.ContainsFunc(d.event.places, func(p place) bool { return p.file == file && p.name == statement })
}

// addToChangelog says in one line what the version changed.
func (d *draft) addToChangelog() error {
	c := d.Change
	said := map[Kind]string{
		AddField:    fmt.Sprintf("field `%s` (%s) added: %s", c.Name, c.Type, c.Doc),
		RemoveField: fmt.Sprintf("field `%s` removed; its name is not used again.", c.Name),
		RenameField: fmt.Sprintf("field `%s` is called `%s`; readers find the old name by an alias.", c.Name, c.To),
		AddSymbol:   fmt.Sprintf("symbol `%s` added to `%s`.", c.To, c.Name),
	}[c.Kind]
	line, did := fmt.Sprintf("- v%d: %s", d.Version, said), fmt.Sprintf("v%d of %s", d.Version, c.Event)
	if again := d.again(); again != "" {
		line = fmt.Sprintf("- %s The schema is %s again.", said, again)
		did = again + " again, so that it needs no other"
	}
	return d.edit(changelogFile, did, func(text string) string {
		begin := strings.Index(text, "\n## "+c.Event+"\n")
		if begin < 0 {
			return text
		}
		end := len(text)
		if n := strings.Index(text[begin+1:], "\n## "); n >= 0 {
			end = begin + 1 + n
		}
		return strings.TrimRight(text[:end], "\n") + "\n" + line + "\n" + text[end:]
	})
}

// again names the version that the new schema is once more; empty when it is a new one.
func (d *draft) again() string {
	i := slices.IndexFunc(d.older, func(o schemas.Older) bool { return o.Text == d.Files[d.file] })
	if i < 0 {
		return ""
	}
	return d.older[i].Name
}
