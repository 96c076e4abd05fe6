package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
	"webcheck/queries"
)

// Tally counts what became of a batch of records.
type Tally struct {
	Records  int   // taken from the log
	Inserted int64 // rows that are new
	Merged   int64 // rows written by a merge: new ones beside a repeated id, and rows that a check before them replaced
	Dead     int   // dead letters
}

// store writes batches. It is used by one goroutine at a time.
type store struct {
	pool       *pgxpool.Pool
	queries    *db.Queries
	partitions *partitions
	days       map[time.Time]bool // whose partitions are there
}

// write commits a batch: the offsets by compare-and-set first, which also locks them against a second owner, then rows,
// then dead letters. On any error nothing of it is written, or, when the connection broke during the commit, all of it or
// nothing: the stored offsets tell. The error is errStale when an offset is not where the batch expects it.
func (s *store) write(ctx context.Context, b *batch) (Tally, error) {
	tally := Tally{Records: len(b.rows) + len(b.letters)}
	if err := s.preparePartitions(ctx, b.rows); err != nil {
		return tally, err
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := s.advance(ctx, tx, b); err != nil {
			return fmt.Errorf("advancing offsets: %w", err)
		}
		return s.apply(ctx, tx, b, &tally)
	})
	tally.Dead = len(b.letters)
	return tally, err
}

// apply writes what follows from a batch, apart from offsets: rows, then dead letters. What PostgreSQL refuses moves from
// the ones to the others.
func (s *store) apply(ctx context.Context, tx pgx.Tx, b *batch, tally *Tally) error {
	if err := s.writeRows(ctx, tx, b, 0, len(b.rows), tally); err != nil {
		return fmt.Errorf("writing checks: %w", err)
	}
	if err := s.writeLetters(ctx, tx, b.letters); err != nil {
		return fmt.Errorf("writing dead letters: %w", err)
	}
	return nil
}

// preparePartitions makes the partitions that the rows need, before their transaction, so that no lock on the table is held
// through it.
func (s *store) preparePartitions(ctx context.Context, rows []db.CopyChecksParams) error {
	days := daysOf(rows, s.days)
	if err := s.partitions.ensure(ctx, days); err != nil {
		return err
	}
	for _, d := range days {
		s.days[d] = true
	}
	return nil
}

func (s *store) advance(ctx context.Context, tx pgx.Tx, b *batch) error {
	var moves []db.AdvanceOffsetsParams
	for _, p := range b.partitions() {
		a := b.advances[p]
		moves = append(moves, db.AdvanceOffsetsParams{Topic: b.topic, Partition: p, Expected: a.expected, Next: a.next})
	}
	return advanceOffsets(ctx, s.queries, tx, moves)
}

// writeRows writes the rows from first up to end, or finds those that PostgreSQL refuses by halving, and makes letters of
// them.
func (s *store) writeRows(ctx context.Context, tx pgx.Tx, b *batch, first, end int, tally *Tally) error {
	if first == end {
		return nil
	}
	inserted, merged, err := s.copyOrMerge(ctx, tx, b.rows[first:end])
	if err == nil {
		tally.Inserted += inserted
		tally.Merged += merged
		return nil
	}
	if !refusesRow(err) {
		return err
	}
	if end-first == 1 {
		b.letters = append(b.letters, newLetter(b.records[first], fmt.Errorf("PostgreSQL refuses it: %w", err)))
		return nil
	}
	middle := first + (end-first)/2
	if err := s.writeRows(ctx, tx, b, first, middle, tally); err != nil {
		return err
	}
	return s.writeRows(ctx, tx, b, middle, end, tally)
}

// copyOrMerge copies straight into the table, which is the fastest way there is when every id is new, and merges when one
// is not.
func (s *store) copyOrMerge(ctx context.Context, tx pgx.Tx, rows []db.CopyChecksParams) (inserted, merged int64, err error) {
	err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		inserted, err = s.queries.CopyChecks(ctx, savepoint, rows)
		return err
	})
	if !isDuplicate(err) {
		return inserted, 0, err
	}
	// Outside the savepoint: to make it anew for every half that is refused leaves ever more of it in the catalogs.
	if _, err := tx.Exec(ctx, queries.CreateIncomingChecks); err != nil {
		return 0, 0, err
	}
	err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		merged, err = s.merge(ctx, savepoint, rows)
		return err
	})
	return 0, merged, err
}

func (s *store) merge(ctx context.Context, tx pgx.Tx, rows []db.CopyChecksParams) (int64, error) {
	// An earlier half of this transaction may have left its rows.
	if _, err := tx.Exec(ctx, "DELETE FROM incoming_checks"); err != nil {
		return 0, err
	}
	incoming := make([]db.CopyIncomingChecksParams, len(rows))
	for i, r := range rows {
		incoming[i] = db.CopyIncomingChecksParams(r)
	}
	if _, err := s.queries.CopyIncomingChecks(ctx, tx, incoming); err != nil {
		return 0, err
	}
	return s.queries.MergeIncomingChecks(ctx, tx)
}

func (s *store) writeLetters(ctx context.Context, tx pgx.Tx, letters []letter) error {
	if len(letters) == 0 {
		return nil
	}
	params := make([]db.InsertDeadLettersParams, len(letters))
	for i, l := range letters {
		params[i] = db.InsertDeadLettersParams(l)
	}
	var errs []error
	s.queries.InsertDeadLetters(ctx, tx, params).Exec(func(_ int, err error) { errs = append(errs, err) })
	return errors.Join(errs...)
}

// advanceOffsets moves offsets by compare-and-set; errStale when one is not where it is expected.
func advanceOffsets(ctx context.Context, q *db.Queries, tx db.DBTX, moves []db.AdvanceOffsetsParams) error {
	var errs []error
	q.AdvanceOffsets(ctx, tx, moves).QueryRow(func(i int, _ int64, err error) {
		if errors.Is(err, pgx.ErrNoRows) {
			at := Position{Topic: moves[i].Topic, Partition: moves[i].Partition, Offset: moves[i].Expected}
			err = fmt.Errorf("%v: %w", at, errStale)
		}
		errs = append(errs, err)
	})
	return errors.Join(errs...)
}
