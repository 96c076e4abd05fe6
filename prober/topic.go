package prober

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// quietTime is how long a topic may bring nothing until its leaders are asked whether they have more: the last records before its
// end may have been compacted away, and then nothing else says that the end is reached.
const quietTime = 3 * time.Second

// fetchWait is how long a leader may keep a fetch that it has nothing for: what it is asked next on that connection waits behind it.
const fetchWait = 500 * time.Millisecond

// topicReader reads a topic once, to the ends that it had when it was bound.
type topicReader struct {
	client     *kgo.Client
	topic      string
	partitions int
	next, ends map[int32]int64 // of the partitions that are not read to their end
}

// bound finds the partitions with records, and where these begin and end now.
func (t *topicReader) bound(ctx context.Context) error {
	admin := kadm.NewClient(t.client)
	list := func(list func(context.Context, ...string) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
		listed, err := list(ctx, t.topic)
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			err = fmt.Errorf("listing the offsets of %q: %w", t.topic, err)
		}
		return listed, err
	}
	starts, err := list(admin.ListStartOffsets)
	if err != nil {
		return err
	}
	ends, err := list(admin.ListEndOffsets)
	if err != nil {
		return err
	}
	t.partitions, t.next, t.ends = len(ends[t.topic]), make(map[int32]int64), make(map[int32]int64)
	ends.Each(func(end kadm.ListedOffset) {
		if start, found := starts.Lookup(t.topic, end.Partition); found && start.Offset < end.Offset {
			t.next[end.Partition], t.ends[end.Partition] = start.Offset, end.Offset
		}
	})
	return nil
}

// read calls each for the records, those of a partition in order, until all partitions are read to their ends.
func (t *topicReader) read(ctx context.Context, each func(*kgo.Record) error) error {
	starts := make(map[int32]kgo.Offset)
	for partition := range t.next {
		starts[partition] = kgo.NewOffset().AtStart()
	}
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: starts})
	for len(t.ends) > 0 {
		poll, cancel := context.WithTimeout(ctx, quietTime)
		fetches := t.client.PollFetches(poll)
		quiet := poll.Err() != nil && ctx.Err() == nil && fetches.NumRecords() == 0
		cancel()
		if quiet {
			if err := t.dropEnded(ctx); err != nil {
				return fmt.Errorf("reading %q: %w", t.topic, err)
			}
			continue
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("reading %q: %w", t.topic, failed.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			if !r.Attrs.IsControl() {
				if err := each(r); err != nil {
					return err
				}
			}
			if t.next[r.Partition] = r.Offset + 1; r.Offset+1 >= t.ends[r.Partition] {
				delete(t.ends, r.Partition)
			}
		}
	}
	return nil
}

// dropEnded drops the partitions whose leader has no record any more behind what was read. One that does not answer is an error, for
// half a list is worse than none.
func (t *topicReader) dropEnded(ctx context.Context) error {
	metadata, err := kadm.NewClient(t.client).Metadata(ctx, t.topic)
	if err != nil {
		return err
	}
	topic := metadata.Topics[t.topic]
	for partition := range t.ends {
		more, err := t.hasMore(ctx, topic.ID, partition, topic.Partitions[partition].Leader)
		if err != nil {
			return err
		}
		if !more {
			delete(t.ends, partition)
		}
	}
	return nil
}

// hasMore asks the leader of one partition, which gives a batch of records, however large, if it has one. Of several partitions in a
// request that holds for the first only.
func (t *topicReader) hasMore(ctx context.Context, id kadm.TopicID, partition, leader int32) (bool, error) {
	request, topic, asked := kmsg.NewPtrFetchRequest(), kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	asked.Partition, asked.FetchOffset, asked.PartitionMaxBytes = partition, t.next[partition], 1
	topic.Topic, topic.TopicID, topic.Partitions = t.topic, id, append(topic.Partitions, asked)
	request.MaxBytes, request.Topics = 1, append(request.Topics, topic)
	response, err := request.RequestWith(ctx, t.client.Broker(int(leader)))
	if err != nil {
		return false, err
	}
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return false, err
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return false, fmt.Errorf("partition %d: no answer", partition)
	}
	answer := response.Topics[0].Partitions[0]
	return len(answer.RecordBatches) > 0, kerr.ErrorForCode(answer.ErrorCode)
}
