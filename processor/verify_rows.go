package processor

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"webcheck/gen/db"
)

// rowsAtOnce is how many rows of checks are in memory at once.
const rowsAtOnce = 5000

// firstID is the smallest id of a millisecond, which need not be one of an event.
func firstID(ms int64) string {
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16, ms&0xffff)
}

// lastID is the greatest id of a millisecond.
func lastID(ms int64) string {
	return fmt.Sprintf("%08x-%04x-ffff-ffff-ffffffffffff", ms>>16, ms&0xffff)
}

// rowReader gives the rows of checks in the order of their ids.
type rowReader struct {
	v     *verifier
	after string
	page  []db.PageChecksRow
	at    int
	ended bool
}

// peek gives the next row; nil behind the last.
func (r *rowReader) peek(ctx context.Context) (*db.PageChecksRow, error) {
	if r.at == len(r.page) && !r.ended {
		var err error
		if r.page, err = r.v.queries.PageChecks(ctx, r.v.tx, db.PageChecksParams{AfterID: r.after, UpTo: rowsAtOnce}); err != nil {
			return nil, fmt.Errorf("reading checks: %w", err)
		}
		r.at, r.ended = 0, len(r.page) < rowsAtOnce
		if n := len(r.page); n > 0 {
			r.after = r.page[n-1].EventID
		}
		r.v.report.Rows += int64(len(r.page))
		r.v.progress("comparing rows", r.v.report.Rows, 0)
	}
	if r.at == len(r.page) {
		return nil, nil
	}
	return &r.page[r.at], nil
}

// suspect is an event whose row is not what it should be, unless some of its records are dead letters.
type suspect struct {
	seen []sighting
	row  *db.PageChecksRow // nil: there is none
}

// rowComparison merges what was seen in the log with the rows, both in the order of ids.
type rowComparison struct {
	*verifier
	rows     *rowReader
	spanMs   int64 // the log has the event of every row from here on
	suspects []suspect
	content  hasher
}

// compareRows compares each event with its row, and each row with its event.
func (v *verifier) compareRows(ctx context.Context) error {
	c := &rowComparison{verifier: v, spanMs: max(v.log.spanMs(), v.keptFrom().UnixMilli())}
	hours := v.seen.hours()
	startMs := c.spanMs
	if len(hours) > 0 {
		startMs = min(startMs, hours[0]*hourMs)
	}
	startMs = min(max(startMs, 1), v.now.Add(spillBeyond).UnixMilli())
	before, err := v.queries.CountChecksBefore(ctx, v.tx, firstID(startMs))
	if err != nil {
		return fmt.Errorf("counting checks: %w", err)
	}
	v.report.Expired += before
	c.rows = &rowReader{v: v, after: lastID(startMs - 1)}
	for _, hour := range hours {
		all, err := v.seen.load(hour)
		if err != nil {
			return err
		}
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].id == all[0].id {
				n++
			}
			if err := c.compareEvent(ctx, all[:n]); err != nil {
				return err
			}
			all = all[n:]
		}
	}
	for {
		row, err := c.rows.peek(ctx)
		if err != nil {
			return err
		}
		if row == nil {
			return c.settle(ctx)
		}
		c.orphan(row)
		c.rows.at++
	}
}

// compareEvent compares an event's records with its row, after the rows before it, which have none.
func (c *rowComparison) compareEvent(ctx context.Context, seen []sighting) error {
	c.count(seen)
	for {
		row, err := c.rows.peek(ctx)
		if err != nil {
			return err
		}
		order := 1
		if row != nil {
			id, _ := parseUUID(row.EventID)
			order = bytes.Compare(id[:], seen[0].id[:])
		}
		switch {
		case order < 0:
			c.orphan(row)
			c.rows.at++
			continue
		case order == 0:
			c.rows.at++
		default:
			row = nil
		}
		if row == nil && idMs(seen[0].id) < c.keptFrom().UnixMilli() {
			c.report.Old++
			return nil
		}
		if c.classOf(seen, row) == "" {
			return nil
		}
		if row != nil { // not all of its page
			copied := *row
			row = &copied
		}
		c.suspects = append(c.suspects, suspect{slices.Clone(seen), row})
		if len(c.suspects) < lettersAtOnce {
			return nil
		}
		return c.settle(ctx)
	}
}

// count counts the records of one event that are one too many.
func (c *rowComparison) count(seen []sighting) {
	different := 1
	for i := 1; i < len(seen); i++ {
		if !slices.ContainsFunc(seen[:i], func(s sighting) bool { return s.content == seen[i].content }) {
			different++
		}
	}
	c.report.Events++
	c.report.Rivals += int64(different - 1)
	c.report.Repeated += int64(len(seen) - different)
}

// classOf is the class of what is wrong with a row that should come of these records, in their order; "" for nothing.
func (c *rowComparison) classOf(seen []sighting, row *db.PageChecksRow) string {
	first := slices.IndexFunc(seen, func(s sighting) bool { return !s.waiting })
	if row == nil {
		if first < 0 {
			return ""
		}
		return ClassMissing
	}
	if len(seen) == 0 {
		return ClassOrphans
	}
	content := c.content.sum(c.log.seed, (*db.CopyChecksParams)(row))
	for i := range seen {
		// What waits may have been processed before its offset was moved back.
		if seen[i].content == content && (first < 0 || seen[i].waiting || compareRank(&seen[i], &seen[first]) == 0) {
			return ""
		}
	}
	return ClassDifferent
}

// settle judges the suspects once more without the records that are dead letters, and reports what is left.
func (c *rowComparison) settle(ctx context.Context) error {
	var asked db.ListLetterPositionsParams
	for _, s := range c.suspects {
		for i := range s.seen {
			asked.Partitions, asked.Offsets = append(asked.Partitions, s.seen[i].partition), append(asked.Offsets, s.seen[i].offset)
		}
	}
	dead, err := c.deadAmong(ctx, asked)
	if err != nil {
		return err
	}
	for _, s := range c.suspects {
		first := s.seen[0]
		s.seen = slices.DeleteFunc(s.seen, func(seen sighting) bool { return dead[c.position(&seen)] })
		switch class := c.classOf(s.seen, s.row); class {
		case "":
		case ClassMissing:
			c.find(class, 1, "%v: event %s of %s", c.position(&first), pgtype.UUID{Bytes: first.id, Valid: true}, slotText(first.id))
		default:
			c.find(class, 1, "event %s: %s at %s, %s; the log has %v", s.row.EventID, s.row.TargetID, s.row.Location, slotText(first.id), c.position(&first))
		}
	}
	c.suspects = c.suspects[:0]
	return nil
}

// orphan reports a row that no record has, if the log goes back so far.
func (c *rowComparison) orphan(row *db.PageChecksRow) {
	id, _ := parseUUID(row.EventID)
	if idMs(id) < c.spanMs {
		c.report.Expired++
		return
	}
	c.find(ClassOrphans, 1, "event %s: %s at %s, %s", row.EventID, row.TargetID, row.Location, slotText(id))
}

func (c *rowComparison) position(s *sighting) Position {
	return Position{Topic: c.cfg.Topic, Partition: s.partition, Offset: s.offset}
}

func slotText(id [16]byte) string { return timeText(moment(idMs(id))) }
