package cli

import (
	"fmt"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// cautiousFrom is how many targets there must be until removing most of them at once looks like a mistake.
const cautiousFrom = 4

func (p *program) targetsApplyCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "apply",
		Usage: "make the topic have the targets of a file",
		Description: "Prints what is new, changed and removed, and publishes that to " + schemas.TopicTargets + ". The same file again changes nothing. " +
			"Targets that the file does not have stay, unless --prune removes them; it asks before it removes more than half of what is there.\n\n" +
			"Examples:\n  webcheck targets apply --dry-run\n  webcheck targets apply -f targets.yaml --prune",
		Flags: flags([]urfave.Flag{
			fileFlag(), yesFlag(),
			&urfave.BoolFlag{Name: "prune", Usage: "remove the targets that the file does not have", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what it would do", DisableDefaultText: true},
		}, logSections),
		Before: noArguments, Action: p.applyTargets,
	}
}

func (p *program) applyTargets(c *urfave.Context) error {
	targets, err := p.fileTargets(c)
	if err != nil {
		return err
	}
	prune, dry := c.Bool("prune"), c.Bool("dry-run")
	d, err := p.definitions(c.Context, !dry)
	if err != nil {
		return err
	}
	known, err := d.Read(c.Context)
	if err != nil {
		return err
	}
	changes, out := compareTargets(known, targets), newPrinter(p.Stdout, p.Env)
	out.targetChanges(changes, prune)
	publish := changes.publishes()
	var gone []string
	if prune {
		for _, d := range changes.absent {
			gone = append(gone, d.ID)
		}
	}
	if dry || len(publish)+len(gone) == 0 {
		return nil
	}
	there := changes.same + len(changes.changed) + len(changes.absent)
	if there >= cautiousFrom && 2*len(gone) > there {
		if err := p.confirmRemoval(len(gone), there, c.Bool("yes")); err != nil {
			return err
		}
	}
	if err := d.Write(c.Context, known, publish, gone); err != nil {
		return err
	}
	out.printf("published %s, removed %s; probers follow without a restart", count(len(publish), "definition"), count(len(gone), "target"))
	return nil
}

// confirmRemoval returns nil when somebody who knows how many targets go says so. What is refused is a matter of usage: nothing was
// done, and another flag does it.
func (p *program) confirmRemoval(gone, there int, yes bool) error {
	const undone, hint = "nothing was changed", "give --yes if that is meant"
	if yes {
		return nil
	}
	text := fmt.Sprintf("removes %d of %s", gone, count(there, "target"))
	if !isTerminal(p.Stdin) {
		return usageError{withHint(fmt.Errorf("%s: this %s", undone, text), hint)}
	}
	number := strconv.Itoa(gone)
	typed, err := p.answer("This "+text+". Type "+number+" to go on: ", undone, hint)
	if err == nil && typed != number {
		err = fmt.Errorf("%s: %q is not the number of targets, which is %s", undone, typed, number)
	}
	return err
}
