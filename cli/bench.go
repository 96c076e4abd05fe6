package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// Defaults of "webcheck bench process".
const (
	// benchEvents take some seconds a stage, which is long against starting it.
	benchEvents = 1_000_000
	// benchTargets and benchInterval make a million events a day of a team's targets, and so two or three partitions of checks.
	benchTargets  = 1000
	benchInterval = time.Minute
	// benchTimeout is several times what a slow machine needs for one run.
	benchTimeout = 10 * time.Minute
)

func (p *program) benchCommand() *urfave.Command {
	sections := []string{"kafka", "registry", "postgres", "processor", "embedded", "log", ""}
	return &urfave.Command{
		Name:        "bench",
		Usage:       "measure the speed of the prober and of the processor on this machine",
		Description: "Examples:\n  webcheck bench probe\n  webcheck bench process",
		Subcommands: append(p.benchProbeCommands(), []*urfave.Command{
			{
				Name:  "process",
				Usage: "measure the processor, stage by stage, against plain COPY",
				Description: "Makes events in topics of its own and stores them in database schemas of its own, all removed at the end, on the services that are " +
					"configured; those that are not are started in a temporary directory. Each stage runs in a process of its own, whose CPU time and peak " +
					"memory are shown. The ratio of a stage is its speed to that of the stage named behind it. \"queries\" times what a status page asks of the tables " +
					"that the processor filled, with a year of hours for one target.\n\n" +
					"Examples:\n  webcheck bench process\n  webcheck bench process --events 200000 --runs 5 --processor-batch-records 50000 --json",
				Flags: flags([]urfave.Flag{
					&urfave.IntFlag{Name: "events", Usage: "make `N` events", Value: benchEvents},
					&urfave.IntFlag{Name: "targets", Usage: "of `N` targets", Value: benchTargets},
					&urfave.StringFlag{Name: "interval", Usage: "a slot every `DURATION`, the last one now", Value: formatDuration(benchInterval)},
					&urfave.IntFlag{Name: "runs", Usage: "run every stage `N` times, and show the least, the middle and the most", Value: 1},
					&urfave.StringFlag{Name: "stages", Usage: "measure only these, and what they need: `LIST` of " + strings.Join(stageNames(), ", "), DefaultText: "all but " + stageQueries},
					&urfave.StringFlag{Name: "timeout", Usage: "give up after this `DURATION`", Value: formatDuration(benchTimeout)},
					&urfave.StringFlag{Name: "cpu-profiles", Usage: "leave a pprof file a stage in `DIR`", DefaultText: "none"},
					&urfave.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true},
				}, sections),
				Before: noArguments,
				Action: p.benchProcess,
			},
			{
				Name: "stage", Hidden: true,
				Usage: "run one stage as its standard input orders; \"webcheck bench process\" starts it",
				Flags: flags(nil, sections), Before: noArguments,
				Action: p.benchStage,
			},
		}...),
	}
}

// benchOptions are the flags of "webcheck bench process".
type benchOptions struct {
	events, targets, runs int
	interval, timeout     time.Duration
	stages                []string // empty: all
	profiles              string   // directory; empty: no profiles
	json                  bool
}

func readBenchOptions(c *urfave.Context) (o benchOptions, err error) {
	for _, flag := range []struct {
		name string
		into *int
	}{{"events", &o.events}, {"targets", &o.targets}, {"runs", &o.runs}} {
		if *flag.into = c.Int(flag.name); *flag.into < 1 {
			return o, usageError{fmt.Errorf("--%s: %d is not 1 or more", flag.name, *flag.into)}
		}
	}
	for _, flag := range []struct {
		name string
		into *time.Duration
	}{{"interval", &o.interval}, {"timeout", &o.timeout}} {
		if *flag.into, err = parseDuration(c.String(flag.name)); err == nil && *flag.into < time.Millisecond {
			err = fmt.Errorf("%q is less than a millisecond", c.String(flag.name))
		}
		if err != nil {
			return o, usageError{fmt.Errorf("--%s: %w", flag.name, err)}
		}
	}
	o.stages = splitList(c.String("stages"))
	for _, name := range o.stages {
		if !slices.Contains(stageNames(), name) {
			return o, usageError{fmt.Errorf("--stages: there is no stage %q%s", name, didYouMean(name, stageNames()))}
		}
	}
	o.profiles, o.json = c.String("cpu-profiles"), c.Bool("json")
	return o, nil
}

// span is the time from the first to the last slot.
func (o benchOptions) span() time.Duration {
	return time.Duration(float64(o.events) / float64(o.targets) * float64(o.interval))
}

func (p *program) benchProcess(c *urfave.Context) error {
	options, err := readBenchOptions(c)
	if err != nil {
		return err
	}
	if err := p.load(c); err != nil {
		return err
	}
	if err := p.benchMayRegister(); err != nil {
		return err
	}
	if kept := p.config.Processor.Retention; options.span() > kept-24*time.Hour {
		return usageError{withHint(fmt.Errorf("the events would span %s, and processor.retention keeps %s", formatDuration(options.span()), formatDuration(kept)),
			"give more --targets or a shorter --interval")}
	}
	return p.benchWithin(c.Context, options.timeout, "give fewer --events or more --timeout", func(ctx context.Context) error {
		start := func(ctx context.Context) (*embeddedServices, error) {
			if err := os.Chmod(p.config.DataDir, 0o711); err != nil { // PostgreSQL's own user has to pass through
				return nil, fmt.Errorf("making a temporary directory: %w", err)
			}
			return p.startEmbedded(ctx)
		}
		return p.onBenchServices(ctx, start, need{kafka: true, registry: true, postgres: true}, func(s *services, endpoints endpoints) (err error) {
			b := newBench(p, s, options)
			b.arguments, b.endpoints = settingArguments(c), endpoints
			defer func() { err = errors.Join(err, b.remove(ctx)) }()
			if err := b.prepare(ctx); err != nil {
				return err
			}
			return b.run(ctx)
		})
	})
}

// benchMayRegister returns the error of a registry that a measurement may not write to. The subjects are its own and do not stay, so
// unless told otherwise it registers anywhere.
func (p *program) benchMayRegister() error {
	if p.config.isDefault("registry.auto_register") {
		p.config.Registry.AutoRegister = true
	}
	if p.config.Registry.AutoRegister {
		return nil
	}
	return usageError{withHint(errors.New("registry.auto_register is false, and the events need a subject of their own"), "measure with a registry that may be written to")}
}

// quieten leaves warnings and errors of the log, unless its level is given: lines and tables are to be read, not searched for among
// records.
func (p *program) quieten() {
	if p.config.isDefault("log.level") {
		p.config.Log.Level = "warn"
		p.logger = p.newLogger(p.config.Log)
	}
}

// benchWithin measures for at most that long; the hint says how it takes less.
func (p *program) benchWithin(parent context.Context, timeout time.Duration, hint string, measure func(context.Context) error) error {
	p.quieten()
	ctx, cancel := context.WithTimeoutCause(parent, timeout, withHint(fmt.Errorf("measuring took longer than %s", formatDuration(timeout)), hint))
	defer cancel()
	err := measure(ctx)
	if parent.Err() == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// onBenchServices starts the services that are not configured in a temporary directory, and measures on all that are needed.
func (p *program) onBenchServices(ctx context.Context, start func(context.Context) (*embeddedServices, error), needed need, measure func(*services, endpoints) error) (err error) {
	dir, err := os.MkdirTemp("", "webcheck-bench-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p.config.DataDir = dir
	embedded, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, embedded.close()) }()
	s, err := p.reachAt(ctx, needed, embedded.endpoints)
	if err != nil {
		return err
	}
	defer s.close()
	return measure(s, embedded.endpoints)
}

// settingArguments are the settings that were given as flags, for a process that is to have the same. A secret is among
// them only as the reference that was typed.
func settingArguments(c *urfave.Context) []string {
	var arguments []string
	for _, name := range append([]string{"config"}, settingFlags()...) {
		if c.IsSet(name) {
			arguments = append(arguments, fmt.Sprintf("--%s=%v", name, c.Value(name)))
		}
	}
	return arguments
}

func settingFlags() []string {
	var names []string
	for _, s := range Settings() {
		names = append(names, s.Flag())
	}
	return names
}
