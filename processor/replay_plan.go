package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// ErrNoPartition says that the topic does not have a partition that was asked for.
var ErrNoPartition = errors.New("no such partition")

// ReplayQuestion is what to read once more.
type ReplayQuestion struct {
	// From is the first record, To the first that is not read any more. An offset counts in each partition.
	From, To Bound
	// Partitions are read; nil means all.
	Partitions []int32
	// Target, if any, leaves out the records with another key.
	Target string
}

// ReplayPlan is what a question comes to, with the log as it is.
type ReplayPlan struct {
	Question   ReplayQuestion
	Topic      string
	Partitions []ReplayRange // by partition
}

// ReplayRange is what is read of a partition: the offsets from From up to, not including, To.
type ReplayRange struct {
	Partition int32
	From, To  int64
	// LogStart and LogEnd are what the log has. Records of a transaction that is still open are not there yet.
	LogStart, LogEnd int64
	// Expired is how many records before LogStart were asked for; all that ever were, when the question begins at the start.
	Expired int64
	// AtMost says that Expired may be fewer: nobody knows of what time they were.
	AtMost bool
	// Short says that an offset was asked for that the log has not come to.
	Short bool
	// Processed is the offset that the group goes on at, -1 where it has not begun. Nothing from there on is read: it is
	// not once more, and to read it first would keep what it changes from being told as news.
	Processed int64
}

// Records is how many offsets the plan goes over. It is an estimate of the records: an offset may be a transaction's mark.
func (p ReplayPlan) Records() int64 {
	var sum int64
	for _, r := range p.Partitions {
		sum += r.To - r.From
	}
	return sum
}

// plan looks into the log and the stored offsets. It changes nothing.
func (p *Processor) plan(ctx context.Context, q ReplayQuestion) (ReplayPlan, error) {
	client, err := kgo.NewClient(slices.Concat(p.cfg.Kafka, []kgo.Opt{kgo.WithHooks(p.brokers)})...)
	if err != nil {
		return ReplayPlan{}, &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	defer client.Close()
	lister := &lister{topic: p.cfg.Topic, kafka: kadm.NewClient(client)}
	partitions, err := lister.partitions(ctx, q.Partitions)
	if err != nil {
		return ReplayPlan{}, err
	}
	// Before the log's end, which the group may follow meanwhile.
	stored, err := p.queries.ListOffsets(ctx, p.cfg.Pool, db.ListOffsetsParams{Topic: p.cfg.Topic, Partitions: partitions})
	if err != nil {
		return ReplayPlan{}, fmt.Errorf("reading stored offsets: %w", err)
	}
	processed := make(map[int32]int64)
	for _, row := range stored {
		processed[row.Partition] = row.NextOffset
	}
	log, err := lister.readable(ctx, partitions)
	if err != nil {
		return ReplayPlan{}, err
	}
	from, err := lister.byTime(ctx, q.From, partitions)
	if err != nil {
		return ReplayPlan{}, err
	}
	to, err := lister.byTime(ctx, q.To, partitions)
	if err != nil {
		return ReplayPlan{}, err
	}
	plan := ReplayPlan{Question: q, Topic: p.cfg.Topic}
	for _, partition := range partitions {
		r := q.within(log[partition], from[partition], to[partition])
		r.Partition, r.Processed = partition, -1
		if next, begun := processed[partition]; begun {
			r.Processed = next
			r.To = max(min(r.To, next), r.From)
		}
		plan.Partitions = append(plan.Partitions, r)
	}
	return plan, nil
}

// within cuts the question to what the log has; from and to are the offsets of its times.
func (q ReplayQuestion) within(log logRange, from, to int64) ReplayRange {
	first, last := q.From.resolve(log, from), q.To.resolve(log, to)
	r := ReplayRange{
		LogStart: log.start, LogEnd: log.end, From: min(max(first, log.start), log.end),
		Short: q.From.kind == boundOffset && first > log.end || q.To.kind == boundOffset && last > log.end,
	}
	r.To = max(min(last, log.end), r.From)
	switch q.From.kind {
	case boundStart:
		r.Expired = log.start
	case boundOffset:
		r.Expired = max(min(log.start, last)-first, 0)
	case boundTime:
		if first <= log.start {
			r.Expired, r.AtMost = log.start, log.start > 0
		}
	}
	return r
}

// lister asks Kafka for offsets of one topic.
type lister struct {
	topic string
	kafka *kadm.Client
}

// partitions gives those that were asked for in order, or all.
func (l *lister) partitions(ctx context.Context, asked []int32) ([]int32, error) {
	details, err := l.kafka.ListTopics(ctx, l.topic)
	if err == nil {
		err = details[l.topic].Err
	}
	if err != nil {
		return nil, fmt.Errorf("looking at topic %q: %w", l.topic, err)
	}
	all := slices.Sorted(maps.Keys(details[l.topic].Partitions))
	if asked == nil {
		return all, nil
	}
	asked = slices.Compact(slices.Sorted(slices.Values(asked)))
	for _, p := range asked {
		if !slices.Contains(all, p) {
			return nil, fmt.Errorf("looking for %s/%d: %w: the topic has %d, from 0 on", l.topic, p, ErrNoPartition, len(all))
		}
	}
	return asked, nil
}

// readable gives what can be read: the end is that of the last transaction that has ended, or a reader would wait for it.
func (l *lister) readable(ctx context.Context, partitions []int32) (map[int32]logRange, error) {
	return l.ranges(ctx, partitions, l.kafka.ListCommittedOffsets)
}

// ranges gives what the log has of partitions, up to the ends that listEnds gives.
func (l *lister) ranges(ctx context.Context, partitions []int32, listEnds func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[int32]logRange, error) {
	starts, err := l.list(partitions)(l.kafka.ListStartOffsets(ctx, l.topic))
	if err != nil {
		return nil, err
	}
	ends, err := l.list(partitions)(listEnds(ctx, l.topic))
	if err != nil {
		return nil, err
	}
	ranges := make(map[int32]logRange, len(partitions))
	for _, p := range partitions {
		ranges[p] = logRange{start: starts[p], end: ends[p]}
	}
	return ranges, nil
}

// byTime gives the offset of a bound's time in each partition, and nothing for a bound that is not one.
func (l *lister) byTime(ctx context.Context, b Bound, partitions []int32) (map[int32]int64, error) {
	if b.kind != boundTime {
		return nil, nil
	}
	return l.list(partitions)(l.kafka.ListOffsetsAfterMilli(ctx, b.time.UnixMilli(), l.topic))
}

// list picks the partitions of an answer.
func (l *lister) list(partitions []int32) func(kadm.ListedOffsets, error) (map[int32]int64, error) {
	return func(listed kadm.ListedOffsets, err error) (map[int32]int64, error) {
		if err != nil {
			return nil, fmt.Errorf("listing offsets of %s: %w", l.topic, err)
		}
		found := make(map[int32]int64, len(partitions))
		for _, p := range partitions {
			offset, known := listed.Lookup(l.topic, p)
			if !known {
				return nil, fmt.Errorf("listing offsets: Kafka says nothing of %s/%d", l.topic, p)
			}
			if offset.Err != nil {
				return nil, fmt.Errorf("listing offsets of %s/%d: %w", l.topic, p, offset.Err)
			}
			found[p] = offset.Offset
		}
		return found, nil
	}
}
