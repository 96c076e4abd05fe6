package processor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
)

// Move is where the group goes on with a partition, before and after. Before is -1 where it had not begun.
type Move struct {
	Partition     int32
	Before, After int64
}

// Reposition sets the group's stored offsets to the plan's beginnings, all in one transaction, and reads nothing. A
// processor that runs finds at its next batch that they are not where it left them, writes nothing of it, and goes on
// from there.
func (r *Replayer) Reposition(ctx context.Context, plan ReplayPlan) ([]Move, error) {
	p := r.processor
	moves := make([]Move, len(plan.Partitions))
	partitions := make([]int32, len(plan.Partitions))
	for i, span := range plan.Partitions {
		moves[i] = Move{Partition: span.Partition, Before: -1, After: span.From}
		partitions[i] = span.Partition
	}
	err := pgx.BeginFunc(ctx, p.cfg.Pool, func(tx pgx.Tx) error {
		rows, err := p.queries.LockOffsets(ctx, tx, db.LockOffsetsParams{Topic: plan.Topic, Partitions: partitions})
		if err != nil {
			return err
		}
		before := make(map[int32]int64)
		for _, row := range rows {
			before[row.Partition] = row.NextOffset
		}
		for i, m := range moves {
			if offset, begun := before[m.Partition]; begun {
				moves[i].Before = offset
			}
			err := p.queries.PutOffset(ctx, tx, db.PutOffsetParams{Topic: plan.Topic, Partition: m.Partition, NextOffset: m.After})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("moving stored offsets: %w", err)
	}
	return moves, nil
}
