package evolve

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxLine is where a list of columns goes on in the next line.
const maxLine = 120

// addToStatements names the new column wherever all are named.
func (d *draft) addToStatements() error {
	fields := d.schema.Fields()
	last := fields[len(fields)-1].Name
	if err := d.editPlaces("with the column "+d.Change.Name, func(text string) string {
		return addParameter(addToLists(text, last, d.Change.Name))
	}); err != nil || d.event.table != "definitions" {
		return err
	}
	return d.fillDefinitions()
}

// fillDefinitions lets a definition that an older processor stored be filled by a newer one: it is kept by what its version says,
// so that reading it again would not write it.
func (d *draft) fillDefinitions() error {
	const file = "queries/folds.sql"
	name := d.Change.Name
	return d.editPlace(d.event.places[0], func(text string) string {
		text = strings.Replace(text, "SET defined_at = excluded.defined_at", "SET defined_at = least(kept.defined_at, excluded.defined_at)", 1)
		set := fmt.Sprintf(",\n    %[1]s = coalesce(kept.%[1]s, excluded.%[1]s)\nWHERE ", name)
		text = strings.Replace(text, "\nWHERE ", set, 1)
		return strings.Replace(text, "\nRETURNING ", fmt.Sprintf("\n    OR kept.%[1]s IS NULL AND excluded.%[1]s IS NOT NULL\nRETURNING ", name), 1)
	}, fmt.Sprintf("InsertDefinition of %s fills the column %s of a definition that was stored without", file, name))
}

// removeFromStatements names the column no more.
func (d *draft) removeFromStatements() error {
	filled := regexp.MustCompile(fmt.Sprintf(`,\n    %[1]s = coalesce\(kept\.%[1]s, excluded\.%[1]s\)|\n    OR kept\.%[1]s IS NULL AND excluded\.%[1]s IS NOT NULL`, d.Change.Name))
	if err := d.editPlaces("without the column "+d.Change.Name, func(text string) string {
		return removeParameter(removeFromLists(filled.ReplaceAllString(text, ""), d.Change.Name))
	}); err != nil {
		return err
	}
	return d.findOthers(d.Change.Name)
}

// renameInStatements names the new column in place of the old one.
func (d *draft) renameInStatements() error {
	old := regexp.MustCompile(`\b` + d.Change.Name + `\b`)
	if err := d.editPlaces(fmt.Sprintf("with the column %s in place of %s", d.Change.To, d.Change.Name), func(text string) string {
		return old.ReplaceAllString(text, d.Change.To)
	}); err != nil {
		return err
	}
	return d.findOthers(d.Change.Name)
}

// editPlaces changes all places that name every column.
func (d *draft) editPlaces(did string, change func(text string) string) error {
	for _, p := range d.event.places {
		if err := d.editPlace(p, change, p.name+" "+did); err != nil {
			return err
		}
	}
	return nil
}

// editPlace changes a part of a file.
func (d *draft) editPlace(p place, change func(text string) string, did string) error {
	return d.edit(p.file, did, func(text string) string {
		at := strings.Index(text, p.begin)
		if at < 0 {
			return text
		}
		end := len(text)
		if n := strings.Index(text[at:], p.end); n >= 0 {
			end = at + n
		}
		return text[:at] + change(text[at:end]) + text[end:]
	})
}

// addToLists adds a column to each list that ends with last: of columns, of expressions, of values.
func addToLists(text, last, column string) string {
	end := regexp.MustCompile(`(excluded\.)?\b` + last + `(\s*\)|\s*\nFROM )`)
	var b strings.Builder
	from := 0
	for _, m := range end.FindAllStringSubmatchIndex(text, -1) {
		if line := text[strings.LastIndexByte(text[:m[0]], '\n')+1 : m[0]]; strings.Contains(line, "coalesce(") {
			continue // see fillDefinitions
		}
		b.WriteString(text[from:m[4]])
		name := column
		if m[2] >= 0 {
			name = "excluded." + column
		}
		b.WriteString(goOn(text[:m[4]], name))
		from = m[4]
	}
	return b.String() + text[from:]
}

// goOn is what adds name to a list that ends text: in its line, or in the next one where there is no room.
func goOn(text, name string) string {
	line := text[strings.LastIndexByte(text, '\n')+1:]
	if len(line)+len(name)+3 < maxLine {
		return ", " + name
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if indent == "" {
		indent = "    "
	}
	return ",\n" + indent + name
}

var lastParameter = regexp.MustCompile(`(?s)VALUES \(.*?(,\s*\$([0-9]+))\s*\)`)

// addParameter adds the next $n to the values of an INSERT, if the statement has any.
func addParameter(text string) string {
	m := lastParameter.FindStringSubmatchIndex(text)
	if m == nil {
		return text
	}
	last, _ := strconv.Atoi(text[m[4]:m[5]]) // digits, of which there are few
	return text[:m[5]] + goOn(text[:m[5]], "$"+strconv.Itoa(last+1)) + text[m[5]:]
}

// removeParameter takes the last $n out.
func removeParameter(text string) string {
	m := lastParameter.FindStringSubmatchIndex(text)
	if m == nil {
		return text
	}
	return text[:m[2]] + text[m[3]:]
}

// removeFromLists takes a column out of the lists that are written, not out of what a statement gives back.
func removeFromLists(text, column string) string {
	lists, rest := text, ""
	if at := strings.Index(text, "\nRETURNING "); at >= 0 {
		lists, rest = text[:at], text[at:]
	}
	lists = regexp.MustCompile(`,\s+(excluded\.)?\b`+column+`(\s*\)|\s*\nFROM )`).ReplaceAllString(lists, "$2")
	lists = regexp.MustCompile(`([\s(])(?:excluded\.)?\b`+column+`,(\s)`).ReplaceAllStringFunc(lists, func(m string) string {
		if first, last := m[0], m[len(m)-1]; last == '\n' && first == ' ' {
			return "\n" // the line ends with the name before
		}
		return m[:1]
	})
	return regexp.MustCompile(`\n[ \t]*\n([ \t])`).ReplaceAllString(lists, "\n$1") + rest
}
