package processor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Bounds of publishing.
const (
	// publishEvery is how often is looked for what another processor recorded and did not get to publish.
	publishEvery = 15 * time.Second
	// publishTimeout keeps rows from being locked for longer when Kafka is away.
	publishTimeout = 10 * time.Second
	// publishMaxBytes is over the largest record a broker takes unless told otherwise, with the headers that a letter adds:
	// the broker decides what is too large.
	publishMaxBytes = 32 << 20
)

// publisher brings what a batch has left in PostgreSQL to Kafka: at least once.
type publisher struct {
	// some publishes the oldest of what there is, and says whether there may be more.
	some   func(ctx context.Context, client *kgo.Client) (more bool, err error)
	doing  string // what an outage holds up
	kafka  []kgo.Opt
	outage outage
	stop   time.Duration
	woken  chan struct{}
}

func newPublisher(cfg Config, metrics *metrics, doing, client string, some func(context.Context, *kgo.Client) (bool, error)) *publisher {
	return &publisher{
		some:   some,
		doing:  doing,
		kafka:  append(slices.Clone(cfg.Kafka), KafkaMetrics(cfg.Metrics, client)),
		outage: metrics.outage(cfg, doing),
		stop:   cfg.StopTimeout,
		woken:  make(chan struct{}, 1),
	}
}

// wake says that there is something to publish.
func (p *publisher) wake() {
	select {
	case p.woken <- struct{}{}:
	default: // it has not seen the last wake yet
	}
}

// run publishes until ctx ends. What it has not published then waits in PostgreSQL for the next run of any processor.
func (p *publisher) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(slices.Clone(p.kafka), kgo.ProducerBatchMaxBytes(publishMaxBytes),
		kgo.AllowIdempotentProduceCancellation())...) // a record may be twice in its topic, and a stop may not wait for Kafka
	if err != nil {
		return &PermanentError{Err: fmt.Errorf("making the Kafka client for %s: %w", p.doing, err)}
	}
	defer client.Close()
	pauses := newPauses()
	for {
		wait := publishEvery
		err := p.publishAll(ctx, client)
		switch {
		case err == nil:
			p.outage.end()
			pauses.Reset()
		case ctx.Err() != nil:
			return nil
		default:
			p.outage.begin(err)
			wait = pauses.NextBackOff()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-p.woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (p *publisher) publishAll(ctx context.Context, client *kgo.Client) error {
	for {
		more, err := p.publishSome(ctx, client)
		if !more || err != nil || ctx.Err() != nil {
			return err
		}
	}
}

func (p *publisher) publishSome(ctx context.Context, client *kgo.Client) (more bool, err error) {
	ctx, cancel := outlive(ctx, p.stop)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, publishTimeout)
	defer cancelTimeout()
	return p.some(ctx, client)
}
