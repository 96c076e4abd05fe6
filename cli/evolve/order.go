package evolve

import (
	"fmt"
	"strings"
)

// leave says what no program can do for a person.
func (d *draft) leave() {
	c := d.Change
	if c.Kind == AddField {
		d.Left = append(d.Left, fmt.Sprintf("fill %s in %s: until then it is null in every event", goName(c.Name), d.event.writer))
	}
	if c.Kind != AddSymbol {
		return
	}
	d.Left = append(d.Left, fmt.Sprintf("write the symbol in %s: until then no event has it", d.event.writer))
	switch c.Name {
	case "Outcome":
		d.Left = append(d.Left, "decide what the folds make of it before anybody writes it: a strip has two bits for an outcome, and four outcomes take them all (processor/strip.go)")
	case "TargetState":
		d.Left = append(d.Left, "decide which checks bring a target into that state, and what the columns of states then say (processor/location.go, processor/change.go)")
	case "Failure":
		d.Left = append(d.Left, `read the doc of the field again: "From overload on" speaks of the order of the symbols, and the new one is the last`)
	}
}

// order says how to deploy the change.
func (d *draft) order() {
	switch d.Change.Kind {
	case AddField:
		d.Order = d.orderOfAdding()
	case RemoveField:
		d.Order = d.orderOfRemoving()
	case RenameField:
		d.Order = d.orderOfRenaming()
	case AddSymbol:
		d.Order = d.orderOfSymbol()
	}
}

const (
	stepMigrate  = "webcheck db migrate: programs of the build before go on, and do not see the column"
	stepRegister = "webcheck schema check, then webcheck schema register"
)

// orderOfAdding ends with why either order works, which differs from event to event.
func (d *draft) orderOfAdding() []string {
	steps := []string{stepMigrate, stepRegister}
	switch d.Change.Event {
	case "TargetDefined":
		return append(steps, "processors, then probers and whoever publishes definitions, one by one",
			"Either order works: a program of the build before passes over the field; a processor leaves the column null, and one of the new build "+
				"fills it when it starts, because it reads all definitions then.")
	case "TargetTransitioned":
		return append(steps, "processors, one by one",
			"Either order works: whoever reads transitions passes over a field that it does not know, and reads null where a processor of the build before wrote.")
	}
	return append(steps, "processors, one by one", "probers, one by one",
		"Either order works: a processor of the build before passes over the field and leaves the column null, and webcheck replay with one of the new "+
			"build fills it; a processor of the new build reads null where a prober of the build before wrote.")
}

func (d *draft) orderOfRemoving() []string {
	writers, readers := "probers, one by one: from then on nobody writes the field", "processors, one by one"
	if d.Change.Event == "TargetTransitioned" {
		writers, readers = "processors, one by one: from then on nobody writes the field", "whoever reads transitions"
	}
	return []string{stepRegister, writers, readers,
		fmt.Sprintf("later, when no program of the build before runs and nobody reads it, in a new migration: ALTER TABLE %s DROP COLUMN %s;", d.event.table, d.Change.Name),
		"The writers come first: what they still measure would be dropped by a reader that does not know it. The column stays as long as somebody may write it."}
}

func (d *draft) orderOfRenaming() []string {
	c := d.Change
	return []string{
		stepMigrate + "; what it has is copied, which writes every row with a value: do it when there is room and time",
		stepRegister, "processors, one by one", "probers, one by one",
		fmt.Sprintf("when no processor of the build before runs, for what those stored meanwhile: %s", fill(d.event.table, c.To, c.Name)),
		fmt.Sprintf("later, when nobody reads the old column, in a new migration: ALTER TABLE %s DROP COLUMN %s;", d.event.table, c.Name),
		"Processors come before probers: one of the new build finds the old name by the alias, one of the build before does not know the new name and stores null.",
	}
}

func (d *draft) orderOfSymbol() []string {
	text, _ := d.read(d.file) // it was read before
	fallback := ""
	if m := enumSymbols(d.Change.Name).FindStringSubmatch(text); m != nil {
		fallback = m[2]
	}
	first := fmt.Sprintf("Readers come first: one of the build before reads %q instead of a symbol that it does not know", fallback)
	if d.Change.Event == "TargetTransitioned" {
		return []string{stepRegister, "whoever reads transitions", "processors, one by one", first + "."}
	}
	return []string{stepRegister, "processors, one by one", "probers, one by one",
		first + ", and stores that: webcheck replay with one of the new build puts the symbol in its place. A migration is not needed, because the column is text."}
}

// Text is the plan as a person reads it.
func (p *Plan) Text() string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		lines []string
	}{{"written, for you to review:", p.Did}, {"left for you:", p.Left}, {"to deploy it:", p.Order}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintln(&b, part.title)
		for _, line := range part.lines {
			fmt.Fprintln(&b, "  "+line)
		}
	}
	return b.String()
}
