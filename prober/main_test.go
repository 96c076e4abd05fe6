package prober

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
)

func TestMain(m *testing.M) {
	playEmitter() // in a process that a test kills
	// bbolt panics over the first fault of a damaged file, which a spool catches, and leaves behind who looked for more.
	testservices.Main(m, goleak.IgnoreAnyFunction("go.etcd.io/bbolt.(*DB).freepages.func2"))
}

// every returns a target with that interval and the timeout that belongs to it.
func every(id string, interval time.Duration) Target {
	target := NewTarget(id, "http://example.invalid/")
	target.Interval, target.Timeout = interval, DefaultTimeoutFor(interval)
	return target
}

// recorder is an Emitter that keeps events and answers as the test says.
type recorder struct {
	mu      sync.Mutex
	events  []*event.CheckCompleted
	pending int
	settled chan struct{}
	// answer says when and how an event is answered; nil means at once and well. A negative delay means never.
	answer func(e *event.CheckCompleted) (time.Duration, error)
}

func newRecorder() *recorder { return &recorder{settled: make(chan struct{}, 1)} }

func (r *recorder) Emit(e *event.CheckCompleted, done func(error)) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.pending++
	r.mu.Unlock()
	var delay time.Duration
	var err error
	if r.answer != nil {
		delay, err = r.answer(e)
	}
	finish := func() {
		done(err)
		r.mu.Lock()
		r.pending--
		r.mu.Unlock()
		select {
		case r.settled <- struct{}{}:
		default:
		}
	}
	switch {
	case delay == 0:
		finish()
	case delay > 0:
		time.AfterFunc(delay, finish)
	}
}

func (r *recorder) Flush(ctx context.Context) error {
	for {
		r.mu.Lock()
		pending := r.pending
		r.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-r.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *recorder) all() []*event.CheckCompleted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*event.CheckCompleted(nil), r.events...)
}

// newTestProber returns a prober at "here" whose checks are the test's.
func newTestProber(t testing.TB, c Config, check func(context.Context, *Target) *event.CheckCompleted) *Prober {
	t.Helper()
	c.Location, c.Name = "here", cmp.Or(c.Name, "prober-1")
	c.MaxPerHost = cmp.Or(c.MaxPerHost, c.MaxInFlight, DefaultMaxInFlight) // all of a test's targets are on one host
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.check = func(ctx context.Context, target *Target, version string) *event.CheckCompleted {
		e := check(ctx, target)
		e.DefinitionVersion = version
		return e
	}
	return p
}

// up is the event of a check that went well.
func up(t *Target) *event.CheckCompleted {
	return &event.CheckCompleted{TargetID: t.ID, StartedAt: atMicros(time.Now()), Outcome: event.OutcomeUp, Attempts: 1}
}

// taking is a check that goes well after d, or is cut.
func taking(d time.Duration) func(context.Context, *Target) *event.CheckCompleted {
	return func(ctx context.Context, t *Target) *event.CheckCompleted {
		e := up(t)
		select {
		case <-time.After(d):
			return e
		case <-ctx.Done():
			return missed(t, "", e.StartedAt, event.FailureShutdown, "cut")
		}
	}
}

// text shows an optional value of an event.
func text[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
