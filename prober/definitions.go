package prober

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// publishRecords is how many records are encoded before they are sent: they fill the client's buffer, and little memory.
const publishRecords = 10_000

// Definitions reads and writes the topic of definitions: what the targets are, and the rules that apply to them.
type Definitions struct {
	// Kafka has the options that say where Kafka is and how to sign in.
	Kafka []kgo.Opt
	// Topic is [schemas.TopicTargets], or one's own.
	Topic string
	// Encoder and Decoder are those of the topic's schema.
	Encoder *schemas.EncoderOf[event.TargetDefined]
	Decoder *schemas.DecoderOf[event.TargetDefined]
}

// Publish writes the definition of each of targets, which are valid, unless the topic has the same one. It returns how many
// it wrote, when all in-sync replicas have them. It reads the topic once, to the end that it had, and takes no longer than
// ctx and what a request in hand needs to time out.
func (d Definitions) Publish(ctx context.Context, targets []Target) (int, error) {
	known, err := d.Read(ctx)
	if err != nil {
		return 0, err
	}
	changed := slices.Collect(func(yield func(Target) bool) {
		for _, t := range targets {
			if !known.Has(&t) && !yield(t) {
				return
			}
		}
	})
	if err := d.Write(ctx, known, changed, nil); err != nil {
		return 0, err
	}
	return len(changed), nil
}

// Write publishes the definitions of targets, which are valid, and removes the targets with the ids gone. It returns when all
// in-sync replicas have all of it; after an error they may have a part, and writing again does no harm. What known says of other
// partitions is removed as well: a topic that got more of them still has the older definitions there. Where two write at the same
// time, the later one counts.
func (d Definitions) Write(ctx context.Context, known *Known, targets []Target, gone []string) error {
	client, err := d.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	for ids := range slices.Chunk(gone, publishRecords) {
		var records []*kgo.Record
		for _, id := range ids {
			records = append(records, known.tombstones(d.Topic, id, noPartition)...)
		}
		if err := d.produce(ctx, client, records); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(targets, publishRecords) {
		records, err := d.records(known, some)
		if err != nil {
			return err
		}
		if err := d.produce(ctx, client, records); err != nil {
			return err
		}
	}
	return nil
}

// records returns the definitions of targets, and tombstones for those that are in another partition.
func (d Definitions) records(known *Known, targets []Target) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, 0, len(targets))
	for i := range targets {
		target := &targets[i]
		value, err := d.Encoder.AppendEncode(nil, target.defined(time.Now()))
		if err != nil {
			return nil, err
		}
		record := &kgo.Record{Topic: d.Topic, Key: []byte(target.ID), Value: value}
		record.Partition = known.home(record)
		records = append(append(records, record), known.tombstones(d.Topic, target.ID, record.Partition)...)
	}
	return records, nil
}

func (d Definitions) produce(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("producing definitions to %q: %w", d.Topic, err)
	}
	return nil
}

// client returns a client for the topic. Without idempotence what is sent can be given up when its context ends; a definition
// that comes twice is no other one.
func (d Definitions) client(options ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(slices.Concat(d.Kafka, []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(), kgo.KeepControlRecords(), kgo.FetchMaxWait(fetchWait),
	}, options)...)
	if err != nil {
		return nil, fmt.Errorf("preparing a Kafka client: %w", err)
	}
	return client, nil
}
