package cli

import (
	"fmt"
	"slices"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

func (p *program) verifyCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "verify",
		Usage: "compare Kafka's checks with PostgreSQL's tables, and say what is not accounted for",
		Description: "Reads all checks that Kafka has, and compares each with its row and the rows with what was made of them. It changes " +
			"nothing, and probers and processors may run meanwhile. It ends with code 0 when all is accounted for, and with 3 when something " +
			"is not. It needs 44 bytes an event in the directory for temporary files (TMPDIR).\n\n" +
			"Examples:\n  webcheck verify\n  webcheck verify --from 2d --allow gaps,dead\n  webcheck verify --json --all",
		Flags: flags([]urfave.Flag{
			&urfave.StringFlag{Name: "from", Usage: "`WHEN` to begin: start, a time, a date (UTC), or how long ago (2h, 3d)", DefaultText: "start"},
			&urfave.StringFlag{Name: "allow", Usage: "findings that are no reason for code 3: `CLASS[,CLASS…]` of " + orList(processor.VerifyClasses())},
			&urfave.BoolFlag{Name: "all", Usage: "list everything that is found, not a few examples", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "json", Usage: "print the report as one line of JSON", DisableDefaultText: true},
		}, []string{"kafka", "registry", "postgres", "processor", "log", ""}),
		Before: noArguments,
		Action: p.verify,
	}
}

func (p *program) verify(c *urfave.Context) error {
	cfg, allowed, err := verifyQuestion(c, time.Now())
	if err != nil {
		return err
	}
	line := p.showProgress()
	defer line.clear()
	s, err := p.loadAndReach(c, need{kafka: true, registry: true, postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	if err := p.needTopics(c.Context, s, schemas.TopicChecks); err != nil {
		return err
	}
	cfg.Config = processor.Config{
		Retention: p.config.Processor.Retention, Kafka: s.kafka, Registry: s.registry, Pool: s.pool, Logger: p.logger,
	}
	cfg.OnProgress = func(progress processor.VerifyProgress) { line.show(time.Now(), verifyProgressText(progress)) }
	report, err := processor.Verify(c.Context, cfg)
	line.clear()
	if err != nil {
		return err
	}
	unaccounted := report.Unaccounted(allowed...)
	out := newPrinter(p.Stdout, p.Env)
	if c.Bool("json") {
		err = out.json(verifyResult{report, len(unaccounted) == 0})
	} else {
		out.verified(&report, allowed)
	}
	if err == nil && len(unaccounted) > 0 {
		err = errUnaccounted
	}
	return err
}

// verifyQuestion reads the command's own flags.
func verifyQuestion(c *urfave.Context, now time.Time) (cfg processor.VerifyConfig, allowed []string, err error) {
	if c.IsSet("from") && c.String("from") != "start" {
		from, err := parseBound(c.String("from"), now)
		if err == nil && from.at == nil {
			err = fmt.Errorf("%q is neither start, a time (2026-11-25T08:00:00Z), a date (2026-11-25) nor how long ago (2h, 3d)", c.String("from"))
		}
		if err != nil {
			return cfg, nil, usageError{fmt.Errorf("--from: %w", err)}
		}
		cfg.From = *from.at
	}
	if c.IsSet("allow") {
		allowed = splitList(c.String("allow"))
	}
	for _, class := range allowed {
		if known := processor.VerifyClasses(); !slices.Contains(known, class) {
			return cfg, nil, usageError{fmt.Errorf("--allow: there is no %q%s; there are %s", class, didYouMean(class, known), orList(known))}
		}
	}
	if c.Bool("all") {
		cfg.Examples = -1
	}
	return cfg, allowed, nil
}

// errUnaccounted ends a verification that found something. It is not printed: the report says it.
var errUnaccounted = fmt.Errorf("not all is accounted for: %w", errSomethingDown)

// verifyResult is a report as JSON.
type verifyResult struct {
	processor.Report
	Accounted bool `json:"accounted"`
}

func verifyProgressText(progress processor.VerifyProgress) string {
	switch {
	case progress.Total > 0:
		return fmt.Sprintf("%s: %d of %d", progress.Step, progress.Done, progress.Total)
	case progress.Done > 0:
		return fmt.Sprintf("%s: %d", progress.Step, progress.Done)
	}
	return progress.Step
}

// verified writes a report: what was compared, then a line a class, with examples below those that count something.
func (p *printer) verified(r *processor.Report, allowed []string) {
	p.printf("%s: %s of %s, %s; compared with %s", r.Topic, count(int(r.Records), "record"), count(len(r.Partitions), "partition"),
		count(int(r.Events), "event"), count(int(r.Rows), "row"))
	for _, fact := range []struct {
		n    int64
		text string
	}{
		{r.Repeated, "records repeat another one"},
		{r.Rivals, "records say something else of a slot than the one that is kept"},
		{r.Old, "events are older than PostgreSQL keeps them"},
		{r.Expired, "rows are older than the log, or than what was read of it"},
	} {
		if fact.n > 0 {
			p.printf("%10d  %s", fact.n, fact.text)
		}
	}
	for _, f := range r.Findings {
		p.finding(f, slices.Contains(allowed, f.Class))
	}
	if len(r.Unaccounted(allowed...)) == 0 {
		p.printf("%s", p.paint(green, "all is accounted for"))
	} else {
		p.printf("%s", p.paint(red, "not all is accounted for"))
	}
}

func (p *printer) finding(f processor.Finding, allowed bool) {
	line := fmt.Sprintf("%10d  %-11s  %s", f.Count, f.Class, f.Title)
	switch {
	case f.Count == 0:
		p.printf("%s", p.paint(faint, line))
		return
	case allowed:
		p.printf("%s (allowed)", p.paint(yellow, line))
	default:
		p.printf("%s", p.paint(red, line))
	}
	for _, example := range f.Examples {
		p.printf("%14s%s", "", printable(example))
	}
	p.printf("%12s%s", "", "hint: "+f.Next)
}
