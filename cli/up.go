package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/prober"
)

// upInterval is how often "webcheck up URL" checks unless told otherwise: soon enough for a person who waits for it.
const upInterval = 10 * time.Second

func (p *program) upCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "up",
		Usage:     "run everything in one process: embedded services, processor and prober",
		ArgsUsage: "[URL…]",
		Description: "Starts a Kafka broker, a schema registry and PostgreSQL in the data directory, each unless a real one is configured, and " +
			"watches the URLs given, else the targets of webcheck.yaml, beside those that Kafka has from before; where there are none at all, three demo sites on this machine. Ends with Ctrl-C. " +
			"Writes only warnings to the log unless a level is given.\n\n" +
			"Examples:\n  webcheck up\n  webcheck up https://example.com https://example.org/login --interval 30s\n  webcheck up --config webcheck.yaml --postgres-url env:DATABASE_URL",
		Flags: flags([]urfave.Flag{
			&urfave.StringFlag{Name: "interval", Usage: "how often the URLs given are checked (default: 10s; the demo sites: 2s)"},
			&urfave.StringFlag{Name: "for", Usage: "end by itself after this `DURATION`"},
			&urfave.IntFlag{Name: "checks", Usage: "end by itself after `N` checks", DefaultText: "go on"},
		}, allSections),
		Action: p.up,
	}
}

// upOptions are up's own flags.
type upOptions struct {
	interval time.Duration // 0: not given
	lasting  time.Duration // 0: until told to stop
	checks   int           // 0: until told to stop
}

func readUpOptions(c *urfave.Context) (o upOptions, err error) {
	for _, flag := range []struct {
		name string
		into *time.Duration
	}{{"interval", &o.interval}, {"for", &o.lasting}} {
		if !c.IsSet(flag.name) {
			continue
		}
		if *flag.into, err = parseDuration(c.String(flag.name)); err == nil && *flag.into <= 0 {
			err = fmt.Errorf("%q is not more than nothing", c.String(flag.name))
		}
		if err != nil {
			return o, usageError{fmt.Errorf("--%s: %w", flag.name, err)}
		}
	}
	if o.checks = c.Int("checks"); o.checks < 0 || o.checks == 0 && c.IsSet("checks") {
		return o, usageError{fmt.Errorf("--checks: %d is not 1 or more", o.checks)}
	}
	return o, nil
}

func (p *program) up(c *urfave.Context) error {
	options, err := readUpOptions(c)
	if err != nil {
		return err
	}
	if err := p.load(c); err != nil {
		return err
	}
	p.quieten()
	if len(p.config.Kafka.Brokers) == 0 && p.config.Processor.Name == "" {
		p.config.Processor.Name = "up" // nobody else is on this broker, and after a kill the next start goes on at once
	}
	metrics, err := p.serveMetrics()
	if err != nil {
		return err
	}
	defer metrics.close()
	targets, err := p.upTargets(c.Args().Slice(), options)
	if err != nil {
		return err
	}
	embedded, err := p.startEmbedded(c.Context)
	if err != nil {
		return err
	}
	if embedded.dir != "" {
		p.notice("everything is kept in %s", embedded.dir)
	}
	err = p.upOn(c.Context, embedded, metrics, targets, options)
	return errors.Join(err, embedded.close())
}

// upOn readies the services for events and runs the rooms on them.
func (p *program) upOn(ctx context.Context, embedded *embeddedServices, metrics *metricsServer, targets []prober.Target, options upOptions) error {
	s, err := p.reachAt(ctx, need{kafka: true, registry: true, postgres: true}, embedded.endpoints)
	if err != nil {
		return err
	}
	defer s.close()
	if err := p.prepare(ctx, s); err != nil {
		return err
	}
	targets, stopSites, err := p.publishUpTargets(ctx, s, targets, options)
	if err != nil {
		return err
	}
	defer stopSites()
	run := newUpRun(p, s, metrics, targets, options)
	run.connectWith, run.databaseGone = embedded.psql(), embedded.postgresDone
	return run.run(ctx)
}

// upTargets are the targets that were given, by URLs or in the file; none where none were.
func (p *program) upTargets(urls []string, options upOptions) ([]prober.Target, error) {
	if len(urls) > 0 {
		interval := options.interval
		if interval == 0 {
			interval = upInterval
		}
		return targetsFromURLs(urls, interval)
	}
	if options.interval != 0 && len(p.config.Targets) > 0 {
		return nil, usageError{errors.New("--interval is for URLs on the command line; the targets of the file have their own")}
	}
	return p.config.Targets, nil
}

// notice tells a person how a long command goes on. It is no result, so it goes where logs go.
func (p *program) notice(format string, arguments ...any) {
	fmt.Fprintln(p.Stderr, p.secrets.scrub(fmt.Sprintf(format, arguments...)))
}
