package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/queries"
)

// Tally counts what became of a batch of records.
type Tally struct {
	Records  int   // taken from the log
	Inserted int64 // rows that are new
	Merged   int64 // rows written by a merge: new ones beside a repeated id, and rows that a check before them replaced
	Dead     int   // dead letters
	Folded
}

// insistAttempts is how often a transaction is tried that meets others on its rows.
const insistAttempts = 10

// store writes batches. It is used by one goroutine at a time.
type store struct {
	pool       *pgxpool.Pool
	queries    *db.Queries
	partitions *partitions
	folder     *folder            // nil: checks are stored and not folded
	days       map[time.Time]bool // whose partitions are there
	// move moves the offsets on in a batch's transaction; nil means those of the group.
	move func(ctx context.Context, tx pgx.Tx, b *batch) error
}

// write commits a batch: the offsets by compare-and-set first, which also locks them against a second owner, then rows and
// their folds, then dead letters. On any error nothing of it is written, or, when the connection broke during the commit, all of it or
// nothing: the stored offsets tell. The error is errStale when an offset is not where the batch expects it.
func (s *store) write(ctx context.Context, b *batch) (Tally, error) {
	tally := Tally{Records: len(b.rows) + len(b.letters)}
	nothing, letters := tally, b.letters
	b.watch.resume()
	if err := s.preparePartitions(ctx, b.rows); err != nil {
		return tally, err
	}
	move := s.move
	if move == nil {
		move = s.advance
	}
	err := insist(ctx, func() error {
		tally, b.letters = nothing, letters
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if err := move(ctx, tx, b); err != nil {
				return fmt.Errorf("advancing offsets: %w", err)
			}
			return s.apply(ctx, tx, b, &tally)
		})
	})
	b.watch.lap(phaseCommit)
	tally.Dead = len(b.letters)
	return tally, err
}

// insist makes a transaction, and makes it again when PostgreSQL has called it off for another one's sake, which is nobody's trouble
// (PostgreSQL, "Serialization Failure Handling").
func insist(ctx context.Context, transaction func() error) error {
	pauses := newPauses()
	for attempt := 1; ; attempt++ {
		err := transaction()
		if !isCalledOff(err) || attempt == insistAttempts || !pause(ctx, pauses.NextBackOff()) {
			return err
		}
	}
}

// apply writes what follows from a batch, apart from offsets: rows and folds, then dead letters. What PostgreSQL refuses moves from
// the ones to the others.
func (s *store) apply(ctx context.Context, tx pgx.Tx, b *batch, tally *Tally) error {
	if err := s.applyRows(ctx, tx, b, tally); err != nil {
		return err
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

// applyRows writes a batch's rows and folds them.
func (s *store) applyRows(ctx context.Context, tx pgx.Tx, b *batch, tally *Tally) error {
	var locked lockedTargets
	if s.folder != nil {
		ids := make([]string, len(b.rows))
		for i := range b.rows {
			ids[i] = b.rows[i].TargetID
		}
		var err error
		if locked, err = s.folder.lock(ctx, tx, ids); err != nil {
			return err
		}
	}
	changes, err := s.writeRows(ctx, tx, b, 0, len(b.rows), tally)
	if err != nil {
		return fmt.Errorf("writing checks: %w", err)
	}
	b.watch.lap(phaseRows)
	if s.folder == nil {
		return nil
	}
	if tally.Folded, err = s.folder.fold(ctx, tx, locked, changes, nil); err != nil {
		return fmt.Errorf("folding checks: %w", err)
	}
	b.watch.lap(phaseFolds)
	return nil
}

// writeRows writes the rows from first up to end, or finds those that PostgreSQL refuses by halving, and makes letters of
// them. It gives the rows that are new or have changed.
func (s *store) writeRows(ctx context.Context, tx pgx.Tx, b *batch, first, end int, tally *Tally) ([]change, error) {
	if first == end {
		return nil, nil
	}
	changes, merged, err := s.copyOrMerge(ctx, tx, b.rows[first:end], b.records[first:end])
	if err == nil {
		if merged {
			tally.Merged += int64(len(changes))
		} else {
			tally.Inserted += int64(len(changes))
		}
		return changes, nil
	}
	if !refusesRow(err) {
		return nil, err
	}
	if end-first == 1 {
		b.letters = append(b.letters, newLetter(b.records[first], fmt.Errorf("PostgreSQL refuses it: %w", err)))
		return nil, nil
	}
	middle := first + (end-first)/2
	if changes, err = s.writeRows(ctx, tx, b, first, middle, tally); err != nil {
		return nil, err
	}
	more, err := s.writeRows(ctx, tx, b, middle, end, tally)
	return append(changes, more...), err
}

// copyOrMerge copies straight into the table, which is the fastest way there is when every id is new, and merges when one
// is not. A COPY that meets an id that is there leaves what it has written behind as dead rows, so some ids are looked up first.
func (s *store) copyOrMerge(ctx context.Context, tx pgx.Tx, rows []db.CopyChecksParams, records []*kgo.Record) (changes []change, merged bool, err error) {
	known := repeats(rows)
	if !known {
		err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) (err error) {
			if known, err = s.queries.HasAnyCheck(ctx, savepoint, sample(rows)); err == nil && !known {
				_, err = CopyChecks(ctx, savepoint.Conn(), rows)
			}
			return err
		})
	}
	switch {
	case err == nil && !known:
		return newChecks(rows, records), false, nil
	case err != nil && !isDuplicate(err):
		return nil, false, err
	}
	// Outside the savepoint: to make it anew for every half that is refused leaves ever more of it in the catalogs.
	if _, err := tx.Exec(ctx, queries.CreateIncomingChecks); err != nil {
		return nil, false, err
	}
	var written []db.MergeIncomingChecksRow
	err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		written, err = s.merge(ctx, savepoint, rows)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return mergedChecks(written, rows, records), true, nil
}

func (s *store) merge(ctx context.Context, tx pgx.Tx, rows []db.CopyChecksParams) ([]db.MergeIncomingChecksRow, error) {
	for _, statement := range []string{
		"DELETE FROM incoming_checks", // an earlier half of this transaction may have left its rows
		// The planner takes each row to be looked up in every partition, and to compile the statement to be worth it: that takes
		// longer than to run it does.
		"SET LOCAL jit = off",
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	if err := copyIncoming(ctx, tx.Conn(), rows); err != nil {
		return nil, err
	}
	return s.queries.MergeIncomingChecks(ctx, tx)
}

func (s *store) writeLetters(ctx context.Context, tx db.DBTX, letters []letter) error {
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
