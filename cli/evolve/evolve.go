// Package evolve writes a change of an event into a checkout of webcheck. In come the checkout as an [fs.FS] and one [Change]; out
// comes a [Plan]: the files as they should be (the schema, a migration, the statements that name the event's columns, what else
// has to follow, a line of the changelog), what is left for a person, and the order to deploy in. It guarantees that what it
// gives may follow every version that came before, by [schemas.Review]. It never touches a file, runs nothing and asks no service:
// generated code, and a sample for the corpus, are for the caller to make of what it gives.
package evolve

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"webcheck/schemas"
)

// Kind says what a change does.
type Kind int

// The kinds of change.
const (
	AddField Kind = iota
	RemoveField
	RenameField
	AddSymbol
)

// Change is one change of one event.
type Change struct {
	Kind Kind
	// Event is its record's name: "CheckCompleted". With AddSymbol it may be empty: the event is that which has the enum.
	Event string
	// Name of the field, or of the enum that gets a symbol.
	Name string
	// To is a field's new name, or the symbol.
	To string
	// Type and Doc of a new field: one of [Types], and a sentence for people.
	Type, Doc string
}

// Plan is what a change makes of a checkout.
type Plan struct {
	Change Change
	// Files are those that change or are new, by their path with slashes.
	Files map[string]string
	// Version is the number of the corpus's folder for the event's new schema. It stays unused where that is an earlier one again.
	Version int
	// Did says what each file has got, in the order in which a person reads them.
	Did []string
	// Left is what a person still has to do or to decide.
	Left []string
	// Order is how to deploy it, a step a line, and why in that order.
	Order []string
}

// RefusedError says why a change is not made, and what to do instead.
type RefusedError struct{ reason, hint string }

// Error is the reason.
func (e *RefusedError) Error() string { return e.reason }

// Hint says what to do instead.
func (e *RefusedError) Hint() string { return e.hint }

func refuse(hint, format string, arguments ...any) error {
	return &RefusedError{fmt.Sprintf(format, arguments...), hint}
}

// ReviewError says that what the change makes of a schema may not follow the versions before it.
type ReviewError struct {
	// File of the schema, Subject that it is meant for, and what is wrong with it.
	File, Subject string
	Findings      []schemas.Finding
}

// Error counts the findings.
func (e *ReviewError) Error() string {
	return fmt.Sprintf("%s may not be changed so: %d violations", e.File, len(e.Findings))
}

// draft is a plan under way.
type draft struct {
	Plan
	checkout fs.FS
	event    event
	file     string // of the schema
	schema   *schemas.Schema
	older    []schemas.Older // the versions of the corpus, oldest first
}

// New plans a change of a checkout. The error is a *RefusedError, a *ReviewError, or says that a file is not what it should be.
func New(checkout fs.FS, c Change) (*Plan, error) {
	d := &draft{Plan: Plan{Change: c, Files: make(map[string]string)}, checkout: checkout}
	if err := d.open(); err != nil {
		return nil, err
	}
	steps := map[Kind][]func() error{
		AddField:    {d.checkNew, d.addToSchema, d.review, d.migrateAdded, d.addToStatements, d.addToGo},
		RemoveField: {d.checkOld, d.removeFromSchema, d.review, d.removeFromStatements, d.removeFromGo},
		RenameField: {d.checkOld, d.checkNew, d.renameInSchema, d.review, d.migrateRenamed, d.renameInStatements, d.renameInGo},
		AddSymbol:   {d.addSymbolToSchema, d.review},
	}
	for _, step := range append(steps[c.Kind], d.addToChangelog) {
		if err := step(); err != nil {
			return nil, err
		}
	}
	d.leave()
	d.order()
	return &d.Plan, nil
}

// open reads the event's schema and all its versions.
func (d *draft) open() error {
	if d.Change.Kind == AddSymbol && d.Change.Event == "" {
		name, err := d.eventOfEnum()
		if err != nil {
			return err
		}
		d.Change.Event = name
	}
	known, is := events[d.Change.Event]
	if !is {
		return refuse("the events are "+strings.Join(slices.Sorted(maps.Keys(events)), ", "), "there is no event %q", d.Change.Event)
	}
	d.event = known
	d.file = "schemas/events/" + d.Change.Event + ".avsc"
	text, err := d.read(d.file)
	if err != nil {
		return err
	}
	if d.schema, err = schemas.ParseSchema(d.event.subject(), text); err != nil {
		return fmt.Errorf("reading %s: %w", d.file, err)
	}
	if err := d.readCorpus(); err != nil {
		return err
	}
	now := slices.IndexFunc(d.older, func(o schemas.Older) bool { return o.Text == text })
	if now < 0 {
		return refuse(fmt.Sprintf("add a version for it first, by hand: WEBCHECK_WRITE_CORPUS=v%d go test ./schemas -run CorpusHas, and a line in %s", d.Version, changelogFile),
			"%s is no version of %s: somebody changed it", d.file, d.event.corpus)
	}
	// It may be an earlier one again, and what follows is to follow that.
	d.older = append(slices.Delete(slices.Clone(d.older), now, now+1), d.older[now])
	return nil
}

// eventOfEnum finds the event whose schema defines the enum.
func (d *draft) eventOfEnum() (string, error) {
	var enums []string
	for _, name := range slices.Sorted(maps.Keys(events)) {
		text, err := d.read("schemas/events/" + name + ".avsc")
		if err != nil {
			return "", err
		}
		for _, enum := range enumsOf(text) {
			if enum == d.Change.Name {
				return name, nil
			}
			enums = append(enums, enum)
		}
	}
	return "", refuse("the enums are "+strings.Join(enums, ", "), "no event has an enum %q", d.Change.Name)
}

// readCorpus reads the schemas of the event's versions, oldest first, and the number of the next.
func (d *draft) readCorpus() error {
	entries, err := fs.ReadDir(d.checkout, d.event.corpus)
	if err != nil {
		return fmt.Errorf("reading the corpus: %w", err)
	}
	var versions []int
	for _, entry := range entries {
		if version, err := strconv.Atoi(strings.TrimPrefix(entry.Name(), "v")); err == nil && entry.IsDir() {
			versions = append(versions, version)
		}
	}
	slices.Sort(versions)
	for _, version := range versions {
		text, err := d.read(path.Join(d.event.corpus, fmt.Sprintf("v%d", version), "schema.avsc"))
		if err != nil {
			return err
		}
		d.older = append(d.older, schemas.Older{Name: fmt.Sprintf("version %d of the corpus", version), Text: text})
		d.Version = version
	}
	d.Version++
	return nil
}

// review holds the new schema against all before it.
func (d *draft) review() error {
	text, err := d.read(d.file)
	if err != nil {
		return err
	}
	findings, err := schemas.Review(schemas.LevelFullTransitive, d.event.subject(), text, d.older)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return &ReviewError{File: d.file, Subject: d.event.subject(), Findings: findings}
	}
	return nil
}

// read gives a file as the change made it so far.
func (d *draft) read(name string) (string, error) {
	if text, is := d.Files[name]; is {
		return text, nil
	}
	text, err := fs.ReadFile(d.checkout, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", refuse("run it in a checkout of webcheck", "there is no %s", name)
	}
	return string(text), err
}

// edit changes a file and notes what it got. One that stays as it is was not what this package knows how to change.
func (d *draft) edit(name, did string, change func(text string) string) error {
	before, err := d.read(name)
	if err != nil {
		return err
	}
	after := change(before)
	if after == before {
		return refuse("change it by hand, as the README says", "%s is not written as it used to be, so nothing can be changed in it: %s", name, did)
	}
	d.Files[name] = after
	d.Did = append(d.Did, name+": "+did)
	return nil
}
