package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

// deadDescription is what is true of every way in which a letter goes.
const deadDescription = "A dead letter is a record that could not be applied. PostgreSQL keeps it whole until it is retried or dropped; " +
	"the copy in the topic " + schemas.TopicDead + " is a log and stays there."

func (p *program) deadCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "dead",
		Usage:       "list, show, retry or drop dead letters",
		Description: deadDescription + "\n\nExamples:\n  webcheck dead list\n  webcheck dead show webcheck.checks/3@1042\n  webcheck dead retry --all",
		Subcommands: []*urfave.Command{p.deadListCommand(), p.deadShowCommand(), p.deadRetryCommand(), p.deadDropCommand()},
	}
}

func (p *program) deadListCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "list",
		Usage:       "count dead letters by cause and list the newest",
		Description: "Examples:\n  webcheck dead list\n  webcheck dead list --cause \"unknown schema\" --oldest --limit 100 --json",
		Flags: flags([]urfave.Flag{
			&urfave.StringFlag{Name: "topic", Usage: "only those that were in this `TOPIC`"},
			&urfave.IntFlag{Name: "partition", Usage: "only those that were in partition `N`", DefaultText: "all"},
			&urfave.StringFlag{Name: "cause", Usage: "only those whose cause has `TEXT` in it"},
			&urfave.StringFlag{Name: "key", Usage: "only those with this `KEY`, a target's id"},
			&urfave.IntFlag{Name: "limit", Usage: "list `N` letters at most", Value: 20},
			&urfave.BoolFlag{Name: "oldest", Usage: "list the oldest, by their timestamps", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "json", Usage: "print one line of JSON", DisableDefaultText: true},
		}, []string{"postgres", "log", ""}),
		Before: noArguments, Action: p.listDead,
	}
}

func (p *program) deadShowCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "show",
		Usage:     "show one dead letter, decoded as far as its bytes are whole",
		ArgsUsage: "POSITION",
		Description: "Without the schema registry it shows all but the decoded fields.\n\n" +
			"Examples:\n  webcheck dead show webcheck.checks/3@1042\n  webcheck dead show webcheck.checks/3@1042 --json",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "json", Usage: "print one line of JSON, with all bytes", DisableDefaultText: true},
		}, []string{"registry", "postgres", "log", ""}),
		Action: p.showDead,
	}
}

func (p *program) deadRetryCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "retry",
		Usage:     "apply dead letters that a fix has mended",
		ArgsUsage: "POSITION…",
		Description: "Decodes each letter again, by the rules of \"webcheck process\" and its settings; what is whole now becomes a row and is a " +
			"dead letter no more, what is not stays, with its new cause. It may run while processors do, and again. " +
			"Ends with code 1 when a letter is still dead. The copy in the topic " + schemas.TopicDead + " stays there.\n\n" +
			"Examples:\n  webcheck dead retry webcheck.checks/3@1042\n  webcheck dead retry --cause \"unknown schema id 7\"\n  webcheck dead retry --all --processor-retention 180d",
		Flags:  flags(choosing("retry"), []string{"registry", "postgres", "processor", "log", ""}),
		Action: p.retryDead,
	}
}

func (p *program) deadDropCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "drop",
		Usage:     "remove dead letters for good",
		ArgsUsage: "POSITION…",
		Description: "Says how many there are and asks for that number. The copies in the topic " + schemas.TopicDead + " stay there; a letter " +
			"that is not yet published never gets there.\n\n" +
			"Examples:\n  webcheck dead drop webcheck.checks/3@1042\n  webcheck dead drop --cause \"magic byte\" --before 2026-03-14\n  webcheck dead drop --before 30d --yes-drop 12",
		Flags: flags(append(choosing("drop"),
			&urfave.StringFlag{Name: "before", Usage: "those whose record has a timestamp before `TIME`: 2026-03-14, 2026-03-14T15:09:26Z, or 30d for thirty days ago"},
			&urfave.StringFlag{Name: "yes-drop", Usage: "do not ask; `N` is the number of letters"},
		), []string{"postgres", "log", ""}),
		Action: p.dropDead,
	}
}

// choosing are the flags by which a command's letters are chosen, where no positions are given.
func choosing(verb string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.BoolFlag{Name: "all", Usage: verb + " every dead letter", DisableDefaultText: true},
		&urfave.StringFlag{Name: "cause", Usage: verb + " those whose cause has `TEXT` in it"},
	}
}

// chosenLetters reads which letters a command is for: the positions given, those that the flags describe, or all.
func chosenLetters(c *urfave.Context, now time.Time) (processor.LetterFilter, error) {
	var f processor.LetterFilter
	described := false
	for _, name := range []string{"cause", "before"} {
		if !c.IsSet(name) {
			continue
		}
		if c.String(name) == "" {
			return f, usageError{fmt.Errorf("--%s: it is empty", name)}
		}
		described = true
	}
	ways := 0
	for _, way := range []bool{c.Args().Present(), c.Bool("all"), described} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return f, usageError{withHint(errors.New("it is not clear which dead letters are meant"), "give their positions, or --all, or what they have in common")}
	}
	f.Cause = c.String("cause")
	if c.IsSet("before") {
		var err error
		if f.Before, err = parseMoment(c.String("before"), now); err != nil {
			return f, usageError{fmt.Errorf("--before: %w", err)}
		}
	}
	for _, text := range c.Args().Slice() {
		at, err := processor.ParsePosition(text)
		if err != nil {
			return f, usageError{err}
		}
		if !slices.Contains(f.Positions, at) {
			f.Positions = append(f.Positions, at)
		}
	}
	return f, nil
}

// parseMoment reads a time, a day (its beginning in UTC), or how long ago before now.
func parseMoment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if moment, err := time.Parse(layout, text); err == nil {
			return moment, nil
		}
	}
	ago, err := parseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time nor how long ago (examples: 2026-03-14, 2026-03-14T15:09:26Z, 30d)", text)
	}
	return now.Add(-ago), nil
}

// maxStillDead is how many letters a retry names that are still dead; a person reads no more, and "list" has them all.
const maxStillDead = 20

func (p *program) retryDead(c *urfave.Context) error {
	f, err := chosenLetters(c, time.Now())
	if err != nil {
		return err
	}
	for _, at := range f.Positions {
		if at.Topic != schemas.TopicChecks {
			return usageError{fmt.Errorf("%v: only dead letters of %s can be applied", at, schemas.TopicChecks)}
		}
	}
	s, err := p.loadAndReach(c, need{registry: true, postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	out, named := newPrinter(p.Stdout, p.Env), 0
	sum, err := processor.RetryDeadLetters(c.Context, processor.RetryConfig{
		Retention: p.config.Processor.Retention, Registry: s.registry, Pool: s.pool,
		OnDead: func(at processor.Position, cause string) {
			if named++; named <= maxStillDead {
				out.printf("%v is still dead: %s", at, printable(cause))
			}
		},
	}, f)
	if named > maxStillDead {
		out.printf("and %d more", named-maxStillDead)
	}
	out.printf("%d applied, %d still dead", sum.Applied, sum.Dead)
	if gone := int64(len(f.Positions)) - sum.Applied - sum.Dead; gone > 0 && err == nil {
		out.printf("%d of %d positions have no dead letter, or no more", gone, len(f.Positions))
	}
	if err == nil && sum.Dead > 0 {
		err = withHint(fmt.Errorf("%d of %d dead letters are still dead", sum.Dead, sum.Applied+sum.Dead), `"webcheck dead show POSITION" shows one`)
	}
	return err
}

func (p *program) dropDead(c *urfave.Context) error {
	f, err := chosenLetters(c, time.Now())
	if err != nil {
		return err
	}
	return p.withDatabase(func(ctx context.Context, pool *pgxpool.Pool) error {
		return p.dropLetters(ctx, pool, f, c.String("yes-drop"), c.IsSet("yes-drop"))
	})(c)
}

// dropLetters drops only when the number of letters was given, by flag or typed by a person at a terminal, and still holds.
func (p *program) dropLetters(ctx context.Context, pool *pgxpool.Pool, f processor.LetterFilter, typed string, given bool) error {
	counts, err := processor.CountDeadLetters(ctx, pool, f)
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	if counts.Letters == 0 {
		out.printf("there is no such dead letter")
		return nil
	}
	number := strconv.FormatInt(counts.Letters, 10)
	if !given {
		question := fmt.Sprintf("%sThis drops %s for good. Type %s to go on: ", causesText(counts), lettersText(counts.Letters), number)
		if typed, err = p.answer(question, "nothing was dropped", "give the number of letters with --yes-drop"); err != nil {
			return err
		}
	}
	if typed != number {
		return fmt.Errorf("nothing was dropped: %q is not the number of letters, which is %s", typed, number)
	}
	dropped, err := processor.DropDeadLetters(ctx, pool, f, counts.Letters)
	if err != nil {
		return err
	}
	if dropped != counts.Letters {
		return withHint(fmt.Errorf("nothing was dropped: meanwhile the number of letters became %d", dropped), "look again with \"webcheck dead list\"")
	}
	out.printf("dropped %s", lettersText(dropped))
	return nil
}
