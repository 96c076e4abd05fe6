package prober

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// DefaultSpoolAfter is how long an event may wait for Kafka before it goes to disk: longer than most elections of a leader.
	DefaultSpoolAfter = 2 * time.Second
	// DefaultSpoolBytes keeps some five million events, or half a day of a hundred a second.
	DefaultSpoolBytes = 1 << 30
	// maxHeld is how many events may wait for Kafka: 2 s at 5,000 a second, some 5 MB.
	maxHeld = 10_000
	// maxQueued is how many more events may wait for a disk that is slow or full, some 25 MB.
	maxQueued = 50_000
)

var (
	// ErrSpoolFull is in the chain of what ends an event for which there was no room on disk.
	ErrSpoolFull = errors.New("the spool is full")
	// ErrEmitterClosed is in the chain of what ends an event that comes after [SpoolEmitter.Close].
	ErrEmitterClosed = errors.New("the emitter is closed")
)

// KafkaOpts returns the options that a client needs for what [SpoolEmitter] promises, beside those that say where Kafka
// is: acknowledged by all in-sync replicas, each event once and in order (the idempotent producer), sent again without
// end. What it buffers is bounded by the emitter.
func KafkaOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordRetries(math.MaxInt),
		kgo.UnknownTopicRetries(-1), // a broker that has just started may not know its topics yet
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(2 * maxHeld),
	}
}

// SpoolConfig is what a [SpoolEmitter] needs.
type SpoolConfig struct {
	// Client must have been made with [KafkaOpts]; it stays the caller's to close, after the emitter. Required.
	Client *kgo.Client
	// Topic is [schemas.TopicChecks] except for those who have a topic of their own on a shared broker. Required.
	Topic string
	// Encoder makes an event's bytes, which go to disk as they go to Kafka. Required.
	Encoder *schemas.Encoder
	// Dir is the spool's directory, of one prober alone. Required.
	Dir string
	// MaxBytes bounds the values of events on disk, in bytes; 0 means DefaultSpoolBytes. The file is up to a half larger.
	MaxBytes int64
	// After is how long an event may wait for Kafka before it goes to disk; 0 means DefaultSpoolAfter.
	After time.Duration
	// Logger takes what people should know; nil discards it.
	Logger *slog.Logger
}

// SpoolMode is the way that events take.
type SpoolMode string

// The ways that events take.
const (
	// SpoolIdle is to Kafka, with nothing on disk.
	SpoolIdle SpoolMode = "idle"
	// SpoolFilling is to disk, while Kafka acknowledges nothing.
	SpoolFilling SpoolMode = "filling"
	// SpoolDraining is to disk, while what is there goes to Kafka in order.
	SpoolDraining SpoolMode = "draining"
)

// SpoolState is what there is to know of a [SpoolEmitter] at one moment.
type SpoolState struct {
	Mode SpoolMode
	// Records and Bytes are what is on disk, the latter of values.
	Records int
	Bytes   int64
	// Unanswered is the number of events that are neither acknowledged, nor on disk, nor given up.
	Unanswered int
	// ProduceErrors counts events that Kafka or its client answered with an error, since the start; most are sent again.
	ProduceErrors int64
	// Refused counts those of them that Kafka will never take, and that are given up.
	Refused int64
	// Lost counts events for which there was no room, neither on disk nor in memory, since the start.
	Lost int64
}

// SpoolEmitter writes events to a topic, keyed with the target's id, so that those of a target stay in order. While Kafka
// does not acknowledge, they go to a bounded spool on disk instead, also those that Kafka's client still has, and from there
// to Kafka, oldest first, in this life or the next. An event is done when Kafka or the disk has it. It may reach Kafka twice, and
// no younger one of its target is there before it, unless a broker refused it alone with an error that the client does not
// repeat, as of rights that came and went.
type SpoolEmitter struct {
	config SpoolConfig
	disk   *spool // of the goroutine of run
	// maxHeld and maxQueued are the constants, except in tests.
	maxHeld, maxQueued int

	wake  chan struct{} // something for run to do
	stop  chan struct{} // closed by Close
	ended chan struct{} // closed by run

	mu     sync.Mutex
	state  SpoolState
	closed bool
	order  uint64      // of the last event; the disk's numbers are smaller
	held   heldList    // what the client has, oldest first
	queue  []*outgoing // what waits for the disk, oldest first; none in mode idle
	queued int64       // bytes of the queue's values
	remove []uint64    // what is on disk and in Kafka
	sent   uint64      // the number on disk up to which all was handed to the client
	// The loop is patient with a disk and a Kafka that said no.
	diskErr             error
	diskAgain, sendOnce time.Time
	committed           time.Time
	hurry               bool          // Flush waits
	idle                chan struct{} // of Flush; closed when no event is unanswered
	since               time.Time     // when the mode ceased to be idle
	cause               error         // why it did; nil when it is said
	drained             int           // events from the disk that are in Kafka, since then
}

func (c SpoolConfig) withDefaults() SpoolConfig {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultSpoolBytes
	}
	if c.After == 0 {
		c.After = DefaultSpoolAfter
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// NewSpoolEmitter returns an emitter, which first sends what an earlier one has left on disk. The error is a [*SpoolError].
func NewSpoolEmitter(c SpoolConfig) (*SpoolEmitter, error) {
	c = c.withDefaults()
	disk, err := openSpool(c.Dir, c.Logger)
	if err != nil {
		return nil, err
	}
	s := newSpoolEmitter(c, disk)
	go s.run()
	return s, nil
}

// newSpoolEmitter returns an emitter that does not run yet.
func newSpoolEmitter(c SpoolConfig, disk *spool) *SpoolEmitter {
	s := &SpoolEmitter{
		config: c, disk: disk, maxHeld: maxHeld, maxQueued: maxQueued, order: 1 << 62, // after all that is on disk
		wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		state: SpoolState{Mode: SpoolIdle, Records: disk.records, Bytes: disk.bytes},
	}
	if disk.records > 0 {
		c.Logger.Info("the spool has events of an earlier run, which are sent first", "events", disk.records, "bytes", disk.bytes)
		s.state.Mode, s.since = SpoolDraining, time.Now()
	}
	return s
}

// Emit hands e to Kafka's client, or queues it for the disk, and never waits. Done is called with [ErrSpoolFull] in its chain
// when there is no room, and with [ErrEmitterClosed] after Close.
func (s *SpoolEmitter) Emit(e *event.CheckCompleted, done func(error)) {
	value, err := s.config.Encoder.AppendEncode(nil, e)
	if err != nil {
		done(err)
		return
	}
	o := &outgoing{spooled: spooled{key: []byte(e.TargetID), value: value}, done: done, taken: time.Now()}
	s.mu.Lock()
	s.state.Unanswered++
	direct, err := s.take(o)
	if errors.Is(err, ErrSpoolFull) {
		s.state.Lost++
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.finish(done, fmt.Errorf("keeping event %q: %w", e.EventID, err))
	case direct:
		s.produce(o)
	}
}

// take decides o's way; direct is the one through the client.
func (s *SpoolEmitter) take(o *outgoing) (direct bool, err error) {
	if s.closed {
		return false, ErrEmitterClosed
	}
	s.order++
	o.order = s.order
	if s.state.Mode == SpoolIdle && s.held.n >= s.maxHeld {
		s.fill(fmt.Errorf("%d events wait for an acknowledgement", s.held.n))
	}
	switch {
	case s.state.Mode == SpoolIdle:
		s.held.push(o)
		return true, nil
	case s.state.Bytes+s.queued+int64(len(o.value)) > s.config.MaxBytes:
		return false, ErrSpoolFull
	case len(s.queue) >= s.maxQueued+s.maxHeld && s.diskErr != nil:
		return false, fmt.Errorf("%w: %w", ErrSpoolFull, s.diskErr)
	case len(s.queue) >= s.maxQueued+s.maxHeld:
		return false, fmt.Errorf("%w: %d events wait for the disk", ErrSpoolFull, len(s.queue))
	}
	s.enqueue(o)
	if len(s.queue) == commitRecords {
		s.signal()
	}
	return false, nil
}

// Flush waits until every event is acknowledged, on disk or given up, or ctx ends. Half of the time that ctx leaves, and at
// most [SpoolConfig.After], belongs to Kafka; then what it has not acknowledged goes to disk.
func (s *SpoolEmitter) Flush(ctx context.Context) error {
	s.mu.Lock()
	if s.state.Unanswered == 0 {
		s.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	s.idle, s.hurry = idle, true
	s.mu.Unlock()
	s.signal()
	patience := s.config.After
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	timer := time.AfterFunc(patience, func() { s.turnToDisk(errStopping) })
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flushing events to %q and %q: %w", s.config.Topic, s.config.Dir, ctx.Err())
	}
}

// Close writes what the client has not got acknowledged to disk, gives up what finds no room there, and lets the next prober have
// the spool. It does not wait for Kafka.
func (s *SpoolEmitter) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed {
		close(s.stop)
	}
	<-s.ended
	if closed {
		return nil
	}
	return s.disk.close()
}

// State returns what there is to know now.
func (s *SpoolEmitter) State() SpoolState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// signal wakes run.
func (s *SpoolEmitter) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// finish tells the one who emitted an event what became of it.
func (s *SpoolEmitter) finish(done func(error), err error) {
	done(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Unanswered--; s.state.Unanswered == 0 && s.idle != nil {
		close(s.idle)
		s.idle, s.hurry = nil, false
	}
}
