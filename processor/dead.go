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
)

// Bounds of looking at dead letters.
const (
	// listKeyBytes is how much of a key a list has: a target's id is shorter, and a hostile one can have a megabyte.
	listKeyBytes = 128
	// listCauses is how many causes are counted one by one; every letter can have one of its own.
	listCauses = 10
)

// ErrNoLetter says that there is no dead letter at a position: there never was, or it was applied or dropped.
var ErrNoLetter = errors.New("no dead letter is there")

// LetterFilter chooses dead letters by all of what is set. The zero LetterFilter chooses every letter.
type LetterFilter struct {
	// Positions are those of the letters, each once at most; nil: any.
	Positions []Position
	// Topic is the topic that the records were in; empty: any.
	Topic string
	// Partition of it; nil: any.
	Partition *int32
	// Cause is a part of the cause, as it is written there; empty: any.
	Cause string
	// Key is the records' whole key, a target's id; nil: any.
	Key []byte
	// Before is what the records' own timestamps lie before; zero: any.
	Before time.Time
}

// condition is what every query that chooses letters has in common.
func (f LetterFilter) condition() db.DropDeadLettersParams {
	c := db.DropDeadLettersParams{Partition: f.Partition, Cause: f.Cause, Key: f.Key, Listed: f.Positions != nil}
	c.Topics, c.Partitions, c.Offsets = columns(f.Positions)
	if f.Topic != "" {
		c.Topic = &f.Topic
	}
	if !f.Before.IsZero() {
		before := f.Before.UnixMilli()
		c.BeforeMs = &before
	}
	return c
}

// columns gives positions as PostgreSQL takes many of them: an array for each part.
func columns(positions []Position) (topics []string, partitions []int32, offsets []int64) {
	for _, p := range positions {
		topics, partitions, offsets = append(topics, p.Topic), append(partitions, p.Partition), append(offsets, p.Offset)
	}
	return topics, partitions, offsets
}

// LetterSummary is a dead letter without what may be large.
type LetterSummary struct {
	// Position is where the record was.
	Position Position
	// TimestampMs is the record's own, in milliseconds since 1970; it may be absurd.
	TimestampMs int64
	// Key is the record's key, in a list its beginning; nil: it had none.
	Key []byte
	// ValueBytes is the length of the record's value; 0 also where it had none.
	ValueBytes int
	// Cause says in one sentence why the record can't be applied.
	Cause string
	// Published is whether the topic of dead letters has it.
	Published bool
	// Unpublishable is why that topic will never have it, if so.
	Unpublishable string
}

// ListDeadLetters gives the letters that f chooses, up to limit of them: those with the newest timestamps first, or those with
// the oldest.
func ListDeadLetters(ctx context.Context, pool *pgxpool.Pool, f LetterFilter, newestFirst bool, limit int) ([]LetterSummary, error) {
	c := f.condition()
	rows, err := db.New().ListDeadLetters(ctx, pool, db.ListDeadLettersParams{
		Topic: c.Topic, Partition: c.Partition, Key: c.Key, BeforeMs: c.BeforeMs, Cause: c.Cause,
		Listed: c.Listed, Topics: c.Topics, Partitions: c.Partitions, Offsets: c.Offsets,
		KeyBytes: listKeyBytes, NewestFirst: newestFirst, UpTo: int32(limit),
	})
	if err != nil {
		return nil, lettersError("listing dead letters", err)
	}
	letters := make([]LetterSummary, len(rows))
	for i, r := range rows {
		letters[i] = LetterSummary{
			Position:    Position{Topic: r.Topic, Partition: r.Partition, Offset: r.RecordOffset},
			TimestampMs: r.TimestampMs, Key: r.Key, ValueBytes: int(r.ValueBytes), Cause: r.Cause, Published: r.Published,
		}
		if r.Unpublishable != nil {
			letters[i].Unpublishable = *r.Unpublishable
		}
	}
	return letters, nil
}

// LetterCounts is how many dead letters there are.
type LetterCounts struct {
	// Letters and Causes are the numbers of all of them.
	Letters, Causes int64
	// Frequent are the causes that most letters have, up to 10. In each, numbers, times and ids are replaced by "…", so that
	// causes that differ in them alone are one.
	Frequent []CauseCount
}

// CauseCount is how many dead letters have one cause.
type CauseCount struct {
	Cause   string
	Letters int64
}

// CountDeadLetters counts the letters that f chooses.
func CountDeadLetters(ctx context.Context, pool *pgxpool.Pool, f LetterFilter) (LetterCounts, error) {
	var counts LetterCounts
	c := f.condition()
	rows, err := db.New().CountDeadLetters(ctx, pool, db.CountDeadLettersParams{
		Topic: c.Topic, Partition: c.Partition, Key: c.Key, BeforeMs: c.BeforeMs, Cause: c.Cause,
		Listed: c.Listed, Topics: c.Topics, Partitions: c.Partitions, Offsets: c.Offsets, UpTo: listCauses,
	})
	if err != nil {
		return counts, lettersError("counting dead letters", err)
	}
	for _, r := range rows {
		counts.Letters, counts.Causes = r.Total, r.Causes
		counts.Frequent = append(counts.Frequent, CauseCount{Cause: r.Cause, Letters: r.Letters})
	}
	return counts, nil
}

// DeadLetter is a dead letter with the whole record.
type DeadLetter struct {
	LetterSummary
	// Value is nil where the record had none.
	Value []byte
	// Headers are those of the record; nil also where what is stored of them is damaged.
	Headers []kgo.RecordHeader
}

// FindDeadLetter gives the letter at a position. The error satisfies ErrNoLetter when there is none.
func FindDeadLetter(ctx context.Context, pool *pgxpool.Pool, at Position) (*DeadLetter, error) {
	found, err := readDeadLetters(ctx, db.New(), pool, []Position{at})
	if err == nil && len(found) == 0 {
		err = ErrNoLetter
	}
	if err != nil {
		return nil, lettersError(fmt.Sprintf("reading the dead letter of %v", at), err)
	}
	r := found[0]
	l := &DeadLetter{Value: r.Value, LetterSummary: LetterSummary{
		Position: at, TimestampMs: r.TimestampMs, Key: r.Key, ValueBytes: len(r.Value), Cause: r.Cause, Published: r.Published,
	}}
	if r.Unpublishable != nil {
		l.Unpublishable = *r.Unpublishable
	}
	if headers, err := parseHeaders(r.Headers); err == nil {
		l.Headers = headers
	}
	return l, nil
}

func readDeadLetters(ctx context.Context, q *db.Queries, from db.DBTX, positions []Position) ([]db.DeadLetter, error) {
	var arg db.ReadDeadLettersParams
	arg.Topics, arg.Partitions, arg.Offsets = columns(positions)
	return q.ReadDeadLetters(ctx, from, arg)
}

// DropDeadLetters removes the letters that f chooses for good, if they are as many as want, and none of them otherwise. It
// returns how many they are. What webcheck.dead has stays there.
func DropDeadLetters(ctx context.Context, pool *pgxpool.Pool, f LetterFilter, want int64) (int64, error) {
	var dropped int64
	errOthers := errors.New("another number")
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		if dropped, err = db.New().DropDeadLetters(ctx, tx, f.condition()); err == nil && dropped != want {
			err = errOthers
		}
		return err
	})
	if err != nil && !errors.Is(err, errOthers) {
		return 0, lettersError("dropping dead letters", err)
	}
	return dropped, nil
}

// lettersError says what was being done, and what to do where the tables are not there.
func lettersError(doing string, err error) error {
	if sqlState(err) == codeUndefinedTable {
		return &PermanentError{Err: fmt.Errorf("%s: the database has no tables of webcheck", doing), Next: `run "webcheck db migrate"`}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
