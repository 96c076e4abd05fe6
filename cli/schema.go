package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// schemaSections are the settings of the commands that ask the registry.
var schemaSections = []string{"registry", "log", ""}

// maxSchemaFiles bounds how many schemas are read of one place: a subject gets a version a month.
const maxSchemaFiles = 1000

func (p *program) schemaCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "schema",
		Usage: "change what events look like, without breaking who reads them",
		Description: "The schemas of this build are those of schemas/events. Without a registry these commands use that of the \"webcheck up\" that runs " +
			"on the data directory; with --against, and with --build, they need none.\n\n" +
			"Examples:\n  webcheck schema check --against git:main\n  webcheck schema register\n  webcheck schema history webcheck.checks-value",
		Subcommands: []*urfave.Command{
			p.schemaCheckCommand(), p.schemaDiffCommand(), p.schemaRegisterCommand(), p.schemaListCommand(), p.schemaShowCommand(),
			p.schemaHistoryCommand(), p.schemaExportCommand(), p.schemaImportCommand(), p.schemaEvolveCommand(),
		},
	}
}

// The flags that several of these commands have.
func againstFlag() urfave.Flag {
	return &urfave.StringSliceFlag{Name: "against", Usage: "compare with the schemas of `SOURCE` instead of the registry's: a directory, a file of \"webcheck schema export\", " +
		"or git:REVISION; may be given again, older ones first"}
}

func schemasFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "schemas", Usage: "take the .avsc files of `DIR` instead of this build's"}
}

func subjectFlag(verb string) urfave.Flag {
	return &urfave.StringFlag{Name: "subject", Usage: verb + " `SUBJECT` alone"}
}

func levelFlag(usage string) urfave.Flag {
	return &urfave.StringFlag{Name: "level", Usage: "`LEVEL` " + usage}
}

// reachRegistry reads the configuration and finds the registry, for a command that can do without it.
func (p *program) reachRegistry(c *urfave.Context) (*schemas.Registry, error) {
	s, err := p.loadAndReach(c, need{registry: true})
	if err == nil {
		return s.registry, nil
	}
	if hint := hintOf(err); hint != "" {
		err = withHint(err, hint+"; with --against no registry is asked")
	}
	return nil, err
}

// judgedSchema is the schema of one event, of this build or of a directory.
type judgedSchema struct {
	subject string
	name    string // full name of the event's record in this build
	file    string // as people know it: "schemas/events/CheckCompleted.avsc"
	text    string
}

// builtSchemas are the schemas of this build, in the order in which data flows.
func builtSchemas() []*schemas.Schema {
	return []*schemas.Schema{
		schemas.TargetDefined(schemas.TopicTargets), schemas.CheckCompleted(schemas.TopicChecks), schemas.TargetTransitioned(schemas.TopicTransitions),
	}
}

// ownSubjects are the subjects of this build's schemas.
func ownSubjects() []string {
	var all []string
	for _, s := range builtSchemas() {
		all = append(all, s.Subject)
	}
	return all
}

// subjectOf is the subject of the event with this record, or nothing.
func subjectOf(name string) string {
	for _, s := range builtSchemas() {
		if s.Name() == name {
			return s.Subject
		}
	}
	return ""
}

// eventFile is the name of the file with the schema of an event.
func eventFile(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:] + ".avsc"
}

// judged reads which schemas a command is about: those of --schemas or of this build, of one --subject or all.
func (p *program) judged(c *urfave.Context) ([]judgedSchema, error) {
	subject, err := readSubject(c)
	if err != nil {
		return nil, err
	}
	all := make([]judgedSchema, 0, len(builtSchemas()))
	for _, s := range builtSchemas() {
		all = append(all, judgedSchema{s.Subject, s.Name(), "schemas/events/" + eventFile(s.Name()), s.Text})
	}
	if dir := c.String("schemas"); c.IsSet("schemas") {
		if all, err = readJudged(dir, all); err != nil {
			return nil, withHint(fmt.Errorf("reading the schemas of %q: %w", dir, withoutPath(err)), "it has to be a directory like schemas/events, with a file for each event")
		}
	}
	if subject != "" {
		all = slices.DeleteFunc(all, func(s judgedSchema) bool { return s.subject != subject })
	}
	return all, nil
}

// readSubject reads --subject, one of this build's; empty when it is not given.
func readSubject(c *urfave.Context) (string, error) {
	subject := c.String("subject")
	if c.IsSet("subject") && !slices.Contains(ownSubjects(), subject) {
		return "", usageError{fmt.Errorf("--subject: this build has no schema for %q%s; it has %s", subject, didYouMean(subject, ownSubjects()),
			strings.Join(ownSubjects(), ", "))}
	}
	return subject, nil
}

// readLevel reads --level; empty when it is not given.
func readLevel(c *urfave.Context) (schemas.Level, error) {
	if !c.IsSet("level") {
		return "", nil
	}
	level, err := schemas.ParseLevel(c.String("level"))
	if err != nil {
		var names []string
		for _, l := range schemas.Levels() {
			names = append(names, string(l))
		}
		return "", usageError{fmt.Errorf("--level: %q is none of %s%s", c.String("level"), strings.Join(names, ", "), didYouMean(c.String("level"), names))}
	}
	return level, nil
}

// readJudged reads the events' schemas from the .avsc files of a directory, where each event must have one. A file whose record has
// another name, or none, is taken for the event that the file is named after: why it is wrong is for the check to say.
func readJudged(dir string, built []judgedSchema) ([]judgedSchema, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(built)
	found := make(map[string]string) // file by subject
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".avsc" {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := readSchemaFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), withoutPath(err))
		}
		name := recordName(text)
		n := slices.IndexFunc(all, func(s judgedSchema) bool { return s.name == name })
		if n < 0 {
			n = slices.IndexFunc(all, func(s judgedSchema) bool { return eventFile(s.name) == entry.Name() })
		}
		if n < 0 {
			return nil, fmt.Errorf("%s has the record %q, which is no event of this build", entry.Name(), name)
		}
		if first := found[all[n].subject]; first != "" {
			return nil, fmt.Errorf("%s and %s are both the schema of %s", first, entry.Name(), all[n].name)
		}
		found[all[n].subject] = entry.Name()
		all[n].file, all[n].text = filepath.ToSlash(path), text
	}
	for _, s := range built {
		if found[s.subject] == "" {
			return nil, fmt.Errorf("there is no schema of %s", s.name)
		}
	}
	return all, nil
}

// readSchemaFile reads a regular file with a schema, which is refused when it is larger than any that is accepted.
func readSchemaFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a file")
	}
	text, err := readBounded(path, schemas.MaxSchemaBytes)
	return string(text), err
}

// recordName is the full name of the record that a schema's text defines; empty when it defines none.
func recordName(text string) string {
	var record struct{ Type, Name, Namespace string }
	if err := json.Unmarshal([]byte(text), &record); err != nil || record.Type != "record" {
		return ""
	}
	if record.Namespace == "" || strings.Contains(record.Name, ".") {
		return record.Name
	}
	return record.Namespace + "." + record.Name
}

// compareNatural orders texts like people: v2 before v10.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		digitsA, digitsB := leadingDigits(a), leadingDigits(b)
		if digitsA == "" || digitsB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		numberA, numberB := strings.TrimLeft(digitsA, "0"), strings.TrimLeft(digitsB, "0")
		if order := cmp.Or(cmp.Compare(len(numberA), len(numberB)), strings.Compare(numberA, numberB)); order != 0 {
			return order
		}
		a, b = a[len(digitsA):], b[len(digitsB):]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}
