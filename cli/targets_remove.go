package cli

import (
	urfave "github.com/urfave/cli/v2"
)

// removesUnasked is how many targets a person names who means just these.
const removesUnasked = 3

func (p *program) targetsRemoveCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "remove",
		Usage:     "check targets no more",
		ArgsUsage: "ID…",
		Description: "What was measured stays. It asks when more than three targets go.\n\n" +
			"Examples:\n  webcheck targets remove login\n  webcheck targets remove --label team=web --yes",
		Flags:  flags([]urfave.Flag{labelFlag("remove"), yesFlag()}, logSections),
		Action: p.removeTargets,
	}
}

func (p *program) removeTargets(c *urfave.Context) error {
	d, known, chosen, err := p.choose(c, true)
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	if len(chosen) == 0 {
		out.printf("there is no such target")
		return nil
	}
	var gone []string
	for _, one := range chosen {
		if one.Removed {
			out.printf("%s was removed before", printable(one.ID))
			continue
		}
		gone = append(gone, one.ID)
	}
	if len(gone) > removesUnasked {
		if err := p.confirmRemoval(len(gone), len(definedTargets(known)), c.Bool("yes")); err != nil {
			return err
		}
	}
	if err := d.Write(c.Context, known, nil, gone); err != nil {
		return err
	}
	for _, id := range gone {
		out.printf("%s is removed", printable(id))
	}
	return nil
}
