package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// Defaults of Config, each with its reason.
const (
	// DefaultGroup is the consumer group that all processors of one database share.
	DefaultGroup = "webcheck-processor"
	// DefaultBatchRecords is a little more than what one fetch brings, so that a poll takes all of it and its rest is no batch of its
	// own: some 16,000 events for two lanes, which take 15 MB and 100 ms.
	DefaultBatchRecords = 20_000
	// DefaultRetention is longer than the log's 30 days, so that a replay of all of it finds a place for every event, and a
	// quarter, which is what most people compare.
	DefaultRetention = 90 * day
	// DefaultRollupRetention lets a year be compared with the one before it.
	DefaultRollupRetention = 730 * day
	// DefaultStopTimeout lets the batch in hand finish at any ordinary speed and is shorter than what service managers
	// wait before they kill (10 s for containers).
	DefaultStopTimeout = 8 * time.Second
)

// Limits that are not for configuring.
const (
	// rebalanceTimeout is how long the group waits for a member that is asked to give partitions back, before it puts it out.
	// It is Kafka's default.
	rebalanceTimeout = 60 * time.Second
	// batchTimeout is a third of it: a rebalance that begins while one batch is decoded waits for that and then for its
	// writing, and both may hang.
	batchTimeout = rebalanceTimeout / 3
	// sessionTimeout is how long the partitions of a processor that died stay without one. Kafka's default of 45 s is for
	// consumers with long stops; ours sends a heartbeat every 3 s from a goroutine of its own.
	sessionTimeout = 12 * time.Second
	// firstPause and longestPause bound the wait between two attempts while Kafka, the registry or PostgreSQL is away.
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// Config is what a Processor needs. The zero value of a field that has a default means the default.
type Config struct {
	// Topic is read, and TargetsTopic for the rules by which it is folded; TransitionsTopic gets the news, and DeadTopic what
	// can't be applied. Zero: schemas.TopicChecks, TopicTargets, TopicTransitions, TopicDead.
	Topic, TargetsTopic, TransitionsTopic, DeadTopic string
	// Group is the consumer group; the processors in it share the partitions. Zero: DefaultGroup.
	Group string
	// Name, if any, is this processor's own in its group and stays the same over restarts: one that was killed then takes
	// its partitions back at once, instead of when its session times out (Kafka's static membership, KIP-345). Two
	// processors with one name put each other out of the group.
	Name string
	// BatchRecords is the most records that are taken from the log at once, and so the most of one transaction. Zero:
	// DefaultBatchRecords.
	BatchRecords int
	// Retention is how long rows are kept, by their slot, in whole days from one day on; what is older is dropped, and a
	// dead letter when it comes. Processors of one database have the same. Zero: DefaultRetention.
	Retention time.Duration
	// RollupRetention is how long rollups of hours are kept, in whole days, at least Retention; those of days stay for ever. Zero:
	// DefaultRollupRetention.
	RollupRetention time.Duration
	// StopTimeout bounds what a stop waits for: the batch in hand, dead letters, leaving the group. Zero: DefaultStopTimeout.
	StopTimeout time.Duration
	// Kafka says how to reach the brokers. Required.
	Kafka []kgo.Opt
	// Registry has the writers' schemas. Required.
	Registry *schemas.Registry
	// AutoRegister lets the schema of transitions be registered; otherwise it is only looked up.
	AutoRegister bool
	// Pool reaches the database. At least four connections: two for batches; definitions, dead letters, transitions and partitions take
	// turns at the others. Required.
	Pool *pgxpool.Pool
	// WithoutFolds leaves all tables made of the checks' rows as they are: only checks, dead letters and offsets are written.
	// It is for measuring what the folds cost; tables written so must not be shown to people.
	WithoutFolds bool
	// Logger gets lifecycle steps and outages. Nil discards.
	Logger *slog.Logger
	// OnBatch is called after each committed batch, one call at a time, before the next one of the same partitions is written. May be
	// nil.
	OnBatch func(Tally)
	// Metrics shows the processor's metrics and those of its Kafka clients. One registry is for one processor. Nil: none.
	Metrics prometheus.Registerer
}

// Processor folds one topic into one database. Make it with New.
type Processor struct {
	cfg         Config
	logger      *slog.Logger
	queries     *db.Queries
	reader      *reader
	partitions  *partitions
	letters     *publisher
	transitions *publisher
	definitions *definitions
	brokers     *brokers
	metrics     *metrics
	lag         *lag
	member      atomic.Pointer[kgo.Client] // of the session that is in the group; nil between sessions
	outage      outage
	// batchRecords is the most records of the next batch: BatchRecords, or fewer after one that took too long.
	batchRecords int
}

// New checks cfg and gives a Processor; the error names every fault.
func New(cfg Config) (*Processor, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configuring the processor: %w", err)
	}
	cfg.setDefaults()
	queries := db.New()
	lag := newLag(cfg.Topic)
	metrics, err := newMetrics(cfg.Metrics, lag)
	if err != nil {
		return nil, fmt.Errorf("registering the processor's metrics: %w", err)
	}
	partitions := &partitions{pool: cfg.Pool, queries: queries, retention: cfg.Retention, rollupRetention: cfg.RollupRetention,
		logger: cfg.Logger, now: time.Now, outage: metrics.outage(cfg, "making and dropping partitions")}
	registry := cfg.Registry.Observed(metrics.schemaFetched)
	decoder := schemas.NewDecoder(registry, schemas.CheckCompleted(cfg.Topic))
	letters := &letterOutbox{topic: cfg.DeadTopic, pool: cfg.Pool, queries: queries, logger: cfg.Logger}
	transitions := &transitionOutbox{topic: cfg.TransitionsTopic, pool: cfg.Pool, queries: queries, registry: registry, register: cfg.AutoRegister}
	p := &Processor{
		cfg:         cfg,
		logger:      cfg.Logger,
		queries:     queries,
		reader:      &reader{topic: cfg.Topic, decoder: decoder, accepts: partitions.accepts},
		partitions:  partitions,
		letters:     newPublisher(cfg, metrics, "publishing dead letters", "dead_letters", letters.publishSome),
		transitions: newPublisher(cfg, metrics, "publishing transitions", "transitions", transitions.publishSome),
		brokers:     newBrokers(cfg.Logger, metrics.waiting.WithLabelValues("reaching Kafka")),
		metrics:     metrics,
		lag:         lag,
		outage:      metrics.outage(cfg, "processing"),

		batchRecords: cfg.BatchRecords,
	}
	p.definitions = &definitions{
		topic: cfg.TargetsTopic, kafka: append(slices.Clone(cfg.Kafka), KafkaMetrics(cfg.Metrics, "definitions")), store: p.newStore(false), buried: p.letters.wake,
		decoder: schemas.NewDecoderOf[event.TargetDefined](registry, schemas.TargetDefined(cfg.TargetsTopic)),
		outage:  metrics.outage(cfg, "reading definitions"),
	}
	return p, nil
}

// newStore gives a session its store. Which partitions are there it finds out anew. In one that is replayed nothing is news.
func (p *Processor) newStore(replayed bool) *store {
	s := &store{pool: p.cfg.Pool, queries: p.queries, partitions: p.partitions, days: make(map[time.Time]bool)}
	if !p.cfg.WithoutFolds {
		s.folder = newFolder(p.queries, replayed)
	}
	return s
}

func (c *Config) check() error {
	var errs []error
	if c.Registry == nil {
		errs = append(errs, errors.New("no registry"))
	}
	if c.Pool == nil {
		errs = append(errs, errors.New("no database"))
	} else if c.Pool.Config().MaxConns < 4 {
		errs = append(errs, errors.New("the database pool has fewer than 4 connections"))
	}
	if len(c.Kafka) == 0 {
		errs = append(errs, errors.New("no Kafka"))
	}
	if c.BatchRecords < 0 {
		errs = append(errs, fmt.Errorf("batch_records is negative: %d", c.BatchRecords))
	}
	if c.Retention < 0 || c.Retention%day != 0 {
		errs = append(errs, fmt.Errorf("retention is not a whole number of days: %v", c.Retention))
	}
	if c.RollupRetention < 0 || (c.RollupRetention > 0 && c.RollupRetention < c.Retention) {
		errs = append(errs, fmt.Errorf("rollup_retention is shorter than retention: %v", c.RollupRetention))
	}
	if c.StopTimeout < 0 {
		errs = append(errs, fmt.Errorf("stop_timeout is negative: %v", c.StopTimeout))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Topic == "" {
		c.Topic = schemas.TopicChecks
	}
	if c.TargetsTopic == "" {
		c.TargetsTopic = schemas.TopicTargets
	}
	if c.TransitionsTopic == "" {
		c.TransitionsTopic = schemas.TopicTransitions
	}
	if c.DeadTopic == "" {
		c.DeadTopic = schemas.TopicDead
	}
	if c.Group == "" {
		c.Group = DefaultGroup
	}
	if c.BatchRecords == 0 {
		c.BatchRecords = DefaultBatchRecords
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.RollupRetention == 0 {
		c.RollupRetention = max(DefaultRollupRetention, c.Retention)
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = DefaultStopTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Run processes until ctx ends, then finishes the batches in hand within StopTimeout and returns nil. It waits out trouble
// of Kafka, the registry and PostgreSQL; only a PermanentError, or tables that do not fit, makes it return before.
func (p *Processor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.letters.run(ctx) })
	if !p.cfg.WithoutFolds {
		group.Go(func() error { return p.transitions.run(ctx) })
		group.Go(func() error { return p.definitions.run(ctx) })
	}
	group.Go(func() error { return p.partitions.run(ctx) })
	group.Go(func() error { return p.keepProcessing(ctx, p.session) })
	if p.cfg.Metrics != nil {
		group.Go(func() error { return p.lag.follow(ctx, p.cfg.Kafka, p.logger) })
	}
	return group.Wait()
}

// keepProcessing runs one session after the other until one comes to its end, which a live one never does. Whatever goes
// wrong ends a session, with nothing of a batch that failed written, and the next one starts from the offsets that are stored:
// there is no other way to recover.
func (p *Processor) keepProcessing(ctx context.Context, session func(context.Context) (committed bool, err error)) error {
	pauses := newPauses()
	for {
		committed, err := session(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if isPermanent(err) {
			return err
		}
		if committed {
			pauses.Reset()
		}
		p.outage.begin(err)
		if !pause(ctx, pauses.NextBackOff()) {
			return nil
		}
	}
}

func newPauses() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = firstPause
	pauses.MaxInterval = longestPause
	return pauses
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
