package prober

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// quietTime is how long the topic may bring nothing before it counts as read: the last records before its end may have been
// compacted away, and then nothing says that the end is reached. What is missed by it is published again, which changes nothing.
const quietTime = 3 * time.Second

// Definitions publishes the definitions of targets, so that those who fold checks know the rules that apply to them.
type Definitions struct {
	// Kafka has the options that say where Kafka is and how to sign in.
	Kafka []kgo.Opt
	// Topic is [schemas.TopicTargets], or one's own.
	Topic string
	// Encoder and Decoder are those of the topic's schema.
	Encoder *schemas.EncoderOf[event.TargetDefined]
	Decoder *schemas.DecoderOf[event.TargetDefined]
}

// Publish writes the definition of each of targets, which are valid, unless the newest one in the topic has the same version.
// It returns how many it wrote, when all in-sync replicas have them. It reads the topic once, to the end that it had, and
// takes no longer than ctx and what a request in hand needs to time out.
func (d Definitions) Publish(ctx context.Context, targets []Target) (int, error) {
	// Without idempotence what is sent can be given up when ctx ends; a definition that comes twice is no other one.
	client, err := kgo.NewClient(append(slices.Clone(d.Kafka), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(), kgo.KeepControlRecords())...)
	if err != nil {
		return 0, fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	versions, err := d.versions(ctx, client)
	if err != nil {
		return 0, err
	}
	var records []*kgo.Record
	for _, target := range targets {
		if versions[target.ID].version == target.Version() {
			continue
		}
		value, err := d.Encoder.AppendEncode(nil, target.defined(time.Now()))
		if err != nil {
			return 0, err
		}
		records = append(records, &kgo.Record{Topic: d.Topic, Key: []byte(target.ID), Value: value})
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, fmt.Errorf("producing definitions to %q: %w", d.Topic, err)
	}
	return len(records), nil
}

// newest is what the topic has about a target.
type newest struct {
	version   string // empty when the target was removed, or when this build cannot read its definition
	partition int32
	at        time.Time
}

// versions reads the topic and returns the newest of each target.
func (d Definitions) versions(ctx context.Context, client *kgo.Client) (map[string]newest, error) {
	versions := make(map[string]newest)
	err := d.read(ctx, client, func(r *kgo.Record) error {
		var defined event.TargetDefined
		err := d.Decoder.Decode(ctx, r.Value, &defined)
		if err != nil && !errors.Is(err, schemas.ErrUndecodable) {
			return fmt.Errorf("decoding %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		id, found := string(r.Key), newest{partition: r.Partition, at: r.Timestamp}
		if err == nil && defined.TargetID == id {
			found.version = defined.DefinitionVersion
		}
		// A target is in more than one partition where the topic got more of them since.
		if known, is := versions[id]; !is || known.partition == r.Partition || !known.at.After(r.Timestamp) {
			versions[id] = found
		}
		return nil
	})
	return versions, err
}

// read calls each for the topic's records, those of a partition in order, until the end that it has now or until it is quiet.
func (d Definitions) read(ctx context.Context, client *kgo.Client, each func(*kgo.Record) error) error {
	left, err := d.spans(ctx, client)
	if err != nil {
		return err
	}
	starts := make(map[int32]kgo.Offset)
	for partition := range left {
		starts[partition] = kgo.NewOffset().AtStart()
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{d.Topic: starts})
	for len(left) > 0 {
		poll, cancel := context.WithTimeout(ctx, quietTime)
		fetches := client.PollFetches(poll)
		quiet := poll.Err() != nil && ctx.Err() == nil
		cancel()
		if quiet && fetches.NumRecords() == 0 {
			break
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("reading %q: %w", d.Topic, failed.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			if !r.Attrs.IsControl() {
				if err := each(r); err != nil {
					return err
				}
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	return nil
}

// spans returns the end of each partition of the topic that has records.
func (d Definitions) spans(ctx context.Context, client *kgo.Client) (map[int32]int64, error) {
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, d.Topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing the offsets of %q: %w", d.Topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, d.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing the offsets of %q: %w", d.Topic, err)
	}
	spans := make(map[int32]int64)
	ends.Each(func(end kadm.ListedOffset) {
		if start, found := starts.Lookup(d.Topic, end.Partition); found && start.Offset < end.Offset {
			spans[end.Partition] = end.Offset
		}
	})
	return spans, nil
}
