package prober

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// noPartition is no partition's number.
const noPartition = -1

// Defined is the newest that a topic of definitions has about a target.
type Defined struct {
	// ID of the target: the record's key.
	ID string
	// Version, URL and Definition are those of the event; empty where there is none.
	Version, URL, Definition string
	// At is when the definition was published, by the publisher's clock; without an event the record's own time.
	At time.Time
	// Partition and Offset are where the record is.
	Partition int32
	Offset    int64
	// Removed is whether the record removes the target.
	Removed bool
	// Cause says why the record is no definition of the target; nil when it is one, or removes it.
	Cause error

	written time.Time // the record's own time
}

// Known is what a topic of definitions had when it was read.
type Known struct {
	// Targets are by their ids. One that was removed is there as long as Kafka keeps that.
	Targets map[string]Defined

	elsewhere   map[string]map[int32]Defined // of targets in more than one partition: the others, by partition
	partitions  int
	partitioner kgo.TopicPartitioner
}

// Has reports whether all probers take from the topic what t, which is valid, says: it is not in another partition too.
func (k *Known) Has(t *Target) bool {
	d, is := k.Targets[t.ID]
	if !is || d.Version != t.Version() {
		return false
	}
	for _, other := range k.elsewhere[t.ID] {
		if !other.Removed {
			return false
		}
	}
	if d.Definition == t.Definition() {
		return true
	}
	same, err := ParseDefinition(d.Definition) // another program may claim any version
	return err == nil && same.Version() == d.Version
}

// Read reads the topic to the end that it has now, within ctx.
func (d Definitions) Read(ctx context.Context) (*Known, error) {
	client, err := d.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	topic := &topicReader{client: client, topic: d.Topic}
	if err := topic.bound(ctx); err != nil {
		return nil, err
	}
	known := &Known{
		Targets: make(map[string]Defined), elsewhere: make(map[string]map[int32]Defined),
		partitions: topic.partitions, partitioner: kgo.StickyKeyPartitioner(nil).ForTopic(d.Topic), // as every client of Kafka does it
	}
	err = topic.read(ctx, func(r *kgo.Record) error {
		found, err := d.defined(ctx, r)
		if err == nil {
			known.put(found)
		}
		return err
	})
	known.settle()
	return known, err
}

// defined is what the record says. The error is the registry's absence or ctx's end.
func (d Definitions) defined(ctx context.Context, r *kgo.Record) (Defined, error) {
	found := Defined{ID: string(r.Key), At: r.Timestamp, Partition: r.Partition, Offset: r.Offset, written: r.Timestamp}
	if r.Value == nil {
		found.Removed = true
		return found, nil
	}
	e, cause, err := decodeDefinition(ctx, d.Decoder, r)
	if err != nil {
		return found, err
	}
	if found.Cause = cause; cause == nil {
		found.Version, found.URL, found.Definition, found.At = e.DefinitionVersion, e.URL, e.Definition, e.DefinedAt
	}
	return found, nil
}

// decodeDefinition reads a record that has a value. The cause says why it is no definition of its key's target; the error is the
// registry's absence or ctx's end.
func decodeDefinition(ctx context.Context, decoder *schemas.DecoderOf[event.TargetDefined], r *kgo.Record) (e event.TargetDefined, cause, err error) {
	err = decoder.Decode(ctx, r.Value, &e)
	switch {
	case errors.Is(err, schemas.ErrUndecodable):
		return e, err, nil
	case err != nil:
		return e, nil, fmt.Errorf("decoding %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
	case e.TargetID != string(r.Key):
		return e, fmt.Errorf("it defines %q", e.TargetID), nil
	}
	return e, nil, nil
}

// put takes the next record of its partition.
func (k *Known) put(found Defined) {
	if now, is := k.Targets[found.ID]; !is || now.Partition == found.Partition {
		k.Targets[found.ID] = found
		return
	}
	if k.elsewhere[found.ID] == nil {
		k.elsewhere[found.ID] = make(map[int32]Defined)
	}
	k.elsewhere[found.ID][found.Partition] = found
}

// settle makes the newest of each target that is in more than one partition the one that counts. One that removes a target
// counts only where all do: whoever reads another partition does not know of it.
func (k *Known) settle() {
	for id, others := range k.elsewhere {
		for partition, other := range others {
			now := k.Targets[id]
			newer := now.written.Before(other.written)
			if other.Removed != now.Removed {
				newer = now.Removed
			}
			if newer {
				delete(others, partition)
				others[now.Partition], k.Targets[id] = now, other
			}
		}
	}
}

// home is the partition that a record with this key belongs to.
func (k *Known) home(r *kgo.Record) int32 { return int32(k.partitioner.Partition(r, k.partitions)) }

// tombstones are the records that remove the target from each partition that has it, but from one.
func (k *Known) tombstones(topic, id string, but int32) []*kgo.Record {
	var records []*kgo.Record
	remove := func(d Defined) {
		if !d.Removed && d.Partition != but {
			records = append(records, &kgo.Record{Topic: topic, Key: []byte(id), Partition: d.Partition})
		}
	}
	if d, is := k.Targets[id]; is {
		remove(d)
	}
	for _, d := range k.elsewhere[id] {
		remove(d)
	}
	return records
}
