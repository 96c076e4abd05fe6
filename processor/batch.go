package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// batch is what one transaction writes.
type batch struct {
	topic    string
	records  []*kgo.Record         // behind rows, one each
	rows     []db.CopyChecksParams // what could be decoded
	letters  []letter              // what could not
	advances map[int32]advance
}

// advance moves a partition's next offset.
type advance struct {
	expected, next int64
}

// newBatch decodes records. next has the next offset of each partition that this processor owns; records of others are
// left out, as are records before it. Undecodable records become letters; any other error is trouble with the registry,
// and then the batch is void.
func newBatch(ctx context.Context, topic string, decoder *schemas.Decoder, records []*kgo.Record, next map[int32]int64) (*batch, error) {
	b := &batch{
		topic:    topic,
		records:  make([]*kgo.Record, 0, len(records)),
		rows:     make([]db.CopyChecksParams, 0, len(records)),
		advances: make(map[int32]advance),
	}
	for _, r := range records {
		expected, owned := next[r.Partition]
		if a, begun := b.advances[r.Partition]; begun {
			expected = a.next
		}
		if !owned || r.Offset < expected {
			continue
		}
		if err := b.add(ctx, decoder, r); err != nil {
			return nil, fmt.Errorf("%w %v: %w", errDecoding, positionOf(r), err)
		}
		b.advances[r.Partition] = advance{expected: next[r.Partition], next: r.Offset + 1}
	}
	return b, nil
}

func (b *batch) add(ctx context.Context, decoder *schemas.Decoder, r *kgo.Record) error {
	var e event.CheckCompleted
	err := decoder.Decode(ctx, r.Value, &e)
	if err == nil {
		err = schemas.CheckEventID(&e)
	} else if !errors.Is(err, schemas.ErrUndecodable) {
		return err
	}
	if err != nil {
		b.letters = append(b.letters, newLetter(r, err))
		return nil
	}
	b.records = append(b.records, r)
	b.rows = append(b.rows, row(e))
	return nil
}

// partitions lists the partitions that the batch moves on, in the one order in which every processor locks them.
func (b *batch) partitions() []int32 {
	return slices.Sorted(maps.Keys(b.advances))
}
