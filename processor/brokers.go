package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokers is a hook of the Kafka client, which retries in silence: it says once that a broker can't be reached, and once
// that it can again.
type brokers struct {
	logger  *slog.Logger
	waiting prometheus.Gauge // of brokers that can't be reached; may be nil

	mu      sync.Mutex
	seen    map[string]*outage   // by host:port, so that a seed and the broker it turns out to be are one
	reached map[string]time.Time // when each answered last
}

// newBrokers makes the hook; waiting, which may be nil, shows how many can't be reached.
func newBrokers(logger *slog.Logger, waiting prometheus.Gauge) *brokers {
	return &brokers{logger: logger, waiting: waiting, seen: make(map[string]*outage), reached: make(map[string]time.Time)}
}

// OnBrokerConnect is called by the client after each attempt to connect (kgo.HookBrokerConnect).
func (b *brokers) OnBrokerConnect(meta kgo.BrokerMetadata, took time.Duration, _ net.Conn, err error) {
	address := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	began := time.Now().Add(-took)
	b.mu.Lock()
	defer b.mu.Unlock()
	at, known := b.seen[address]
	if !known {
		at = &outage{logger: b.logger, doing: "reaching Kafka at " + address, waiting: b.waiting}
		b.seen[address] = at
	}
	switch {
	case err == nil:
		b.reached[address] = time.Now()
		at.end()
	case began.Before(b.reached[address]):
		// Of several attempts under way at once another has succeeded since: this one says nothing of now.
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		// The client was being closed.
	default:
		at.begin(err)
	}
}

// trouble gives an error when none of the brokers that were tried can be reached: with one of them the client goes on.
func (b *brokers) trouble() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var trouble error
	for address, at := range b.seen {
		err := at.trouble()
		if err == nil {
			return nil
		}
		trouble = fmt.Errorf("reaching Kafka at %s: %w", address, err)
	}
	return trouble
}
