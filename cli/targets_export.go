package cli

import (
	"fmt"

	urfave "github.com/urfave/cli/v2"
)

func (p *program) targetsExportCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "export",
		Usage: "print the targets of the topic as a file",
		Description: "What it prints is what \"webcheck targets apply\" reads; to apply it changes nothing. Ends with 1 when a definition cannot be " +
			"read by this build, which is not in the file then.\n\n" +
			"Examples:\n  webcheck targets export > targets.yaml\n  webcheck targets export --label team=web",
		Flags:  flags([]urfave.Flag{labelFlag("export")}, logSections),
		Before: noArguments, Action: p.exportTargets,
	}
}

func (p *program) exportTargets(c *urfave.Context) error {
	filter, err := readLabelFilter(c)
	if err != nil {
		return err
	}
	_, known, err := p.known(c, false)
	if err != nil {
		return err
	}
	var all []map[string]any
	var unreadable error
	others := 0
	for _, d := range definedTargets(known) {
		if _, err := readTarget(d); err != nil {
			if unreadable == nil {
				unreadable = err
			} else {
				others++
			}
			continue
		}
		fields, err := readFields(d.Definition)
		if err != nil {
			return err
		}
		if filter.fits(fields) {
			all = append(all, fields)
		}
	}
	if err := writeTargets(p.Stdout, all); err != nil {
		return err
	}
	if unreadable != nil && others > 0 {
		unreadable = fmt.Errorf("%w, and %s more", unreadable, count(others, "definition"))
	}
	return unreadable
}
