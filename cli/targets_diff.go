package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	urfave "github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"webcheck/prober"
)

func (p *program) targetsDiffCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "diff",
		Usage: "compare the targets of a file with those of the topic",
		Description: "Prints what \"webcheck targets apply --prune\" would do. Ends with 0 when there is nothing to do, and with 3 when there is.\n\n" +
			"Examples:\n  webcheck targets diff\n  webcheck targets diff -f targets.yaml",
		Flags:  flags([]urfave.Flag{fileFlag()}, logSections),
		Before: noArguments,
		Action: func(c *urfave.Context) error {
			targets, err := p.fileTargets(c)
			if err != nil {
				return err
			}
			d, err := p.definitions(c.Context, false)
			if err != nil {
				return err
			}
			known, err := d.Read(c.Context)
			if err != nil {
				return err
			}
			found := compareTargets(known, targets)
			newPrinter(p.Stdout, p.Env).targetChanges(found, true)
			if found.isNothing() {
				return nil
			}
			return errSomethingDown
		},
	}
}

// fileTargets reads the configuration, and the targets of the file that is given, or else those of the configuration; at least one.
func (p *program) fileTargets(c *urfave.Context) ([]prober.Target, error) {
	if err := p.load(c); err != nil {
		return nil, err
	}
	name, targets := p.config.File, p.config.Targets
	if c.IsSet("file") {
		name = c.String("file")
		var err error
		if targets, err = p.readTargetsFile(name); err != nil {
			return nil, err
		}
	}
	switch {
	case name == "":
		return nil, usageError{withHint(errors.New("there is no file with targets"), `give one with -f; "webcheck init" prints an example`)}
	case len(targets) == 0:
		return nil, usageError{withHint(fmt.Errorf("there is no target in %q", name), `"webcheck targets remove" removes targets`)}
	}
	return targets, nil
}

// readTargetsFile reads the targets of a file like webcheck.yaml; what its settings say is not used. The error is a *ConfigError
// with every fault, or a usage error.
func (p *program) readTargetsFile(name string) ([]prober.Target, error) {
	text, err := p.readInput(name)
	if err != nil {
		return nil, usageError{fmt.Errorf("reading the targets %q: %w", name, withoutPath(err))}
	}
	doc := readDocument(name, text)
	faults := doc.faults
	targets, targetFaults := readTargets(doc)
	if faults = append(faults, targetFaults...); len(faults) > 0 {
		sortFaults(faults)
		return nil, &ConfigError{faults}
	}
	return targets, nil
}

// readInput reads a file, or standard input where the name is "-".
func (p *program) readInput(name string) ([]byte, error) {
	if name != "-" {
		return readBounded(name, maxConfigBytes)
	}
	text, err := io.ReadAll(io.LimitReader(p.Stdin, maxConfigBytes+1))
	if err == nil && len(text) > maxConfigBytes {
		err = fmt.Errorf("it has more than %d bytes", maxConfigBytes)
	}
	return text, err
}

// targetChanges is what makes the topic have what a file has.
type targetChanges struct {
	added   []prober.Target
	changed []changedTarget
	absent  []prober.Defined // from the file
	same    int
}

type changedTarget struct {
	from prober.Defined
	to   prober.Target
}

func (c targetChanges) isNothing() bool { return len(c.added)+len(c.changed)+len(c.absent) == 0 }

// publishes are the definitions that the topic is to get.
func (c targetChanges) publishes() []prober.Target {
	all := slices.Clone(c.added)
	for _, changed := range c.changed {
		all = append(all, changed.to)
	}
	return all
}

// compareTargets compares what the topic has with what it should have.
func compareTargets(known *prober.Known, targets []prober.Target) targetChanges {
	var c targetChanges
	wanted, same := make(map[string]bool, len(targets)), haveTargets(known, targets)
	for n, t := range targets {
		wanted[t.ID] = true
		from, is := known.Targets[t.ID]
		switch {
		case !is || from.Removed:
			c.added = append(c.added, t)
		case same[n]:
			c.same++
		default:
			c.changed = append(c.changed, changedTarget{from, t})
		}
	}
	for _, d := range definedTargets(known) {
		if !wanted[d.ID] {
			c.absent = append(c.absent, d)
		}
	}
	return c
}

// comparedAtOnce is how many targets one processor compares in a millisecond or ten.
const comparedAtOnce = 1000

// haveTargets says for each target whether the topic has it as it is, which takes all processors: a definition has to be hashed.
func haveTargets(known *prober.Known, targets []prober.Target) []bool {
	same := make([]bool, len(targets))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < len(targets); start += comparedAtOnce {
		group.Go(func() error {
			for n := start; n < min(start+comparedAtOnce, len(targets)); n++ {
				same[n] = known.Has(&targets[n])
			}
			return nil
		})
	}
	_ = group.Wait() // none fails
	return same
}

// targetChanges writes a line for each target that is added or removed, a few for one that is changed, and then their numbers.
func (p *printer) targetChanges(c targetChanges, prune bool) {
	width := 0
	for _, t := range c.added {
		width = max(width, utf8.RuneCountInString(t.ID))
	}
	for _, d := range c.absent {
		width = max(width, utf8.RuneCountInString(printable(d.ID)))
	}
	width = min(width, maxIDWidth)
	for _, t := range c.added {
		p.printf("%s  %s", p.paint(green, fmt.Sprintf("+ %-*s", width, t.ID)), printable(t.URL))
	}
	for _, changed := range c.changed {
		p.printf("%s", p.paint(yellow, "~ "+changed.to.ID))
		for _, line := range changed.lines() {
			p.printf("    %s", line)
		}
	}
	if prune {
		for _, d := range c.absent {
			p.printf("%s", strings.TrimRight(fmt.Sprintf("%s  %s", p.paint(red, fmt.Sprintf("- %-*s", width, printable(d.ID))), printable(d.URL)), " "))
		}
	}
	switch removed := len(c.absent); {
	case c.isNothing() || !prune && len(c.added)+len(c.changed) == 0:
		p.printf("nothing to do: the topic has %s as the file does", count(c.same, "target"))
	case prune:
		p.printf("%d new, %d changed, %d removed, %d the same", len(c.added), len(c.changed), removed, c.same)
	default:
		p.printf("%d new, %d changed, %d the same", len(c.added), len(c.changed), c.same)
	}
	switch {
	case prune || len(c.absent) == 0:
	case len(c.absent) == 1:
		p.printf("1 target of the topic is not in the file; --prune removes it")
	default:
		p.printf("%d targets of the topic are not in the file; --prune removes them", len(c.absent))
	}
}

// lines say what changes.
func (c changedTarget) lines() []string {
	if c.from.Cause != nil {
		return []string{"the definition there cannot be read: " + shortened(printable(c.from.Cause.Error()), maxCauseWidth)}
	}
	from, err := readFields(c.from.Definition)
	if err != nil {
		return []string{"the definition there cannot be read: " + shortened(printable(err.Error()), maxCauseWidth)}
	}
	to, err := readFields(c.to.Definition())
	if err != nil {
		return nil // never: it is our own
	}
	if lines := changedFields(from, to); len(lines) > 0 {
		return lines
	}
	if c.from.Version == c.to.Version() { // it is in another partition too, or not what its version says
		return []string{"not every prober reads it like this"}
	}
	return []string{"version: " + printable(c.from.Version) + " -> " + c.to.Version()}
}
