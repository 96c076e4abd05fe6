package prober

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

const (
	// linger lets events of the same few milliseconds share a request; nobody notices it beside a check.
	linger = 5 * time.Millisecond
	// maxBufferedEvents is what is kept while the broker is away: at a few hundred bytes each some 40 MB, or a quarter of an hour
	// at 50 events a second. What comes on top is lost, counted and logged.
	maxBufferedEvents = 50_000
)

// KafkaOpts returns the options that a client needs for what [KafkaEmitter] promises, beside those that say where Kafka
// is: acknowledged by all in-sync replicas, each event once and in order (the idempotent producer), sent again without
// end, buffered within a bound.
func KafkaOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordRetries(math.MaxInt),
		kgo.UnknownTopicRetries(-1), // a broker that has just started may not know its topics yet
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(maxBufferedEvents),
	}
}

// KafkaEmitter writes events to a topic, keyed with the target's id, so that those of a target stay in order. While Kafka
// is away it keeps events and sends them later; an event that cannot be encoded, or that finds the buffer full, is given up
// at once.
type KafkaEmitter struct {
	client  *kgo.Client
	topic   string
	encoder *schemas.Encoder
	pending sync.WaitGroup
}

// NewKafkaEmitter returns an emitter to topic, which is [schemas.TopicChecks] except for those who have a topic of their own
// on a shared broker. The client must have been made with [KafkaOpts], and stays the caller's to close, after Run.
func NewKafkaEmitter(client *kgo.Client, topic string, encoder *schemas.Encoder) *KafkaEmitter {
	return &KafkaEmitter{client: client, topic: topic, encoder: encoder}
}

// Emit buffers e for the client to send and never waits. Done is called with [kgo.ErrMaxBuffered] in its chain when the
// buffer is full, and with [kgo.ErrClientClosed] when the client is closed before the acknowledgement.
func (k *KafkaEmitter) Emit(e *event.CheckCompleted, done func(error)) {
	value, err := k.encoder.AppendEncode(nil, e)
	if err != nil {
		done(err)
		return
	}
	k.pending.Add(1)
	record := &kgo.Record{Topic: k.topic, Key: []byte(e.TargetID), Value: value}
	k.client.TryProduce(context.Background(), record, func(_ *kgo.Record, err error) {
		defer k.pending.Done()
		if err != nil {
			err = fmt.Errorf("producing event %q to %q: %w", e.EventID, k.topic, err)
		}
		done(err)
	})
}

// Flush sends what is buffered and waits until all of it is acknowledged or given up, or ctx ends.
func (k *KafkaEmitter) Flush(ctx context.Context) error {
	if err := k.client.Flush(ctx); err != nil {
		return fmt.Errorf("flushing events to %q: %w", k.topic, err)
	}
	k.pending.Wait() // for those that never were in the buffer: their callbacks come without the network
	return nil
}
