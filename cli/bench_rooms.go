package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/processor"
	"webcheck/schemas"
)

const (
	// copyConnections keep two cores busy, and more of them make two cores no faster.
	copyConnections = 2
	// heldBatches are how many batches lie ready in memory at once for copying.
	heldBatches = 20
	// benchHeartbeat lets the second of two processors have its partitions at once, not after Kafka's default of 3 s.
	benchHeartbeat = 100 * time.Millisecond
)

// poll gives the topic's records from the start in batches, each once, until do had all of them. The records of a batch
// belong to do.
func (r *stageRun) poll(ctx context.Context, do func([]*kgo.Record) error) error {
	client, err := kgo.NewClient(slices.Concat(r.s.kafka, []kgo.Opt{
		kgo.ConsumeTopics(r.order.Names.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.WithHooks(r.meter),
	})...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	for left := r.order.Events; left > 0; {
		fetches := client.PollRecords(ctx, r.p.config.Processor.BatchRecords)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading %q: %w", r.order.Names.Topic, err)
		}
		records := fetches.Records()
		left -= int64(len(records))
		if err := do(records); err != nil {
			return err
		}
	}
	return nil
}

// consume counts the records, and does nothing with them.
func (r *stageRun) consume(ctx context.Context) (count int64, err error) {
	err = r.poll(ctx, func(records []*kgo.Record) error {
		count += int64(len(records))
		return nil
	})
	r.meter.stop()
	return count, err
}

// decode counts the records that are events.
func (r *stageRun) decode(ctx context.Context) (count int64, err error) {
	decoder := r.newDecoder()
	err = r.poll(ctx, func(records []*kgo.Record) error {
		rows, err := decodeRows(ctx, decoder, records)
		count += int64(len(rows))
		return err
	})
	r.meter.stop()
	return count, err
}

func (r *stageRun) newDecoder() *schemas.Decoder {
	return schemas.NewDecoder(r.s.registry, schemas.CheckCompleted(r.order.Names.Topic))
}

func decodeRows(ctx context.Context, decoder *schemas.Decoder, records []*kgo.Record) ([]db.CopyChecksParams, error) {
	rows := make([]db.CopyChecksParams, len(records))
	var e event.CheckCompleted
	for i, record := range records {
		if err := decoder.Decode(ctx, record.Value, &e); err != nil {
			return nil, err
		}
		rows[i] = db.CopyChecksParams(e)
	}
	return rows, nil
}

// copyFromMemory copies batches that are ready in memory, over two connections, into a table with a primary key. Reading the
// next ones does not count.
func (r *stageRun) copyFromMemory(ctx context.Context) (count int64, err error) {
	pool, err := openSchema(ctx, r.s.pool, r.order.Names.Plain)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	r.meter.byHand = true
	decoder := r.newDecoder()
	var held [][]db.CopyChecksParams
	err = r.poll(ctx, func(records []*kgo.Record) error {
		rows, err := decodeRows(ctx, decoder, records)
		if err != nil {
			return err
		}
		held = append(held, rows)
		if len(held) == heldBatches {
			count += countRows(held)
			err = r.copyBatches(ctx, pool, held)
			held = nil
		}
		return err
	})
	if err == nil {
		count += countRows(held)
		err = r.copyBatches(ctx, pool, held)
	}
	return count, err
}

func countRows(batches [][]db.CopyChecksParams) (count int64) {
	for _, rows := range batches {
		count += int64(len(rows))
	}
	return count
}

func (r *stageRun) copyBatches(ctx context.Context, pool *pgxpool.Pool, batches [][]db.CopyChecksParams) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copyConnections)
	r.meter.start()
	defer r.meter.stop()
	for _, rows := range batches {
		group.Go(func() error {
			return copyChecks(ctx, pool, rows)
		})
	}
	return group.Wait()
}

// copyChecks is the fastest COPY that there is here, and the one that the processor uses.
func copyChecks(ctx context.Context, pool *pgxpool.Pool, rows []db.CopyChecksParams) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("taking a connection: %w", err)
	}
	defer conn.Release()
	_, err = processor.CopyChecks(ctx, conn.Conn(), rows)
	return err
}

// consumeAndCopy is the plainest way from Kafka to a table: no offsets, no partitions, no second chance.
func (r *stageRun) consumeAndCopy(ctx context.Context) (count int64, err error) {
	pool, err := openSchema(ctx, r.s.pool, r.order.Names.Plain)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	decoder := r.newDecoder()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copyConnections)
	err = r.poll(ctx, func(records []*kgo.Record) error {
		count += int64(len(records))
		group.Go(func() error {
			rows, err := decodeRows(ctx, decoder, records)
			if err == nil {
				err = copyChecks(ctx, pool, rows)
			}
			return err
		})
		return nil
	})
	err = cmp.Or(group.Wait(), err) // the other one only says that it was stopped
	r.meter.stop()
	return count, err
}

// process runs a processor until it is told to stop, and tells of each batch.
func (r *stageRun) process(ctx context.Context) (count int64, err error) {
	limitMemory(r.p.Env) // as the command does
	pool, err := openSchema(ctx, r.s.pool, r.order.Names.Tables)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	cfg := r.config(pool)
	cfg.Kafka = append(slices.Clone(cfg.Kafka), kgo.WithHooks(r.meter), kgo.HeartbeatInterval(benchHeartbeat))
	cfg.WithoutFolds = r.order.Stage == stageChecks
	cfg.OnBatch = func(t processor.Tally) {
		r.meter.lap()
		count += int64(t.Records)
		r.tell(stageLine{At: time.Now(), Records: t.Records, Dead: t.Dead})
	}
	worker, err := processor.New(cfg)
	if err != nil {
		return 0, err
	}
	err = worker.Run(ctx)
	return count, err
}

// config is for what works on the processor's tables.
func (r *stageRun) config(pool *pgxpool.Pool) processor.Config {
	return processor.Config{
		Topic: r.order.Names.Topic, TargetsTopic: r.order.Names.Targets, TransitionsTopic: r.order.Names.Transitions,
		DeadTopic: r.order.Names.Dead, Group: r.order.Group, AutoRegister: true,
		BatchRecords: r.p.config.Processor.BatchRecords,
		Retention:    r.p.config.Processor.Retention,
		StopTimeout:  r.p.config.Processor.StopTimeout,
		Kafka:        r.s.kafka, Registry: r.s.registry, Pool: pool, Logger: r.p.logger,
	}
}

// verify compares the log with the tables that a processor has filled.
func (r *stageRun) verify(ctx context.Context) (count int64, err error) {
	pool, err := openSchema(ctx, r.s.pool, r.order.Names.Tables)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	r.meter.start()
	report, err := processor.Verify(ctx, processor.VerifyConfig{Config: r.config(pool)})
	r.meter.stop()
	if err != nil {
		return 0, err
	}
	// The events are of a time that has passed, and nobody is left to publish.
	if found := report.Unaccounted(processor.ClassSilent, processor.ClassGaps, processor.ClassUnpublished); len(found) > 0 {
		return 0, fmt.Errorf("verifying found %+v", found)
	}
	return report.Records, nil
}

// rebuild makes those tables anew and swaps them.
func (r *stageRun) rebuild(ctx context.Context) (count int64, err error) {
	limitMemory(r.p.Env)
	pool, err := openSchema(ctx, r.s.pool, r.order.Names.Tables)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	rebuilder, err := processor.NewRebuilder(ctx, processor.RebuildConfig{Config: r.config(pool)})
	if err != nil {
		return 0, err
	}
	defer rebuilder.Close()
	r.meter.start()
	result, err := rebuilder.Run(ctx, false)
	r.meter.stop()
	if err == nil && !result.Swapped {
		err = fmt.Errorf("rebuilding found differences: %+v", result.Compared)
	}
	_, dropErr := rebuilder.Discard(context.WithoutCancel(ctx))
	for _, table := range result.Compared {
		if table.Table == "checks" {
			count = table.NextRows
		}
	}
	return count, errors.Join(err, dropErr)
}
