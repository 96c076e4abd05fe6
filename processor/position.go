package processor

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Position is the place of one record in the log. Offset counts from 0 in its partition.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// String gives the form in which positions are written everywhere: webcheck.checks/3@1042.
func (p Position) String() string {
	return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset)
}

func positionOf(r *kgo.Record) Position {
	return Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}
