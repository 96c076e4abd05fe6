package cli

import (
	"context"
	"errors"
	"fmt"
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
		Description: "Prints one line a URL, with the time of each phase in milliseconds. Ends with 0 when all are up and with 3 when one is not.\n" +
			"Besides http and https it checks tcp://HOST:PORT, tls://HOST:PORT and dns://RESOLVER/NAME?type=A.\n\n" +
			"Examples:\n  webcheck check https://example.com\n  webcheck check --expect-status 200-299,401 --body-matches 'Welcome|Hello' --json https://example.com/login",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "timeout", Value: formatDuration(checkTimeout), Usage: "how long one check may take"},
			&urfave.StringFlag{Name: "expect-status", Usage: "codes and ranges that are fine (default: what a target without expect_status expects)"},
			&urfave.StringFlag{Name: "body-matches", Usage: "a regular `EXPRESSION` (RE2) that the body must match"},
			&urfave.StringFlag{Name: "body-not-matches", Usage: "a regular `EXPRESSION` that it must not match"},
			&urfave.StringFlag{Name: "method", Usage: "what to ask with (default: GET)"},
			&urfave.StringSliceFlag{Name: "header", Usage: "a `HEADER` to send, as 'Name: value'; may be given again"},
			&urfave.StringFlag{Name: "body", Usage: "a `TEXT` to send"},
			&urfave.StringFlag{Name: "max-latency", Usage: "a `DURATION` from which on a target is degraded"},
			&urfave.StringFlag{Name: "certificate-days", Usage: "a `NUMBER` of days that the certificate must be valid still"},
			&urfave.StringFlag{Name: "ip-family", Usage: "the addresses to try: ipv4 or ipv6 (default: any)"},
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

// checkTargets returns a target for each URL, with what the flags ask of all of them.
func checkTargets(c *urfave.Context) ([]prober.Target, error) {
	targets, err := targetsFromURLs(c.Args().Slice(), time.Minute)
	if err != nil {
		return nil, err
	}
	for i := range targets {
		t := &targets[i]
		if err := checkFlags(c, t); err != nil {
			return nil, err
		}
		t.Interval = max(t.Interval, t.Timeout)
		for _, fault := range t.Validate() {
			return nil, usageError{fmt.Errorf("--%s: %s", flagOf(fault.Field), fault.Message)}
		}
	}
	return targets, nil
}

// flagOf is the flag that gives a field of a target.
func flagOf(field string) string {
	field, _, _ = strings.Cut(field, ".")
	if field == "headers" {
		return "header"
	}
	return strings.ReplaceAll(field, "_", "-")
}

// checkFlags puts what the flags say into t.
func checkFlags(c *urfave.Context, t *prober.Target) error {
	for _, flag := range []struct {
		name string
		read func(text string) error
	}{
		{"timeout", func(text string) error { return readTimeout(text, &t.Timeout) }},
		{"expect-status", func(text string) (err error) { t.Status, err = parseStatus(text); return err }},
		{"body-matches", func(text string) error { return readRegex(text, &t.BodyMatches) }},
		{"body-not-matches", func(text string) error { return readRegex(text, &t.BodyNotMatches) }},
		{"method", func(text string) error { t.Method = text; return nil }},
		{"body", func(text string) error { t.Body = text; return nil }},
		{"max-latency", func(text string) error { return readDuration(text, &t.MaxLatency) }},
		{"certificate-days", func(text string) error { return readNumber(text, &t.CertificateDays) }},
		{"ip-family", func(text string) error { t.IPFamily = text; return nil }},
	} {
		if text := c.String(flag.name); c.IsSet(flag.name) || text != "" {
			if err := flag.read(text); err != nil {
				return usageError{fmt.Errorf("--%s: %w", flag.name, err)}
			}
		}
	}
	for _, text := range c.StringSlice("header") {
		name, value, found := strings.Cut(text, ":")
		if !found {
			return usageError{errors.New("--header: one of them has no colon (example: 'Accept-Language: de')")} // it may be a secret
		}
		if t.Headers == nil {
			t.Headers = make(map[string]string)
		}
		t.Headers[name] = strings.TrimSpace(value)
	}
	return nil
}

func readTimeout(text string, into *time.Duration) error {
	timeout, err := parseDuration(text)
	if err != nil || timeout <= 0 {
		return fmt.Errorf("%q is not a duration of more than nothing (examples: 10s, 1m)", text)
	}
	*into = timeout
	return nil
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
