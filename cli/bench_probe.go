package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/embedded"
)

// Defaults of "webcheck bench probe".
const (
	// probeWindow is long against the pauses of the garbage collector and of a shared machine.
	probeWindow = 10 * time.Second
	// probeTimeout is several times what a slow machine needs for one run.
	probeTimeout = 20 * time.Minute
)

func (p *program) benchProbeCommands() []*urfave.Command {
	sections := []string{"kafka", "registry", "log", ""}
	return []*urfave.Command{
		{
			Name:  "probe",
			Usage: "measure the prober, stage by stage, against plain net/http",
			Description: "Checks a site of its own on loopback, which answers at once, and hands the events to Kafka in topics of its own, which are removed at the end; " +
				"a service that is not configured is started in a temporary directory. Prober and site run in processes of their own, whose CPU time is shown apart. " +
				"Lateness is from the slot of a check to its beginning. The stages: " +
				"\"bare\" is net/http as fast as it goes and \"bare-spread\" at an even rate, with a connection a check; \"probe\" is the prober at 4000/s, \"late\" at 5000/s and 8000/s; " +
				"a tenth of the targets of \"hanging\" never answer; \"targets\" shows memory, and from one target on they are read from Kafka; \"load\" is that reading alone.\n\n" +
				"Examples:\n  webcheck bench probe\n  webcheck bench probe --stages probe,probe-800 --runs 3 --json",
			Flags: flags([]urfave.Flag{
				&urfave.IntFlag{Name: "seconds", Usage: "measure each stage for `N` seconds", DefaultText: fmt.Sprintf("%.0f, and a minute where targets are due once a minute", probeWindow.Seconds())},
				&urfave.IntFlag{Name: "divide", Usage: "take an `N`th of the targets of each stage, for a first look", Value: 1},
				&urfave.IntFlag{Name: "runs", Usage: "run every stage `N` times, and show the least, the middle and the most", Value: 1},
				&urfave.StringFlag{Name: "stages", Usage: "measure only these, and what they are held against: `LIST` of " + strings.Join(probeStageNames(), ", "), DefaultText: "all"},
				&urfave.StringFlag{Name: "timeout", Usage: "give up after this `DURATION`", Value: formatDuration(probeTimeout)},
				&urfave.StringFlag{Name: "cpu-profiles", Usage: "leave a pprof file a stage in `DIR`", DefaultText: "none"},
				&urfave.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true},
			}, sections),
			Before: noArguments,
			Action: p.benchProbe,
		},
		{
			Name: "probe-process", Hidden: true,
			Usage: "run one process as its standard input orders; \"webcheck bench probe\" starts it",
			Flags: flags(nil, sections), Before: noArguments,
			Action: p.benchProbeProcess,
		},
	}
}

// Bounds of the flags, so that a measurement ends.
const (
	maxProbeRuns    = 100
	maxProbeSeconds = 3600
	maxProbeDivide  = 1_000_000
)

// probeOptions are the flags of "webcheck bench probe".
type probeOptions struct {
	seconds      int // 0: each stage's own
	divide, runs int
	timeout      time.Duration
	stages       []string // empty: all
	profiles     string   // directory; empty: no profiles
	json         bool
}

func readProbeOptions(c *urfave.Context) (o probeOptions, err error) {
	for _, flag := range []struct {
		name string
		most int
		into *int
	}{{"seconds", maxProbeSeconds, &o.seconds}, {"divide", maxProbeDivide, &o.divide}, {"runs", maxProbeRuns, &o.runs}} {
		*flag.into = c.Int(flag.name)
		if unset := flag.name == "seconds" && !c.IsSet(flag.name); !unset && (*flag.into < 1 || *flag.into > flag.most) {
			return o, usageError{fmt.Errorf("--%s: %d is not 1 to %d", flag.name, *flag.into, flag.most)}
		}
	}
	if o.timeout, err = parseDuration(c.String("timeout")); err == nil && o.timeout < time.Millisecond {
		err = fmt.Errorf("%q is less than a millisecond", c.String("timeout"))
	}
	if err != nil {
		return o, usageError{fmt.Errorf("--timeout: %w", err)}
	}
	o.stages = splitList(c.String("stages"))
	for _, name := range o.stages {
		if !slices.Contains(probeStageNames(), name) {
			return o, usageError{fmt.Errorf("--stages: there is no stage %q%s", name, didYouMean(name, probeStageNames()))}
		}
	}
	o.profiles, o.json = c.String("cpu-profiles"), c.Bool("json")
	return o, nil
}

// window is how long a stage is measured.
func (o probeOptions) window(stage probeStage) time.Duration {
	if o.seconds > 0 {
		return time.Duration(o.seconds) * time.Second
	}
	return stage.window()
}

func (p *program) benchProbe(c *urfave.Context) error {
	options, err := readProbeOptions(c)
	if err != nil {
		return err
	}
	if err := p.load(c); err != nil {
		return err
	}
	if err := p.benchMayRegister(); err != nil {
		return err
	}
	return p.benchWithin(c.Context, options.timeout, "give fewer --stages or --runs, or more --timeout", func(ctx context.Context) error {
		return p.onBenchServices(ctx, p.startLog, need{kafka: true, registry: true}, func(s *services, endpoints endpoints) (err error) {
			b := newProbeBench(p, s, options)
			b.arguments, b.endpoints = settingArguments(c), endpoints
			defer func() { err = errors.Join(err, b.remove(ctx)) }()
			return b.run(ctx)
		})
	})
}

// startLog is startEmbedded without PostgreSQL, which no prober needs.
func (p *program) startLog(ctx context.Context) (*embeddedServices, error) {
	e := new(embeddedServices)
	lock, err := embedded.Lock(p.config.DataDir)
	if err != nil {
		return nil, err
	}
	e.closers, e.dir = append(e.closers, lock.Unlock), lock.Dir()
	if err = p.startBroker(ctx, e, e.dir); err == nil {
		err = p.startRegistry(ctx, e, e.dir)
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}
