package cli

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaImportCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "import",
		Usage:     "write exported schemas into a registry, with their ids",
		ArgsUsage: "FILE|-",
		Description: "Events keep their meaning, because the id in them leads to the same schema. Reads what \"webcheck schema export\" printed; what is there already " +
			"stays. Afterwards each subject has the level that it had.\n\n" +
			"Examples:\n  webcheck schema import schemas.json --registry-url http://registry:8081 --dry-run\n" +
			"  webcheck schema export | webcheck schema import - --registry-url http://registry:8081",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would be written", DisableDefaultText: true},
		}, schemaSections),
		Action: p.importSchemas,
	}
}

func (p *program) importSchemas(c *urfave.Context) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("one file is needed"), `"webcheck schema export" prints one; - is standard input`)}
	}
	name := c.Args().First()
	text, err := p.readInput(name)
	if err != nil {
		return usageError{fmt.Errorf("reading the schemas %q: %w", name, withoutPath(err))}
	}
	exported, err := parseExport(text)
	if err != nil {
		return usageError{fmt.Errorf("reading the schemas %q: %w", name, err)}
	}
	versions, err := exported.versions()
	if err != nil {
		return usageError{withHint(fmt.Errorf("reading the schemas %q: %w", name, err), `it is of a build and not of a registry; "webcheck schema register" registers a build's schemas`)}
	}
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	missing, err := s.registry.Missing(c.Context, versions)
	if err != nil {
		return err
	}
	if !c.Bool("dry-run") {
		if err := importVersions(c.Context, s.registry, exported, versions); err != nil {
			return err
		}
	}
	newPrinter(p.Stdout, p.Env).imported(exported, missing, c.Bool("dry-run"))
	return nil
}

// importVersions writes the versions, and then the levels: before, they could refuse a version.
func importVersions(ctx context.Context, registry *schemas.Registry, exported schemaExport, versions []schemas.Version) error {
	if err := registry.Import(ctx, versions); err != nil {
		return err
	}
	for _, of := range exported.Subjects {
		if of.Level == "" {
			continue
		}
		if err := registry.SetLevel(ctx, of.Subject, of.Level); err != nil {
			return fmt.Errorf("all versions are written, but not every level: %w", err)
		}
	}
	return nil
}

// versions are all versions of the export, which must have ids.
func (e schemaExport) versions() ([]schemas.Version, error) {
	var all []schemas.Version
	for _, of := range e.Subjects {
		for _, v := range of.Versions {
			if v.ID == 0 {
				return nil, fmt.Errorf("the schema for %q has no id", of.Subject)
			}
			all = append(all, schemas.Version{Subject: of.Subject, Number: v.Number, ID: v.ID, Text: v.Text, Deleted: v.Deleted})
		}
	}
	return all, nil
}

// imported says for each subject what was, or would be, written into a registry in which these were missing.
func (p *printer) imported(exported schemaExport, missing []schemas.Version, dry bool) {
	wrote := "imported"
	if dry {
		wrote = "would import"
	}
	for _, of := range exported.Subjects {
		fresh := 0
		for _, v := range missing {
			if v.Subject == of.Subject {
				fresh++
			}
		}
		line := fmt.Sprintf("%-27s  %s %s, %d already there", printable(of.Subject), wrote, count(fresh, "version"), len(of.Versions)-fresh)
		if of.Level != "" {
			line += ", level " + string(of.Level)
		}
		p.printf("%s", line)
	}
}
