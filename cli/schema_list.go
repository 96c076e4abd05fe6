package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaListCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "list",
		Usage:       "list the subjects of webcheck in the registry",
		Description: "Examples:\n  webcheck schema list\n  webcheck schema list --json",
		Flags:       flags([]urfave.Flag{jsonFlag("each subject")}, schemaSections),
		Before:      noArguments, Action: p.listSchemas,
	}
}

func (p *program) listSchemas(c *urfave.Context) error {
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	var list []listedSubject
	for _, schema := range builtSchemas() {
		l, err := listSubject(c.Context, s.registry, schema)
		if err != nil {
			return err
		}
		list = append(list, l)
	}
	out := newPrinter(p.Stdout, p.Env)
	if !c.Bool("json") {
		out.subjects(list)
		return nil
	}
	for _, l := range list {
		if err := out.json(l); err != nil {
			return err
		}
	}
	return nil
}

// listedSubject is a subject of the registry, as JSON too.
type listedSubject struct {
	Subject  string        `json:"subject"`
	Versions []int         `json:"versions"` // not those that are deleted
	Level    schemas.Level `json:"level"`
	OwnLevel bool          `json:"own_level"` // false: the registry's
	// Build is the version that this build's schema is; 0 when it is not registered.
	Build   int `json:"build_version,omitempty"`
	BuildID int `json:"build_id,omitempty"`
}

// listSubject says what the registry has under the subject of one of this build's schemas.
func listSubject(ctx context.Context, registry *schemas.Registry, schema *schemas.Schema) (l listedSubject, err error) {
	l = listedSubject{Subject: schema.Subject, Versions: []int{}}
	versions, err := registry.Versions(ctx, schema.Subject, false)
	if err != nil {
		return l, err
	}
	if l.Level, l.OwnLevel, err = registry.Level(ctx, schema.Subject); err != nil {
		return l, err
	}
	id, err := registry.LookUp(ctx, schema)
	if err != nil && !errors.Is(err, schemas.ErrNotRegistered) {
		return l, err
	}
	for _, v := range versions {
		l.Versions = append(l.Versions, v.Number)
	}
	if l.Build = numberOf(versions, id); l.Build > 0 {
		l.BuildID = id
	}
	return l, nil
}

// subjects writes a line for each subject.
func (p *printer) subjects(list []listedSubject) {
	p.printf("%-27s  %-12s  %-19s  %-10s  %s", "subject", "versions", "level", "whose", "this build")
	for _, l := range list {
		whose := "registry's"
		if l.OwnLevel {
			whose = "its own"
		}
		build := p.paint(yellow, "not registered")
		if l.Build > 0 {
			build = fmt.Sprintf("version %d, id %d", l.Build, l.BuildID)
		}
		p.printf("%-27s  %-12s  %-19s  %-10s  %s", printable(l.Subject), versionsText(l.Versions), printable(string(l.Level)), whose, build)
	}
}

// versionsText writes numbers as people do: 1-3, 7.
func versionsText(numbers []int) string {
	if len(numbers) == 0 {
		return "none"
	}
	var parts []string
	for start := 0; start < len(numbers); {
		end := start
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		part := fmt.Sprint(numbers[start])
		if end > start {
			part = fmt.Sprintf("%d-%d", numbers[start], numbers[end])
		}
		parts, start = append(parts, part), end+1
	}
	return strings.Join(parts, ", ")
}
