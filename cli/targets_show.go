package cli

import (
	"encoding/json"
	"errors"
	"time"

	urfave "github.com/urfave/cli/v2"
)

func (p *program) targetsShowCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "show",
		Usage:       "show all of a target's definition, and where it is",
		ArgsUsage:   "ID",
		Description: "Examples:\n  webcheck targets show login\n  webcheck targets show login --json",
		Flags:       flags([]urfave.Flag{jsonFlag("all")}, logSections),
		Action:      p.showTarget,
	}
}

func (p *program) showTarget(c *urfave.Context) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("the id of one target is needed"), `"webcheck targets list" lists them`)}
	}
	_, known, err := p.known(c, false)
	if err != nil {
		return err
	}
	found, err := findTarget(known, c.Args().First())
	if err != nil {
		return err
	}
	t, out := describeTarget(found), newPrinter(p.Stdout, p.Env)
	if c.Bool("json") {
		if json.Valid([]byte(found.Definition)) {
			t.Definition = json.RawMessage(found.Definition)
		}
		return out.json(t)
	}
	out.target(t)
	return nil
}

// target writes everything about one target, a field a line.
func (p *printer) target(t listedTarget) {
	lines := []field{
		{"state", t.State}, {"version", t.Version}, {"defined", t.DefinedAt.Format(time.RFC3339)}, {"position", t.Position}, {"cause", t.Cause},
	}
	if t.fields == nil {
		lines = append([]field{{"id", t.ID}, {"url", t.URL}}, lines...)
	}
	lines = append(lines, flatFields(t.fields)...)
	width := 0
	for _, line := range lines {
		width = max(width, len(printable(line.name)))
	}
	for _, line := range lines {
		if line.text != "" {
			p.printf("%-*s  %s", width, printable(line.name), printable(line.text))
		}
	}
}
