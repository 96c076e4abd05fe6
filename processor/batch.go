package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// reader turns records into batches.
type reader struct {
	topic   string
	decoder *schemas.Decoder
	accepts func(slot time.Time) error // why a slot has no place in the table, if it has none
	// replayed leaves out what has grown too old: it was a row in its time, and to be read again makes no dead letter of it.
	replayed bool
}

// batch is what one transaction writes.
type batch struct {
	topic    string
	records  []*kgo.Record         // behind rows, one each
	rows     []db.CopyChecksParams // what could be decoded
	letters  []letter              // what could not
	tooOld   int                   // records of a replay that were left out
	advances map[int32]advance
	marks    []*kgo.Record // all that were polled, for Kafka's own offsets
	watch    stopwatch
}

// advance moves a partition's next offset.
type advance struct {
	expected, next int64
}

// batch decodes records. next has the next offset of each partition that this processor owns; records of others are
// left out, as are records before it. Undecodable records become letters; any other error is trouble with the registry,
// and then the batch is void.
func (r *reader) batch(ctx context.Context, records []*kgo.Record, next map[int32]int64) (*batch, error) {
	b := &batch{
		topic:    r.topic,
		records:  make([]*kgo.Record, 0, len(records)),
		rows:     make([]db.CopyChecksParams, 0, len(records)),
		advances: make(map[int32]advance),
	}
	var e event.CheckCompleted // one for all: each would be an allocation
	for _, record := range records {
		expected, owned := next[record.Partition]
		if a, begun := b.advances[record.Partition]; begun {
			expected = a.next
		}
		if !owned || record.Offset < expected {
			continue
		}
		if err := r.add(ctx, b, record, &e); err != nil {
			return nil, fmt.Errorf("decoding %v: %w", positionOf(record), err)
		}
		b.advances[record.Partition] = advance{expected: next[record.Partition], next: record.Offset + 1}
	}
	b.sort()
	return b, nil
}

// add decodes one record into e, and copies it from there.
func (r *reader) add(ctx context.Context, b *batch, record *kgo.Record, e *event.CheckCompleted) error {
	err := r.decoder.Decode(ctx, record.Value, e)
	if err != nil && !errors.Is(err, schemas.ErrUndecodable) {
		return err
	}
	if err == nil {
		err = cmp.Or(schemas.CheckEventID(e), r.accepts(e.Slot), checkText(e))
	}
	if r.replayed && errors.Is(err, errTooOld) {
		b.tooOld++
		return nil
	}
	if err != nil {
		b.letters = append(b.letters, newLetter(record, err))
		return nil
	}
	b.records = append(b.records, record)
	b.rows = append(b.rows, row(*e))
	return nil
}

// sort brings the rows into the order of their ids, which is that of their slots: the primary key then grows at its end, where
// its pages become full, instead of all over.
func (b *batch) sort() {
	order := make([]int32, len(b.rows))
	for i := range order {
		order[i] = int32(i)
	}
	byID := func(x, y int32) int { return strings.Compare(b.rows[x].EventID, b.rows[y].EventID) }
	if slices.IsSortedFunc(order, byID) {
		return
	}
	slices.SortStableFunc(order, byID)
	for start := range order { // in place, one cycle of the permutation after the other: a batch is large
		row, record := b.rows[start], b.records[start]
		for to := start; ; {
			from := int(order[to])
			order[to] = int32(to)
			if from == start {
				b.rows[to], b.records[to] = row, record
				break
			}
			b.rows[to], b.records[to] = b.rows[from], b.records[from]
			to = from
		}
	}
}

// partitions lists the partitions that the batch moves on, in the one order in which every processor locks them.
func (b *batch) partitions() []int32 {
	return slices.Sorted(maps.Keys(b.advances))
}

// checkText refuses the one thing that Avro's text has and PostgreSQL's has not. PostgreSQL would say so too, but to find
// the rows that it refuses takes so long, when they are many, that a batch would not end in time, today or ever.
func checkText(e *event.CheckCompleted) error {
	for _, field := range e.Pointers() {
		if hasNUL(field) {
			return fmt.Errorf("checking event %q: a NUL in its text", e.EventID)
		}
	}
	if err := checkKeys(e.TargetID, e.Location, e.DefinitionVersion); err != nil {
		return fmt.Errorf("checking event %q: %w", e.EventID, err)
	}
	return nil
}

// hasNUL reports whether what field points at is a text with a NUL.
func hasNUL(field any) bool {
	switch text := field.(type) {
	case *string:
		return strings.IndexByte(*text, 0) >= 0
	case **string:
		return *text != nil && strings.IndexByte(**text, 0) >= 0
	}
	return false
}

// maxKeyBytes is how long a text may be that is part of a key. What webcheck writes has 63 at most; an index takes a third of a
// page in all (PostgreSQL, "B-Tree Implementation"), and what is longer is refused in a way that looks like trouble of the server.
const maxKeyBytes = 255

func checkKeys(texts ...string) error {
	for _, text := range texts {
		if len(text) > maxKeyBytes {
			return fmt.Errorf("%q… has %d bytes, which is more than the %d of a key", strings.ToValidUTF8(text[:32], ""), len(text), maxKeyBytes)
		}
	}
	return nil
}
