package processor

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outage says trouble once when it begins and once when it is over, however often an attempt fails in between.
type outage struct {
	logger  *slog.Logger
	doing   string           // what is held up: "processing"
	waiting prometheus.Gauge // of outages that last; may be nil

	mu    sync.Mutex
	since time.Time
	err   error // with which it began
}

// begin is called at each failed attempt.
func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.logger.Debug("still waiting", "doing", o.doing, "error", err)
		return
	}
	o.since, o.err = time.Now(), err
	if o.waiting != nil {
		o.waiting.Inc()
	}
	o.logger.Warn("waiting, will go on where it stopped", "doing", o.doing, "error", err)
}

// end is called when something has worked.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	o.logger.Info("going on", "doing", o.doing, "waited", time.Since(o.since).Round(time.Millisecond))
	o.since, o.err = time.Time{}, nil
	if o.waiting != nil {
		o.waiting.Dec()
	}
}

// trouble gives the error with which the outage began, nil when there is none.
func (o *outage) trouble() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// endUnless is end, but for an outage that began with such an error.
func (o *outage) endUnless(cause error) {
	o.mu.Lock()
	began := o.err
	o.mu.Unlock()
	if !errors.Is(began, cause) {
		o.end()
	}
}
