package processor

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"

	"webcheck/gen/db"
)

// logRange is what the log still has of a partition: the offsets from start up to, not including, end.
type logRange struct {
	start, end int64
}

// offsets reads and corrects the stored offsets of one topic.
type offsets struct {
	topic   string
	pool    *pgxpool.Pool
	queries *db.Queries
	logger  *slog.Logger
}

// next says where each partition goes on: at its stored offset; at the log's start where there is none, which is stored
// at once; at the log's start, with an error logged, where the log no longer has the stored one. A log that ends before
// the stored offset is another log than the one the tables were made of: a PermanentError.
func (o *offsets) next(ctx context.Context, kafka *kadm.Client, partitions []int32) (map[int32]int64, error) {
	// In this order: an owner that does not know yet that it lost a partition may move it on in between, past an end that was
	// listed before.
	stored, err := o.queries.ListOffsets(ctx, o.pool, db.ListOffsetsParams{Topic: o.topic, Partitions: partitions})
	if err != nil {
		return nil, fmt.Errorf("reading stored offsets: %w", err)
	}
	lister := &lister{topic: o.topic, kafka: kafka}
	ranges, err := lister.ranges(ctx, partitions, kafka.ListEndOffsets)
	if err != nil {
		return nil, err
	}
	next := make(map[int32]int64, len(partitions))
	for _, row := range stored {
		if next[row.Partition], err = o.resume(ctx, row.Partition, row.NextOffset, ranges[row.Partition]); err != nil {
			return nil, err
		}
	}
	for _, p := range partitions {
		if _, known := next[p]; known {
			continue
		}
		if err := o.insert(ctx, p, ranges[p].start); err != nil {
			return nil, err
		}
		next[p] = ranges[p].start
	}
	return next, nil
}

// resume compares a stored offset with the log.
func (o *offsets) resume(ctx context.Context, partition int32, stored int64, log logRange) (int64, error) {
	at := Position{Topic: o.topic, Partition: partition, Offset: stored}
	switch {
	case stored > log.end:
		return 0, &PermanentError{
			Err:  fmt.Errorf("resuming at %v: the log ends at %d, so it is not the one that the tables were made of", at, log.end),
			Next: `bring the log back, or start over with this one: "webcheck db drop", then "webcheck db migrate"`,
		}
	case stored >= log.start:
		return stored, nil
	}
	move := db.AdvanceOffsetsParams{Topic: o.topic, Partition: partition, Expected: stored, Next: log.start}
	if err := advanceOffsets(ctx, o.queries, o.pool, []db.AdvanceOffsetsParams{move}); err != nil {
		return 0, fmt.Errorf("stepping over lost records: %w", err)
	}
	o.logger.Error("records expired from the log before they were processed", "position", at.String(),
		"log_start", log.start, "records_lost", log.start-stored)
	return log.start, nil
}

func (o *offsets) insert(ctx context.Context, partition int32, start int64) error {
	arg := db.InsertOffsetParams{Topic: o.topic, Partition: partition, NextOffset: start}
	inserted, err := o.queries.InsertOffset(ctx, o.pool, arg)
	if err != nil {
		return fmt.Errorf("storing the first offset of %s/%d: %w", o.topic, partition, err)
	}
	if inserted == 0 {
		return fmt.Errorf("storing the first offset of %s/%d: %w", o.topic, partition, errStale)
	}
	return nil
}
