package processor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// brokers is a hook of the Kafka client, which retries in silence: it says once that a broker can't be reached, and once
// that it can again.
type brokers struct {
	logger *slog.Logger

	mu      sync.Mutex
	away    map[string]*outage   // by host:port, so that a seed and the broker it turns out to be are one
	reached map[string]time.Time // when each answered last
}

func newBrokers(logger *slog.Logger) *brokers {
	return &brokers{logger: logger, away: make(map[string]*outage), reached: make(map[string]time.Time)}
}

// OnBrokerConnect is called by the client after each attempt to connect (kgo.HookBrokerConnect).
func (b *brokers) OnBrokerConnect(meta kgo.BrokerMetadata, took time.Duration, _ net.Conn, err error) {
	address := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	began := time.Now().Add(-took)
	b.mu.Lock()
	defer b.mu.Unlock()
	at, known := b.away[address]
	switch {
	case err == nil:
		b.reached[address] = time.Now()
		if known {
			at.end()
		}
	case began.Before(b.reached[address]):
		// Of several attempts under way at once another has succeeded since: this one says nothing of now.
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		// Nothing was wrong, or the client was being closed.
	case !known:
		at = &outage{logger: b.logger, doing: "reaching Kafka at " + address}
		b.away[address] = at
		at.begin(err)
	default:
		at.begin(err)
	}
}
