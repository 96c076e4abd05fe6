package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// Bounds of publishing dead letters.
const (
	// publishLetters is how many letters are held in memory at once; each may be as large as a record can be.
	publishLetters = 20
	// publishEvery is how often letters are looked for that another processor recorded and did not get to publish.
	publishEvery = 15 * time.Second
	// publishTimeout keeps letters from being locked for longer when Kafka is away.
	publishTimeout = 10 * time.Second
	// publishMaxBytes is over the largest record a broker takes unless told otherwise, with the headers that a letter adds:
	// the broker decides what is too large.
	publishMaxBytes = 32 << 20
)

// publisher brings dead letters from PostgreSQL to Kafka: at least once, oldest first. A letter that is published twice
// has the same origin headers both times.
type publisher struct {
	topic   string
	kafka   []kgo.Opt
	pool    *pgxpool.Pool
	queries *db.Queries
	logger  *slog.Logger
	outage  outage
	stop    time.Duration
	woken   chan struct{}
}

func newPublisher(cfg Config, queries *db.Queries, metrics *metrics) *publisher {
	return &publisher{
		topic:   cfg.DeadTopic,
		kafka:   append(slices.Clone(cfg.Kafka), KafkaMetrics(cfg.Metrics, "dead_letters")),
		pool:    cfg.Pool,
		queries: queries,
		logger:  cfg.Logger,
		outage:  metrics.outage(cfg, "publishing dead letters"),
		stop:    cfg.StopTimeout,
		woken:   make(chan struct{}, 1),
	}
}

// wake says that there are letters to publish.
func (p *publisher) wake() {
	select {
	case p.woken <- struct{}{}:
	default: // it has not seen the last wake yet
	}
}

// run publishes until ctx ends. What it has not published then waits in PostgreSQL for the next run of any processor.
func (p *publisher) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(slices.Clone(p.kafka), kgo.ProducerBatchMaxBytes(publishMaxBytes),
		kgo.AllowIdempotentProduceCancellation())...) // a letter may be twice in its topic, and a stop may not wait for Kafka
	if err != nil {
		return &PermanentError{Err: fmt.Errorf("making the Kafka client for dead letters: %w", err)}
	}
	defer client.Close()
	pauses := newPauses()
	for {
		wait := publishEvery
		err := p.publishAll(ctx, client)
		switch {
		case err == nil:
			p.outage.end()
			pauses.Reset()
		case ctx.Err() != nil:
			return nil
		default:
			p.outage.begin(err)
			wait = pauses.NextBackOff()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-p.woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (p *publisher) publishAll(ctx context.Context, client *kgo.Client) error {
	for {
		n, err := p.publishSome(ctx, client)
		if n < publishLetters || err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// publishSome publishes the oldest letters and marks them in the transaction that locks them against other publishers.
func (p *publisher) publishSome(ctx context.Context, client *kgo.Client) (n int, err error) {
	ctx, cancel := outlive(ctx, p.stop)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, publishTimeout)
	defer cancelTimeout()
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		rows, err := p.queries.LockUnpublishedDeadLetters(ctx, tx, publishLetters)
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		n = len(rows)
		marks := make([]db.MarkDeadLettersParams, 0, n)
		for _, row := range rows {
			mark, err := p.publish(ctx, client, letter(row))
			if err != nil {
				return err
			}
			marks = append(marks, mark)
		}
		var errs []error
		p.queries.MarkDeadLetters(ctx, tx, marks).Exec(func(_ int, err error) { errs = append(errs, err) })
		return errors.Join(errs...)
	})
	return n, err
}

// publish sends one letter and waits for its acknowledgement. A letter that Kafka will never take stays in PostgreSQL and
// is said once; an error is trouble that passes.
func (p *publisher) publish(ctx context.Context, client *kgo.Client, l letter) (db.MarkDeadLettersParams, error) {
	mark := db.MarkDeadLettersParams{Topic: l.Topic, Partition: l.Partition, RecordOffset: l.RecordOffset}
	record, err := l.record(p.topic)
	if err == nil {
		err = client.ProduceSync(ctx, record).FirstErr()
	}
	switch {
	case err == nil:
		mark.Published = true
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord), errors.Is(err, errHeaders):
		reason := storableText(err.Error(), maxCauseBytes)
		mark.Unpublishable = &reason
		p.logger.Error("dead letter stays in PostgreSQL, its topic refuses it", "position", l.position().String(),
			"topic", p.topic, "error", err)
	default:
		return mark, fmt.Errorf("publishing the dead letter of %v: %w", l.position(), err)
	}
	return mark, nil
}
