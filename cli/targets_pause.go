package cli

import (
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"webcheck/prober"
)

func (p *program) targetsPauseCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "pause",
		Usage:     "stop checking targets for a while",
		ArgsUsage: "ID…",
		Description: "Publishes their definitions anew, with \"paused: true\". Slots go on as missed, paused, and the state stays what it was. " +
			"\"webcheck targets apply\" with a file that does not say so ends it too.\n\n" +
			"Examples:\n  webcheck targets pause login\n  webcheck targets pause --label team=web",
		Flags:  flags([]urfave.Flag{labelFlag("pause")}, logSections),
		Action: func(c *urfave.Context) error { return p.setPaused(c, true) },
	}
}

func (p *program) targetsResumeCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "resume",
		Usage:       "check paused targets again",
		ArgsUsage:   "ID…",
		Description: "Examples:\n  webcheck targets resume login\n  webcheck targets resume --label team=web",
		Flags:       flags([]urfave.Flag{labelFlag("resume")}, logSections),
		Action:      func(c *urfave.Context) error { return p.setPaused(c, false) },
	}
}

// setPaused publishes the definitions of the chosen targets that are not so. Where one cannot be read, none is published.
func (p *program) setPaused(c *urfave.Context, paused bool) error {
	d, known, chosen, err := p.choose(c, false)
	if err != nil {
		return err
	}
	out, word := newPrinter(p.Stdout, p.Env), stateActive
	if paused {
		word = statePaused
	}
	if len(chosen) == 0 {
		out.printf("there is no such target")
		return nil
	}
	var publish []prober.Target
	for _, one := range chosen {
		t, err := readTarget(one)
		if err != nil {
			return withHint(err, "publish it anew with \"webcheck targets apply\", or use a newer build")
		}
		if t.Paused == paused {
			out.printf("%s is %s already", t.ID, word)
			continue
		}
		t.Paused = paused
		publish = append(publish, t)
	}
	if err := d.Write(c.Context, known, publish, nil); err != nil {
		return err
	}
	for _, t := range publish {
		out.printf("%s is %s now", t.ID, word)
	}
	return nil
}

// readTarget reads the definition that a record has.
func readTarget(d prober.Defined) (t prober.Target, err error) {
	if err = d.Cause; err == nil {
		t, err = prober.ParseDefinition(d.Definition)
	}
	if err != nil {
		err = fmt.Errorf("target %q at %s: %w", d.ID, positionOf(d), err)
	}
	return t, err
}

// choose reads the configuration and the topic, and returns the targets that the command is for.
func (p *program) choose(c *urfave.Context, removes bool) (prober.Definitions, *prober.Known, []prober.Defined, error) {
	filter, err := readChoice(c)
	if err != nil {
		return prober.Definitions{}, nil, nil, err
	}
	d, known, err := p.known(c, true)
	if err != nil {
		return d, nil, nil, err
	}
	chosen, err := chosenTargets(c.Args().Slice(), filter, known, removes)
	return d, known, chosen, err
}
