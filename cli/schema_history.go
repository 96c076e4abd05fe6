package cli

import (
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaHistoryCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "history",
		Usage:       "list the versions of a subject, and what changed from one to the next",
		ArgsUsage:   "SUBJECT",
		Description: "Examples:\n  webcheck schema history webcheck.checks-value\n  webcheck schema history webcheck.checks-value --json",
		Flags:       flags([]urfave.Flag{jsonFlag("each version")}, schemaSections),
		Action:      p.showHistory,
	}
}

// historicVersion is a version of a subject, as JSON too.
type historicVersion struct {
	Subject string        `json:"subject"`
	Number  int           `json:"version"`
	ID      int           `json:"id"`
	Deleted bool          `json:"deleted"`
	Build   bool          `json:"this_build"`
	Fields  []fieldChange `json:"fields,omitempty"` // since the version before
	Cause   string        `json:"cause,omitempty"`  // why that cannot be said
}

func (p *program) showHistory(c *urfave.Context) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("one subject is needed"), `"webcheck schema list" lists them`)}
	}
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	subject := c.Args().First()
	versions, err := s.registry.Versions(c.Context, subject, true)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return noSubjectError(subject)
	}
	out := newPrinter(p.Stdout, p.Env)
	for _, v := range describeHistory(versions) {
		if c.Bool("json") {
			if err := out.json(v); err != nil {
				return err
			}
			continue
		}
		out.historicVersion(v)
	}
	return nil
}

// describeHistory compares each version with the one before it.
func describeHistory(versions []schemas.Version) []historicVersion {
	all := make([]historicVersion, 0, len(versions))
	for n, v := range versions {
		h := historicVersion{Subject: v.Subject, Number: v.Number, ID: v.ID, Deleted: v.Deleted}
		for _, s := range builtSchemas() {
			h.Build = h.Build || s.Subject == v.Subject && schemas.SameSchema(s.Text, v.Text)
		}
		if n > 0 {
			changes, err := schemas.Diff(versions[n-1].Text, v.Text)
			if err != nil {
				h.Cause = err.Error()
			}
			h.Fields = fieldChanges(changes)
		}
		all = append(all, h)
	}
	return all
}

// historicVersion writes a version, and a line for each field that changed.
func (p *printer) historicVersion(v historicVersion) {
	line := fmt.Sprintf("version %d  id %d", v.Number, v.ID)
	if v.Deleted {
		line += "  " + p.paint(red, "deleted")
	}
	if v.Build {
		line += "  " + p.paint(green, "this build's")
	}
	p.printf("%s", line)
	if v.Cause != "" {
		p.printf("    what changed cannot be said: %s", printable(v.Cause))
	}
	for _, f := range v.Fields {
		p.printf("    %s", p.fieldChange(f))
	}
}
