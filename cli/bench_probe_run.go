package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What the other processes of a measurement are for.
const (
	probeSiteProcess   = "site"   // is checked
	probeDefineProcess = "define" // publishes a stage's targets
)

// probeOrder is what a process reads from its standard input, one line of JSON. The end of the input tells it to stop.
type probeOrder struct {
	// Process is probeSiteProcess or probeDefineProcess; empty for that of a stage.
	Process string
	// Stage is its name, and Divide by how much its targets are fewer.
	Stage  string
	Divide int
	Window time.Duration
	// Checks and Targets are topics, Group is a consumer group.
	Checks, Targets, Group string
	Endpoints              endpoints
	Place                  probePlace
	Spool                  string // directory
	Profile                string // file; empty: no profile
}

// probeLine is one line of a process's standard output.
type probeLine struct {
	// Place is the first line of the site.
	Place *probePlace `json:",omitempty"`
	// Report is there in the last line, unless Error says why there is none.
	Report *probeMeasurement `json:",omitempty"`
	Error  string            `json:",omitempty"`
}

func (l probeLine) end() (string, bool) { return l.Error, l.Report != nil }

// probeBench is one measurement of the prober.
type probeBench struct {
	p         *program
	s         *services
	options   probeOptions
	own       string    // what is its own in services that others use
	arguments []string  // settings for the other processes
	endpoints endpoints // of embedded services
	place     probePlace
	topics    []string // that were made
	groups    []string // that were used
	result    probeResult
}

func newProbeBench(p *program, s *services, options probeOptions) *probeBench {
	return &probeBench{p: p, s: s, options: options, own: "bench-" + strings.ToLower(rand.Text()[:10])}
}

// run measures, and prints what there is, also when it could not do all.
func (b *probeBench) run(ctx context.Context) error {
	b.result = newProbeResult(b.options, len(b.endpoints.Kafka) > 0)
	checks := b.topic("checks")
	if err := b.createTopic(ctx, checks, nil); err != nil {
		return err
	}
	stop, ready, ended := make(chan struct{}), make(chan probePlace, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		err := b.runProcess(ctx, probeOrder{Process: probeSiteProcess}, stop, func(line probeLine) {
			if line.Place != nil {
				ready <- *line.Place
			}
		})
		ended <- err
		cancel()
	}()
	var err error
	select {
	case b.place = <-ready:
		err = b.runStages(ctx)
	case <-ctx.Done():
	}
	close(stop)
	return errors.Join(<-ended, err, b.result.print(b.p, b.options.json))
}

func (b *probeBench) runStages(ctx context.Context) error {
	defined := make(map[string]bool)
	for n := range b.options.runs {
		for _, stage := range probeStages() {
			if !b.wants(stage) {
				continue
			}
			if stage.follows() && !defined[stage.Name] {
				if err := b.define(ctx, stage); err != nil {
					return err
				}
				defined[stage.Name] = true
			}
			b.p.notice("run %d of %d: %s", n+1, b.options.runs, stage.Name)
			m, err := b.measure(ctx, n, stage)
			if err != nil {
				return fmt.Errorf("measuring %q: %w", stage.Name, err)
			}
			b.result.add(stage, m)
		}
	}
	return nil
}

// wants reports whether a stage is asked for, or one that is held against it.
func (b *probeBench) wants(stage probeStage) bool {
	asked := b.options.stages
	return len(asked) == 0 || slices.Contains(asked, stage.Name) || slices.ContainsFunc(asked, func(name string) bool {
		other, _ := findProbeStage(name, 1)
		return other.Limit == stage.Name
	})
}

func (b *probeBench) order(stage probeStage) probeOrder {
	return probeOrder{
		Stage: stage.Name, Divide: b.options.divide, Window: b.options.window(stage),
		Checks: b.topic("checks"), Targets: b.topic(stage.Name), Endpoints: b.endpoints, Place: b.place,
	}
}

// define makes a compacted topic with the stage's targets.
func (b *probeBench) define(ctx context.Context, stage probeStage) error {
	order := b.order(stage)
	order.Process = probeDefineProcess
	if err := b.createTopic(ctx, order.Targets, map[string]*string{"cleanup.policy": new("compact")}); err != nil {
		return err
	}
	b.p.notice("defining the targets of %s", stage.Name)
	if err := b.runProcess(ctx, order, nil, func(probeLine) {}); err != nil {
		return fmt.Errorf("defining the targets of %q: %w", stage.Name, err)
	}
	return nil
}

// measure runs the process of a stage.
func (b *probeBench) measure(ctx context.Context, n int, stage probeStage) (m probeMeasurement, err error) {
	order := b.order(stage)
	order.Group = fmt.Sprintf("webcheck-%s-%s-%d", b.own, stage.Name, n)
	order.Spool = filepath.Join(b.p.config.DataDir, fmt.Sprintf("spool-%s-%d", stage.Name, n))
	b.groups = append(b.groups, order.Group)
	if b.options.profiles != "" {
		order.Profile = filepath.Join(b.options.profiles, fmt.Sprintf("%s-%d.pprof", stage.Name, n))
	}
	err = b.runProcess(ctx, order, nil, func(line probeLine) {
		if line.Report != nil {
			m = *line.Report
		}
	})
	return m, err
}

// runProcess runs another process; see runChild.
func (b *probeBench) runProcess(ctx context.Context, order probeOrder, stop <-chan struct{}, tell func(probeLine)) error {
	arguments := append([]string{"bench", "probe-process"}, b.arguments...)
	return b.p.runChild(ctx, arguments, order, stop, func(out io.Reader) error { return readLines(out, tell) })
}

func (b *probeBench) topic(name string) string { return "webcheck." + b.own + "." + name }

// createTopic makes a topic with the partitions that are configured.
func (b *probeBench) createTopic(ctx context.Context, name string, config map[string]*string) error {
	client, err := kgo.NewClient(b.s.kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	b.topics = append(b.topics, name)
	want := b.p.config.Kafka.Topics
	if _, err = kadm.NewClient(client).CreateTopic(ctx, int32(want.Partitions), int16(want.Replication), config, name); err == nil {
		err = b.p.awaitTopic(ctx, client, name)
	}
	if err != nil {
		return fmt.Errorf("creating topic %q: %w", name, err)
	}
	return nil
}

// remove takes away all that the measurement made in the services, also when ctx has ended.
func (b *probeBench) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchRemoveTimeout)
	defer cancel()
	err := removeTopics(ctx, b.s.kafka, b.groups, b.topics)
	for _, topic := range b.topics {
		if subjectErr := removeSubject(ctx, b.s.client, topic); !isNotFound(subjectErr) {
			err = errors.Join(err, subjectErr)
		}
	}
	if err != nil {
		return fmt.Errorf("removing what was made for measuring: %w", err)
	}
	return nil
}
