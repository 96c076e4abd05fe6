package cli

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

const (
	// benchSeed makes the events of every measurement alike, apart from the time.
	benchSeed = 4
	// benchDownOf is one in how many checks finds its target down.
	benchDownOf = 100
)

// benchLog makes the events of a measurement: for each target an HTTPS check a slot, in the order of time.
type benchLog struct {
	options benchOptions
	last    time.Time // the last slot
	random  *rand.Rand
	targets []benchTarget
}

// benchTarget is what stays the same in a target's checks.
type benchTarget struct {
	id, address, version string
	expires              time.Time
	baseUs               int32 // a hundredth of its usual answer
}

func newBenchLog(options benchOptions, last time.Time) *benchLog {
	l := &benchLog{options: options, last: last.Truncate(time.Millisecond).UTC(), random: rand.New(rand.NewPCG(benchSeed, benchSeed))}
	for i := range options.targets {
		l.targets = append(l.targets, benchTarget{
			id:      benchTargetID(i),
			address: fmt.Sprintf("203.0.113.%d:443", l.random.IntN(254)+1),
			version: fmt.Sprintf("%012x", l.random.Uint64N(1<<48)),
			expires: l.last.Add(time.Duration(l.random.IntN(90)) * 24 * time.Hour).Truncate(time.Second),
			baseUs:  200 + l.random.Int32N(2000),
		})
	}
	return l
}

func benchTargetID(n int) string { return fmt.Sprintf("shop-%05d.example.com", n) }

// event is the nth event in the order of time, counted from 0.
func (l *benchLog) event(n int) *event.CheckCompleted {
	target := &l.targets[n%len(l.targets)]
	before := time.Duration(float64(l.options.events-1-n) / float64(l.options.targets) * float64(l.options.interval))
	slot := l.last.Add(-before).Truncate(time.Millisecond)
	e := &event.CheckCompleted{
		EventID: schemas.EventID(target.id, "eu-west", slot), TargetID: target.id, Location: "eu-west", Slot: slot,
		StartedAt: slot.Add(time.Duration(l.random.IntN(5000)) * time.Microsecond), Outcome: event.OutcomeUp, Attempts: 1,
		RemoteAddress: &target.address, DNSUs: l.phase(target, 2), ConnectUs: l.phase(target, 10), TLSUs: l.phase(target, 25),
		FirstByteUs: l.phase(target, 60), CertificateExpiresAt: &target.expires, DefinitionVersion: target.version, Prober: "prober-1",
	}
	if l.random.IntN(benchDownOf) == 0 {
		text := "no answer within 10s: reading the response: context deadline exceeded"
		e.Outcome, e.Attempts, e.Failure, e.FailureText, e.TotalUs = event.OutcomeDown, 3, new(event.FailureTimeout), &text, new(int32(10_000_000))
		return e
	}
	e.StatusCode, e.HTTPVersion, e.BodyTruncated = new(int32(200)), new("2"), new(false)
	e.TransferUs, e.BodyBytes = l.phase(target, 3), new(10_000+l.random.Int32N(90_000))
	e.TotalUs = new(*e.DNSUs + *e.ConnectUs + *e.TLSUs + *e.FirstByteUs + *e.TransferUs)
	return e
}

// phase is a time of about a part of the target's usual answer, in hundredths.
func (l *benchLog) phase(target *benchTarget, hundredths int32) *int32 {
	us := target.baseUs * hundredths
	return new(us/2 + l.random.Int32N(us))
}

// produce writes the events into the topic, keyed as a prober keys them, and returns how many bytes a value has on average.
func (b *bench) produce(ctx context.Context) (meanBytes int64, err error) {
	schema := schemas.CheckCompleted(b.names.Topic)
	id, err := b.s.registry.Register(ctx, schema)
	if err != nil {
		return 0, err
	}
	b.registered = true
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.DefaultProduceTopic(b.names.Topic)}, b.s.kafka...)...)
	if err != nil {
		return 0, fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	var mu sync.Mutex
	var failure error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			if failure == nil {
				failure = err
			}
			cancel()
		}
	}
	encoder, log := schemas.NewEncoder(schema, id), newBenchLog(b.options, time.Now())
	var total int64
	for n := range b.options.events {
		e := log.event(n)
		value, err := encoder.AppendEncode(nil, e)
		if err != nil {
			return 0, err
		}
		total += int64(len(value))
		client.Produce(ctx, &kgo.Record{Key: []byte(e.TargetID), Value: value}, promise)
		if ctx.Err() != nil {
			break
		}
	}
	err = client.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	if err = cmp.Or(failure, err); err != nil {
		return 0, fmt.Errorf("writing events to %q: %w", b.names.Topic, failure)
	}
	return total / int64(b.options.events), nil
}
