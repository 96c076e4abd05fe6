package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/gen/event"
	"webcheck/prober"
)

// checkTimeout is shorter than a target's: somebody waits for the answer.
const checkTimeout = 10 * time.Second

func (p *program) checkCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "check",
		Usage:     "check URLs once and print what was seen; needs no services",
		ArgsUsage: "URL…",
		Description: "Prints one line a URL, with the time of each phase in milliseconds. Ends with 0 when all are up and with 3 when one is not.\n\n" +
			"Examples:\n  webcheck check https://example.com\n  webcheck check --expect-status 200-299,401 --body-matches 'Welcome|Hello' --json https://example.com/login",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "timeout", Value: formatDuration(checkTimeout), Usage: "how long one check may take"},
			&urfave.StringFlag{Name: "expect-status", Usage: "codes and ranges that are fine (default: what a target without expect_status expects)"},
			&urfave.StringFlag{Name: "body-matches", Usage: "a regular `EXPRESSION` (RE2) that the body must match"},
			&urfave.BoolFlag{Name: "json", Usage: "print each check as one line of JSON", DisableDefaultText: true},
		},
		Action: p.check,
	}
}

func (p *program) check(c *urfave.Context) error {
	if !c.Args().Present() {
		return usageError{withHint(errors.New("there is no URL to check"), "for example: webcheck check https://example.com")}
	}
	targets, err := checkTargets(c)
	if err != nil {
		return err
	}
	results := checkAll(c.Context, targets)
	out := newPrinter(p.Stdout, p.Env)
	out.fit(targetURLs(targets)...)
	allUp := true
	for i, result := range results {
		e := <-result
		if c.Context.Err() != nil {
			return errors.New("interrupted")
		}
		allUp = allUp && e.Outcome == event.OutcomeUp
		if !c.Bool("json") {
			out.check(e.StartedAt.Local(), targets[i].URL, e)
		} else if err := out.json(checkedURL{targets[i].URL, jsonEvent{e}}); err != nil {
			return err
		}
	}
	if !allUp {
		return errSomethingDown
	}
	return nil
}

// checkedURL is a check as JSON.
type checkedURL struct {
	URL   string    `json:"url"`
	Check jsonEvent `json:"check"`
}

func checkTargets(c *urfave.Context) ([]prober.Target, error) {
	targets, err := targetsFromURLs(c.Args().Slice(), time.Minute)
	if err != nil {
		return nil, err
	}
	timeout, err := parseDuration(c.String("timeout"))
	if err != nil || timeout <= 0 {
		return nil, usageError{fmt.Errorf("--timeout: %q is not a duration of more than nothing (examples: 10s, 1m)", c.String("timeout"))}
	}
	var status []prober.StatusRange
	if c.IsSet("expect-status") {
		if status, err = parseStatus(c.String("expect-status")); err != nil {
			return nil, usageError{fmt.Errorf("--expect-status: %w", err)}
		}
	}
	var body *regexp.Regexp
	if c.IsSet("body-matches") {
		if body, err = regexp.Compile(c.String("body-matches")); err != nil {
			return nil, usageError{fmt.Errorf("--body-matches: %q is not a regular expression: %s", c.String("body-matches"), strings.TrimPrefix(err.Error(), "error parsing regexp: "))}
		}
	}
	for i := range targets {
		targets[i].Timeout, targets[i].BodyMatches = timeout, body
		targets[i].Interval = max(targets[i].Interval, timeout)
		if status != nil {
			targets[i].Status = status
		}
	}
	return targets, nil
}

// checkAll checks the targets at the same time; each result can be received once.
func checkAll(ctx context.Context, targets []prober.Target) []<-chan *event.CheckCompleted {
	results := make([]<-chan *event.CheckCompleted, len(targets))
	for i, target := range targets {
		result := make(chan *event.CheckCompleted, 1)
		results[i] = result
		go func() { result <- prober.Check(ctx, target) }()
	}
	return results
}

func targetURLs(targets []prober.Target) []string {
	urls := make([]string, len(targets))
	for i, target := range targets {
		urls[i] = target.URL
	}
	return urls
}
