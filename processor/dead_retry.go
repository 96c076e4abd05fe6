package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// Bounds of retrying dead letters.
const (
	// retryLetters is how many letters one transaction takes at most: it locks them against their publisher meanwhile.
	retryLetters = 500
	// retryMaxBytes is how many bytes of records are held in memory at once, apart from a single one that is larger.
	retryMaxBytes = 8 << 20
)

// RetryConfig is what retrying dead letters needs. The zero value of a field that has a default means the default.
type RetryConfig struct {
	// Topic is the topic of checks that the letters' records were in; letters of others are left alone. Zero:
	// schemas.TopicChecks.
	Topic string
	// Retention is that of the processors. Zero: DefaultRetention.
	Retention time.Duration
	// Registry has the writers' schemas. Required.
	Registry *schemas.Registry
	// Pool reaches the database. Required.
	Pool *pgxpool.Pool
	// OnDead is called for each letter that is still dead, with its new cause, once that is stored. May be nil.
	OnDead func(at Position, cause string)
}

// Retried counts what became of dead letters.
type Retried struct {
	Applied int64 // whose rows are written, or were there, and which are dead letters no more
	Dead    int64 // still dead
	Gone    int64 // applied or dropped by somebody else meanwhile
}

// Letters is how many letters were chosen.
func (r Retried) Letters() int64 { return r.Applied + r.Dead + r.Gone }

// retry applies dead letters. It is used by one goroutine at a time.
type retry struct {
	cfg    RetryConfig
	store  *store
	reader *reader
}

// RetryDeadLetters decodes the letters that f chooses once more, by the rules of a live batch, and writes the rows of those
// that are whole now in the transaction that removes them. The others keep their place, with the cause that they have now.
//
// It may run beside processors and other retries: a letter is applied once, by whoever locks it first. On an error what was
// counted until then is written, and nothing of the rest.
func RetryDeadLetters(ctx context.Context, cfg RetryConfig, f LetterFilter) (Retried, error) {
	var sum Retried
	if cfg.Topic == "" {
		cfg.Topic = schemas.TopicChecks
	}
	if cfg.Retention == 0 {
		cfg.Retention = DefaultRetention
	}
	if err := checkMigrated(ctx, cfg.Pool); err != nil {
		return sum, err
	}
	f.Topic = cfg.Topic
	r := newRetry(cfg)
	var after Position
	for {
		page, err := r.page(ctx, f, after)
		if err != nil {
			return sum, fmt.Errorf("listing dead letters: %w", err)
		}
		if len(page) == 0 {
			return sum, nil
		}
		if err := r.some(ctx, page, &sum); err != nil {
			return sum, err
		}
		after = page[len(page)-1]
	}
}

func newRetry(cfg RetryConfig) *retry {
	queries := db.New()
	partitions := &partitions{
		pool: cfg.Pool, queries: queries, retention: cfg.Retention, logger: slog.New(slog.DiscardHandler), now: time.Now,
	}
	decoder := schemas.NewDecoder(cfg.Registry, schemas.CheckCompleted(cfg.Topic))
	return &retry{
		cfg:    cfg,
		store:  &store{pool: cfg.Pool, queries: queries, partitions: partitions, folder: newFolder(queries, true), days: make(map[time.Time]bool)},
		reader: &reader{topic: cfg.Topic, decoder: decoder, accepts: partitions.accepts},
	}
}

// page lists the first letters after a position, as many as one transaction takes.
func (r *retry) page(ctx context.Context, f LetterFilter, after Position) ([]Position, error) {
	c := f.condition()
	rows, err := r.store.queries.PageDeadLetters(ctx, r.cfg.Pool, db.PageDeadLettersParams{
		AfterTopic: after.Topic, AfterPartition: after.Partition, AfterOffset: after.Offset,
		Topic: c.Topic, Partition: c.Partition, Key: c.Key, BeforeMs: c.BeforeMs, Cause: c.Cause,
		Listed: c.Listed, Topics: c.Topics, Partitions: c.Partitions, Offsets: c.Offsets, UpTo: retryLetters,
	})
	if err != nil {
		return nil, err
	}
	var page []Position
	bytes := 0
	for _, row := range rows {
		if bytes += int(row.Bytes); bytes > retryMaxBytes && len(page) > 0 {
			break
		}
		page = append(page, Position{Topic: row.Topic, Partition: row.Partition, Offset: row.RecordOffset})
	}
	return page, nil
}

// some retries the letters of one transaction. They are decoded before it begins, so that nothing is locked while the
// registry is asked.
func (r *retry) some(ctx context.Context, page []Position, sum *Retried) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	decoded, err := r.decode(ctx, page)
	if err != nil {
		return err
	}
	var applied int64
	var still []letter
	err = insist(ctx, func() (err error) { // it meets processors, and other retries
		applied, still, err = r.write(ctx, page, decoded)
		return err
	})
	if err != nil {
		return fmt.Errorf("retrying dead letters from %v to %v: %w", page[0], page[len(page)-1], err)
	}
	sum.Applied += applied
	sum.Dead += int64(len(still))
	sum.Gone += int64(len(page)) - applied - int64(len(still))
	for _, l := range still {
		if r.cfg.OnDead != nil {
			r.cfg.OnDead(l.position(), l.Cause)
		}
	}
	return nil
}

func (r *retry) decode(ctx context.Context, page []Position) (*batch, error) {
	rows, err := readDeadLetters(ctx, r.store.queries, r.cfg.Pool, page)
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	b := &batch{topic: r.cfg.Topic}
	var e event.CheckCompleted
	for _, row := range rows {
		record := &kgo.Record{
			Topic: row.Topic, Partition: row.Partition, Offset: row.RecordOffset, Timestamp: time.UnixMilli(row.TimestampMs),
			Key: row.Key, Value: row.Value, // the headers stay in the letter, and no rule looks at them
		}
		if err := r.reader.add(ctx, b, record, &e); err != nil {
			return nil, fmt.Errorf("decoding %v: %w", positionOf(record), err)
		}
	}
	return b, nil
}

// write applies what was decoded of those letters that are still there, and returns how many that are and which ones stay.
func (r *retry) write(ctx context.Context, page []Position, decoded *batch) (applied int64, still []letter, err error) {
	if err := r.store.preparePartitions(ctx, decoded.rows); err != nil {
		return 0, nil, err
	}
	err = pgx.BeginFunc(ctx, r.cfg.Pool, func(tx pgx.Tx) error {
		locked, err := r.lock(ctx, tx, page)
		if err != nil {
			return fmt.Errorf("locking dead letters: %w", err)
		}
		b := decoded.only(locked)
		var tally Tally
		if err := r.store.apply(ctx, tx, b, &tally); err != nil {
			return err
		}
		still = b.letters
		if err := r.explain(ctx, tx, still); err != nil {
			return fmt.Errorf("writing new causes: %w", err)
		}
		for _, l := range still {
			delete(locked, l.position())
		}
		if applied, err = r.remove(ctx, tx, locked); err != nil {
			return fmt.Errorf("removing dead letters: %w", err)
		}
		return nil
	})
	return applied, still, err
}

func (r *retry) lock(ctx context.Context, tx pgx.Tx, page []Position) (map[Position]bool, error) {
	var arg db.LockDeadLettersParams
	arg.Topics, arg.Partitions, arg.Offsets = columns(page)
	rows, err := r.store.queries.LockDeadLetters(ctx, tx, arg)
	locked := make(map[Position]bool, len(rows))
	for _, row := range rows {
		locked[Position{Topic: row.Topic, Partition: row.Partition, Offset: row.RecordOffset}] = true
	}
	return locked, err
}

func (r *retry) explain(ctx context.Context, tx pgx.Tx, letters []letter) error {
	if len(letters) == 0 {
		return nil
	}
	params := make([]db.ExplainDeadLettersParams, len(letters))
	for i, l := range letters {
		params[i] = db.ExplainDeadLettersParams{Topic: l.Topic, Partition: l.Partition, RecordOffset: l.RecordOffset, Cause: l.Cause}
	}
	var errs []error
	r.store.queries.ExplainDeadLetters(ctx, tx, params).Exec(func(_ int, err error) { errs = append(errs, err) })
	return errors.Join(errs...)
}

func (r *retry) remove(ctx context.Context, tx pgx.Tx, locked map[Position]bool) (int64, error) {
	var arg db.DeleteDeadLettersParams
	for p := range locked {
		arg.Topics, arg.Partitions, arg.Offsets = append(arg.Topics, p.Topic), append(arg.Partitions, p.Partition), append(arg.Offsets, p.Offset)
	}
	return r.store.queries.DeleteDeadLetters(ctx, tx, arg)
}

// only gives a copy of the batch with what lies at these positions.
func (b *batch) only(positions map[Position]bool) *batch {
	kept := &batch{topic: b.topic}
	for i, record := range b.records {
		if positions[positionOf(record)] {
			kept.records, kept.rows = append(kept.records, record), append(kept.rows, b.rows[i])
		}
	}
	for _, l := range b.letters {
		if positions[l.position()] {
			kept.letters = append(kept.letters, l)
		}
	}
	return kept
}
