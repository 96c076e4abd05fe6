package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"webcheck/gen/db"
	"webcheck/schemas"
)

// Defaults of Config, each with its reason.
const (
	// DefaultGroup is the consumer group that all processors of one database share.
	DefaultGroup = "webcheck-processor"
	// DefaultBatchRecords is where a COPY's fixed cost is no longer felt, while a batch takes some 10 ms and 5 MB.
	DefaultBatchRecords = 5000
	// DefaultRetention is longer than the log's 30 days, so that a replay of all of it finds a place for every event, and a
	// quarter, which is what most people compare.
	DefaultRetention = 90 * day
	// DefaultStopTimeout lets the batch in hand finish at any ordinary speed and is shorter than what service managers
	// wait before they kill (10 s for containers).
	DefaultStopTimeout = 8 * time.Second
)

// Limits that are not for configuring.
const (
	// batchTimeout is half of the group's rebalance timeout (60 s), so that a batch that hangs is given up before its
	// member is put out of the group.
	batchTimeout = 30 * time.Second
	// sessionTimeout is how long the partitions of a processor that died stay without one. Kafka's default of 45 s is for
	// consumers with long stops; ours sends a heartbeat every 3 s from a goroutine of its own.
	sessionTimeout = 12 * time.Second
	// firstPause and longestPause bound the wait between two attempts while Kafka, the registry or PostgreSQL is away.
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// Config is what a Processor needs. The zero value of a field that has a default means the default.
type Config struct {
	// Topic is read; DeadTopic gets what can't be applied. Zero: schemas.TopicChecks, schemas.TopicDead.
	Topic, DeadTopic string
	// Group is the consumer group; the processors in it share the partitions. Zero: DefaultGroup.
	Group string
	// Name, if any, is this processor's own in its group and stays the same over restarts: one that was killed then takes
	// its partitions back at once, instead of when its session times out (Kafka's static membership, KIP-345). Two
	// processors with one name put each other out of the group.
	Name string
	// BatchRecords is the most records that one transaction takes. Zero: DefaultBatchRecords.
	BatchRecords int
	// Retention is how long rows are kept, by their slot, in whole days from one day on; what is older is dropped, and a
	// dead letter when it comes. Processors of one database have the same. Zero: DefaultRetention.
	Retention time.Duration
	// StopTimeout bounds what a stop waits for: the batch in hand, dead letters, leaving the group. Zero: DefaultStopTimeout.
	StopTimeout time.Duration
	// Kafka says how to reach the brokers. Required.
	Kafka []kgo.Opt
	// Registry has the writers' schemas. Required.
	Registry *schemas.Registry
	// Pool reaches the database. At least three connections: batches, dead letters, partitions. Required.
	Pool *pgxpool.Pool
	// Logger gets lifecycle steps and outages. Nil discards.
	Logger *slog.Logger
	// OnBatch is called after each committed batch, by the goroutine that writes the next one. May be nil.
	OnBatch func(Tally)
	// Metrics shows the processor's metrics and those of its Kafka clients. One registry is for one processor. Nil: none.
	Metrics prometheus.Registerer
}

// Processor folds one topic into one database. Make it with New.
type Processor struct {
	cfg        Config
	logger     *slog.Logger
	queries    *db.Queries
	reader     *reader
	partitions *partitions
	publisher  *publisher
	brokers    *brokers
	metrics    *metrics
	lag        *lag
	member     atomic.Pointer[kgo.Client] // of the session that is in the group; nil between sessions
	outage     outage
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
	partitions := &partitions{pool: cfg.Pool, queries: queries, retention: cfg.Retention, logger: cfg.Logger, now: time.Now,
		outage: metrics.outage(cfg, "making and dropping partitions")}
	decoder := schemas.NewDecoder(cfg.Registry.Observed(metrics.schemaFetched), schemas.CheckCompleted(cfg.Topic))
	return &Processor{
		cfg:        cfg,
		logger:     cfg.Logger,
		queries:    queries,
		reader:     &reader{topic: cfg.Topic, decoder: decoder, accepts: partitions.accepts},
		partitions: partitions,
		publisher:  newPublisher(cfg, queries, metrics),
		brokers:    &brokers{logger: cfg.Logger, waiting: metrics.waiting.WithLabelValues("reaching Kafka"), seen: make(map[string]*outage)},
		metrics:    metrics,
		lag:        lag,
		outage:     metrics.outage(cfg, "processing"),

		batchRecords: cfg.BatchRecords,
	}, nil
}

func (c *Config) check() error {
	var errs []error
	if c.Registry == nil {
		errs = append(errs, errors.New("no registry"))
	}
	if c.Pool == nil {
		errs = append(errs, errors.New("no database"))
	} else if c.Pool.Config().MaxConns < 3 {
		errs = append(errs, errors.New("the database pool has fewer than 3 connections"))
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
	if c.StopTimeout < 0 {
		errs = append(errs, fmt.Errorf("stop_timeout is negative: %v", c.StopTimeout))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.Topic == "" {
		c.Topic = schemas.TopicChecks
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
	if c.StopTimeout == 0 {
		c.StopTimeout = DefaultStopTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Run processes until ctx ends, then finishes the batch in hand within StopTimeout and returns nil. It waits out trouble
// of Kafka, the registry and PostgreSQL; only a PermanentError, or tables that do not fit, makes it return before.
func (p *Processor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.publisher.run(ctx) })
	group.Go(func() error { return p.partitions.run(ctx) })
	group.Go(func() error { return p.keepProcessing(ctx) })
	if p.cfg.Metrics != nil {
		group.Go(func() error { return p.lag.follow(ctx, p.cfg.Kafka, p.logger) })
	}
	return group.Wait()
}

// keepProcessing runs one session after the other. Whatever goes wrong ends a session, with nothing of the batch in hand
// written, and the next one starts from the offsets that are stored: there is no other way to recover.
func (p *Processor) keepProcessing(ctx context.Context) error {
	pauses := newPauses()
	for {
		committed, err := p.session(ctx)
		if ctx.Err() != nil {
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
