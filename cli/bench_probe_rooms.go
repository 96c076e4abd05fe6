package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/prober"
	"webcheck/schemas"
)

const (
	// bareWorkers keep some cores busy, and more of them only make requests wait for one another.
	bareWorkers = 16
	// probeInFlight is more than the stages need, so that they are bounded by the machine.
	probeInFlight = 4096
	// probeLook is how often a prober is asked whether it has its targets.
	probeLook = 10 * time.Millisecond
	// probeSettle lets the last slots of the time that was measured be begun, also where they wait for their turn.
	probeSettle = time.Second
)

// bare asks as fast as it goes.
func (r *probeRun) bare(ctx context.Context) (*probeMeasurement, error) {
	return r.askOn(ctx, func(ctx context.Context, askNth func(int)) {
		var workers sync.WaitGroup
		for first := range bareWorkers {
			workers.Go(func() {
				for n := first; ctx.Err() == nil; n += bareWorkers {
					askNth(n)
				}
			})
		}
		workers.Wait()
	})
}

// spread asks whenever a request is due, evenly.
func (r *probeRun) spread(ctx context.Context) (*probeMeasurement, error) {
	return r.askOn(ctx, func(ctx context.Context, askNth func(int)) {
		due := time.NewTicker(r.stage.interval / time.Duration(r.stage.targets))
		defer due.Stop()
		var running sync.WaitGroup
		defer running.Wait()
		for n := 0; ; n++ {
			select {
			case <-due.C:
				running.Go(func() { askNth(n) })
			case <-ctx.Done():
				return
			}
		}
	})
}

// askOn measures net/http while run asks for pages.
func (r *probeRun) askOn(ctx context.Context, run func(ctx context.Context, askNth func(int))) (*probeMeasurement, error) {
	urls := make([]string, r.stage.targets)
	for i := range urls {
		urls[i] = r.stage.target(i, r.order.Place).URL
	}
	var answered, failed atomic.Int64
	client := bareClient()
	asking, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(asking, func(n int) {
			_, err := ask(asking, client, urls[n%len(urls)], func(body io.Reader) (int64, error) { return io.Copy(io.Discard, body) })
			if err == nil {
				answered.Add(1)
			} else if asking.Err() == nil {
				failed.Add(1)
			}
		})
	}()
	err := pause(ctx, probeWarmUp)
	m := probeMeasurement{Targets: r.stage.targets}
	if err == nil {
		err = r.window(ctx, answered.Load, &m)
	}
	stop()
	<-ended
	m.Checks, m.Down = m.handed, failed.Load()
	return &m, err
}

// probe runs a whole prober: its targets, its checks, its events and their way to Kafka.
func (r *probeRun) probe(ctx context.Context) (*probeMeasurement, error) {
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	defer r.s.close()
	emitter, closeEmitter, err := r.emitter(ctx)
	if err != nil {
		return nil, err
	}
	seen, metrics := &witness{to: emitter}, prometheus.NewRegistry()
	worker, err := prober.New(r.config(seen, metrics))
	if err != nil {
		return nil, errors.Join(err, closeEmitter())
	}
	watching, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	defer saveCores(r.p.Env)() // as the command does
	running, stop := context.WithCancel(ctx)
	defer stop()
	finished := make(chan error, 1)
	go func() {
		err := worker.Run(running)
		ended(cmp.Or(err, errors.New("the prober ended by itself")))
		finished <- err
	}()
	m := new(probeMeasurement)
	if r.stage.follows() {
		err = r.load(watching, worker, metrics, m)
	}
	if err == nil && r.stage.kind != kindLoad {
		err = r.watch(watching, seen, m)
	}
	stop()
	err = errors.Join(err, <-finished, closeEmitter())
	if err == nil && r.stage.kind != kindLoad {
		r.count(seen, m)
	}
	return m, err
}

// load measures how the prober, which was just started, gets its targets. They are what a stage of that kind does.
func (r *probeRun) load(ctx context.Context, worker *prober.Prober, metrics *prometheus.Registry, m *probeMeasurement) error {
	stop := func() error { return nil }
	var err error
	if r.stage.kind == kindLoad {
		if stop, err = startProfile(r.order.Profile); err != nil {
			return err
		}
	}
	begun, cpu := time.Now(), cpuTime()
	err = r.awaitTargets(ctx, worker, metrics)
	m.LoadSeconds, m.LoadCPU = time.Since(begun).Seconds(), (cpuTime() - cpu).Seconds()
	m.Targets = r.stage.targets
	if r.stage.kind == kindLoad {
		m.Seconds, m.CPU, m.handed = m.LoadSeconds, m.LoadCPU, int64(m.Targets)
		m.divide()
		m.seeMemory()
	}
	return cmp.Or(err, stop())
}

// awaitTargets returns when the prober has all its targets.
func (r *probeRun) awaitTargets(ctx context.Context, worker *prober.Prober, metrics *prometheus.Registry) error {
	again := time.NewTicker(probeLook)
	defer again.Stop()
	for {
		if worker.Ready() == nil {
			if has, err := gaugeOf(metrics, "webcheck_prober_targets"); err != nil || has == float64(r.stage.targets) {
				return err
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// gaugeOf returns the value of a gauge without labels.
func gaugeOf(metrics *prometheus.Registry, name string) (float64, error) {
	families, err := metrics.Gather()
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue(), err
		}
	}
	return 0, cmp.Or(err, fmt.Errorf("there is no metric %q", name))
}

// watch measures a prober that runs and has its targets.
func (r *probeRun) watch(ctx context.Context, seen *witness, m *probeMeasurement) error {
	if err := pause(ctx, probeWarmUp); err != nil {
		return err
	}
	seen.open()
	err := r.window(ctx, seen.handed.Load, m)
	seen.close()
	if err != nil {
		return err
	}
	return pause(ctx, probeSettle)
}

// count notes what became of the slots that seen counts, after the prober has ended.
func (r *probeRun) count(seen *witness, m *probeMeasurement) {
	m.Targets = r.stage.targets
	m.Checks, m.Missed, m.Down = seen.checked.Load(), seen.missed.Load(), seen.down.Load()
	m.Gaps = r.slots(seen) - m.Checks - m.Missed
	m.LateP50, m.LateP99, m.LateMost = seen.late.share(0.5), seen.late.share(0.99), seen.late.share(1)
}

// slots is how many slots the targets have in the time that seen counts.
func (r *probeRun) slots(seen *witness) (count int64) {
	before, last := time.UnixMilli(seen.from.Load()-1), time.UnixMilli(seen.until.Load()-1)
	for n := range r.stage.targets {
		t := r.stage.target(n, r.order.Place)
		count += int64(prober.SlotAt(t, last).Sub(prober.SlotAt(t, before)) / t.Interval)
	}
	return count
}

// config is that of the command, with bounds that decide nothing.
func (r *probeRun) config(emit prober.Emitter, metrics prometheus.Registerer) prober.Config {
	c := prober.Config{
		Location: "bench", Name: "bench", Emit: emit, Metrics: metrics, Logger: r.p.logger,
		MaxInFlight: probeInFlight, MaxPerHost: probeInFlight,
	}
	if r.stage.follows() {
		c.Follow = &prober.Follow{
			Kafka: r.s.kafka, Topic: r.order.Targets, Group: r.order.Group,
			Decoder: schemas.NewDecoderOf[event.TargetDefined](r.s.registry, schemas.TargetDefined(r.order.Targets)),
		}
	} else {
		c.Targets = r.targets()
	}
	return c
}

func (r *probeRun) targets() []prober.Target {
	targets := make([]prober.Target, r.stage.targets)
	for n := range targets {
		targets[n] = r.stage.target(n, r.order.Place)
	}
	return targets
}

// emitter is what the command hands events to, with a topic and a spool of the measurement's own. It is closed after the prober.
func (r *probeRun) emitter(ctx context.Context) (prober.Emitter, func() error, error) {
	schema := schemas.CheckCompleted(r.order.Checks)
	id, err := r.p.schemaID(ctx, r.s, schema)
	if err != nil {
		return nil, nil, err
	}
	client, err := kgo.NewClient(slices.Concat(r.s.kafka, prober.KafkaOpts())...)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a Kafka client: %w", err)
	}
	emitter, err := prober.NewSpoolEmitter(prober.SpoolConfig{
		Client: client, Topic: r.order.Checks, Encoder: schemas.NewEncoder(schema, id), Dir: r.order.Spool, Logger: r.p.logger,
	})
	if err != nil {
		client.Close()
		return nil, nil, err
	}
	return emitter, func() error {
		defer client.Close()
		return emitter.Close()
	}, nil
}

// define publishes the definitions of the stage's targets.
func (r *probeRun) define(ctx context.Context) (*probeMeasurement, error) {
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	defer r.s.close()
	definitions, err := r.p.definitionsIn(ctx, r.s, r.order.Targets, true)
	if err != nil {
		return nil, err
	}
	if _, err := definitions.Publish(ctx, r.targets()); err != nil {
		return nil, fmt.Errorf("publishing the definitions of targets: %w", err)
	}
	return new(probeMeasurement), nil
}
