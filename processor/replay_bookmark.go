package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
)

// span is what is left to read of a partition: from next up to, not including, end.
type span struct {
	next, end int64
}

// bookmark keeps how far a reading of the log is, in the database that it writes.
type bookmark interface {
	// left gives what is left of each partition. A PermanentError ends the reading.
	left(ctx context.Context) (map[int32]span, error)
	// move moves a batch's partitions on in its transaction; the error is errStale where one is not where the batch expects it.
	move(ctx context.Context, tx pgx.Tx, b *batch) error
	// finish is called once nothing is left.
	finish(ctx context.Context) error
}

// replayBookmark is that of one run of a stored replay.
type replayBookmark struct {
	*Processor
	id  int64
	run int32
}

// left gives the stored offsets, as long as the replay is this run's.
func (s *replayBookmark) left(ctx context.Context) (map[int32]span, error) {
	ours, err := s.queries.ReplayIsOurs(ctx, s.cfg.Pool, db.ReplayIsOursParams{ID: s.id, Run: s.run})
	if err != nil {
		return nil, fmt.Errorf("reading replay %d: %w", s.id, err)
	}
	if !ours {
		return nil, replayEnded(s.id)
	}
	rows, err := s.queries.ListReplayOffsets(ctx, s.cfg.Pool, db.ListReplayOffsetsParams{Replay: s.id, Topic: s.cfg.Topic})
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of replay %d: %w", s.id, err)
	}
	left := make(map[int32]span)
	for _, row := range rows {
		if row.NextOffset < row.EndOffset {
			left[row.Partition] = span{next: row.NextOffset, end: row.EndOffset}
		}
	}
	return left, nil
}

// move moves the stored offsets by compare-and-set.
func (s *replayBookmark) move(ctx context.Context, tx pgx.Tx, b *batch) error {
	var moves []db.AdvanceReplayOffsetsParams
	for _, p := range b.partitions() {
		a := b.advances[p]
		moves = append(moves, db.AdvanceReplayOffsetsParams{
			Replay: s.id, Run: s.run, Topic: b.topic, Partition: p, Expected: a.expected, Next: a.next,
		})
	}
	var errs []error
	s.queries.AdvanceReplayOffsets(ctx, tx, moves).QueryRow(func(i int, _ int64, err error) {
		if errors.Is(err, pgx.ErrNoRows) {
			at := Position{Topic: moves[i].Topic, Partition: moves[i].Partition, Offset: moves[i].Expected}
			err = fmt.Errorf("%v: %w", at, errStale)
		}
		errs = append(errs, err)
	})
	return errors.Join(errs...)
}

// finish leaves the replay's one row as history and removes its offsets, which nothing asks for any more.
func (s *replayBookmark) finish(ctx context.Context) error {
	return endReplay(ctx, s.cfg.Pool, s.id, "finished")
}

// endReplay may be called again when nobody knows whether it was committed.
func endReplay(ctx context.Context, pool *pgxpool.Pool, id int64, state string) error {
	q := db.New()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		ended, err := q.EndReplay(ctx, tx, db.EndReplayParams{ID: id, State: state})
		if err == nil && ended == 0 {
			err = replayEnded(id)
		}
		if err != nil {
			return err
		}
		return q.DeleteReplayOffsets(ctx, tx, id)
	})
	if err != nil {
		return fmt.Errorf("ending replay %d: %w", id, err)
	}
	return nil
}

// replayEnded says that a replay is not this run's any more.
func replayEnded(id int64) error {
	return &PermanentError{
		Err:  fmt.Errorf("replay %d was taken up by another process, finished or abandoned", id),
		Next: "nothing is lost; the table replays says what became of it",
	}
}
