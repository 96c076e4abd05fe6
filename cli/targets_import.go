package cli

import (
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"webcheck/prober"
)

func (p *program) targetsImportCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "import",
		Usage: "print the targets of another monitor's file as a file of ours",
		Description: "What it prints is what \"webcheck targets apply\" reads. What could not be taken over goes to standard error, a line each with its " +
			"place. Passwords and tokens are not printed: references stand for them, and the lines say which variables to set.\n\n" +
			"Examples:\n  webcheck targets import gatus config.yaml > targets.yaml\n  webcheck targets import prometheus --modules blackbox.yml prometheus.yml | webcheck targets apply -f -",
		Subcommands: []*urfave.Command{
			{
				Name: "gatus", Usage: "endpoints of Gatus", ArgsUsage: "FILE",
				Description: "What Gatus calls unhealthy because it is slow, or because its certificate expires soon, is degraded here.\n\n" +
					"Example:\n  webcheck targets import gatus config.yaml > targets.yaml",
				Flags: []urfave.Flag{strictFlag()}, Action: func(c *urfave.Context) error { return p.importTargets(c, (*importer).gatus) },
			},
			{
				Name: "prometheus", Usage: "targets that Prometheus has probed by a blackbox_exporter", ArgsUsage: "FILE",
				Description: "FILE is a prometheus.yml, of which it takes the jobs that probe, or one of file_sd_configs in YAML or JSON.\n\n" +
					"Examples:\n  webcheck targets import prometheus targets.json > targets.yaml\n  webcheck targets import prometheus --modules blackbox.yml prometheus.yml",
				Flags: []urfave.Flag{
					&urfave.StringFlag{Name: "modules", Usage: "`FILE` of the blackbox_exporter (default: what its own example has)"}, strictFlag(),
				},
				Action: func(c *urfave.Context) error {
					if !c.IsSet("modules") {
						return p.importTargets(c, func(i *importer) { i.prometheus(usualModules()) })
					}
					modules, err := p.newImporter(c.String("modules"))
					if err != nil {
						return err
					}
					return p.importTargets(c, func(i *importer) {
						i.prometheus(modules.modules())
						i.d.faults = append(i.d.faults, modules.d.faults...)
					})
				},
			},
		},
	}
}

func strictFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "strict", Usage: "end with 1 when something could not be taken over", DisableDefaultText: true}
}

// importTargets prints what read finds in the file, and then what it could not take over.
func (p *program) importTargets(c *urfave.Context, read func(*importer)) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("one file is needed"), "give its name, or - for standard input")}
	}
	i, err := p.newImporter(c.Args().First())
	if err != nil {
		return err
	}
	read(i)
	var all []map[string]any
	for _, t := range i.targets {
		fields, err := readFields(t.Definition())
		if err != nil {
			return err
		}
		all = append(all, fields)
	}
	if err := writeTargets(p.Stdout, all); err != nil {
		return err
	}
	for _, note := range i.d.faults {
		fmt.Fprintln(p.Stderr, printable(note.String()))
	}
	if n := len(i.d.faults); n > 0 && c.Bool("strict") {
		return fmt.Errorf("importing %q: %s not taken over", c.Args().First(), count(n, "thing"))
	}
	return nil
}

// newImporter reads a file of YAML or JSON; - is standard input.
func (p *program) newImporter(name string) (*importer, error) {
	text, err := p.readInput(name)
	if err != nil {
		return nil, usageError{fmt.Errorf("reading %q: %w", name, withoutPath(err))}
	}
	i := newImporter(name, text)
	if len(i.d.faults) > 0 {
		return nil, &ConfigError{i.d.faults}
	}
	return i, nil
}

// add keeps a target when it is valid, with an id that no other one has, made of name; else it says why not. It reports whether
// it did.
func (i *importer) add(at place, t prober.Target, name string) bool {
	if t.ID = slug(name); i.taken[t.ID] {
		for n := 2; i.taken[t.ID]; n++ {
			t.ID = fmt.Sprintf("%s-%d", slug(name), n)
		}
	}
	if faults := t.Validate(); len(faults) > 0 {
		for _, fault := range faults {
			i.note(at, "left out: %s %s", fault.Field, fault.Message)
		}
		return false
	}
	i.taken[t.ID] = true
	i.targets = append(i.targets, t)
	return true
}
