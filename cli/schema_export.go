package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// exportFormat is the number of the form that an export has; another one is refused.
const exportFormat = 1

// schemaExport is what "webcheck schema export" prints.
type schemaExport struct {
	Format   int               `json:"webcheck_schemas"`
	Subjects []exportedSubject `json:"subjects"`
}

// exportedSubject is a subject with its versions, oldest first. Level is its own one; empty where it follows the registry's.
type exportedSubject struct {
	Subject  string            `json:"subject"`
	Level    schemas.Level     `json:"level,omitempty"`
	Versions []exportedVersion `json:"versions"`
}

// exportedVersion has no number and no id where it is of a build and not of a registry.
type exportedVersion struct {
	Number  int    `json:"version,omitempty"`
	ID      int    `json:"id,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	Text    string `json:"schema"`
}

func (p *program) schemaExportCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "export",
		Usage: "print schemas as a file, with their ids",
		Description: "Prints every version of the subjects of webcheck, those that are deleted softly too, with numbers, ids and levels. \"webcheck schema import\" " +
			"writes them into another registry, and --against compares with them.\n\n" +
			"Examples:\n  webcheck schema export > schemas.json\n  webcheck schema export --build > webcheck-1.2.json",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "build", Usage: "print the schemas of this build, without a registry", DisableDefaultText: true},
			subjectFlag("export"),
		}, schemaSections),
		Before: noArguments, Action: p.exportSchemas,
	}
}

func (p *program) exportSchemas(c *urfave.Context) error {
	if c.Bool("build") {
		judged, err := p.judged(c)
		if err != nil {
			return err
		}
		return p.writeExport(exportBuild(judged))
	}
	subjects := ownSubjects()
	if c.IsSet("subject") {
		subjects = []string{c.String("subject")}
	}
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	exported, err := exportRegistry(c.Context, s.registry, subjects)
	if err != nil {
		return err
	}
	if len(exported.Subjects) == 0 {
		return noSubjectError(strings.Join(subjects, ", "))
	}
	return p.writeExport(exported)
}

// noSubjectError says that the registry has nothing under a subject, or several.
func noSubjectError(subjects string) error {
	return withHint(fmt.Errorf("the registry has no schema under %s", subjects),
		`"webcheck schema list" shows what is there; "webcheck schema register" registers this build's schemas`)
}

func exportBuild(all []judgedSchema) schemaExport {
	export := schemaExport{Format: exportFormat}
	for _, s := range all {
		export.Subjects = append(export.Subjects, exportedSubject{Subject: s.subject, Versions: []exportedVersion{{Text: s.text}}})
	}
	return export
}

// exportRegistry reads everything of those of the subjects that are there.
func exportRegistry(ctx context.Context, registry *schemas.Registry, subjects []string) (schemaExport, error) {
	export := schemaExport{Format: exportFormat}
	for _, subject := range subjects {
		versions, err := registry.Versions(ctx, subject, true)
		if err != nil {
			return export, err
		}
		if len(versions) == 0 {
			continue
		}
		level, own, err := registry.Level(ctx, subject)
		if err != nil {
			return export, err
		}
		of := exportedSubject{Subject: subject}
		if own {
			of.Level = level
		}
		for _, v := range versions {
			of.Versions = append(of.Versions, exportedVersion{v.Number, v.ID, v.Deleted, v.Text})
		}
		export.Subjects = append(export.Subjects, of)
	}
	return export, nil
}

// writeExport writes the export with a line for each key, so that a difference between two is a difference of lines.
func (p *program) writeExport(export schemaExport) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(export); err != nil {
		return err
	}
	_, err := p.Stdout.Write(escapeJSON([]byte(text.String())))
	return err
}

// parseExport reads an export and checks that every part of it makes sense.
func parseExport(text []byte) (schemaExport, error) {
	var export schemaExport
	if err := json.Unmarshal(text, &export); err != nil {
		return export, fmt.Errorf("it is no export of schemas: %w", err)
	}
	if export.Format != exportFormat {
		return export, fmt.Errorf("it is no export of schemas that this build knows: webcheck_schemas is %d, not %d", export.Format, exportFormat)
	}
	count := 0
	for _, of := range export.Subjects {
		if err := of.check(); err != nil {
			return export, fmt.Errorf("subject %q: %w", of.Subject, err)
		}
		count += len(of.Versions)
	}
	if count == 0 {
		return export, errors.New("there is no schema in it")
	}
	if count > maxSchemaFiles {
		return export, fmt.Errorf("it has %d schemas, more than %d", count, maxSchemaFiles)
	}
	return export, nil
}

func (of exportedSubject) check() error {
	if of.Subject == "" {
		return errors.New("it has no name")
	}
	if of.Level != "" {
		if _, err := schemas.ParseLevel(string(of.Level)); err != nil {
			return err
		}
	}
	last := 0
	for n, v := range of.Versions {
		switch {
		case v.Number < 0 || v.ID < 0:
			return fmt.Errorf("version %d with id %d is none", v.Number, v.ID)
		case (v.Number == 0) != (v.ID == 0):
			return fmt.Errorf("version %d with id %d has only one of both", v.Number, v.ID)
		case n > 0 && v.Number <= last:
			return fmt.Errorf("version %d follows version %d", v.Number, last)
		case len(v.Text) > schemas.MaxSchemaBytes:
			return fmt.Errorf("version %d has %d bytes, more than %d", v.Number, len(v.Text), schemas.MaxSchemaBytes)
		}
		if err := schemas.CheckAvro(v.Text); err != nil {
			return fmt.Errorf("version %d: %w", v.Number, err)
		}
		last = v.Number
	}
	return nil
}

// earlier are the schemas of the export that are not deleted. Those of a build are called after the file.
func (e schemaExport) earlier(file string) earlierSchemas {
	all := make(earlierSchemas)
	for _, of := range e.Subjects {
		for _, v := range of.Versions {
			if v.Deleted {
				continue
			}
			name := file
			if v.Number > 0 {
				name = fmt.Sprintf("version %d", v.Number)
			}
			all[of.Subject] = append(all[of.Subject], schemas.Older{Name: name, Text: v.Text})
		}
	}
	return all
}
