package prober

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// Emitter takes events on their way out.
type Emitter interface {
	// Emit takes e, which nobody changes any more, and returns without waiting for the network. It calls done exactly once,
	// during Emit or later and from any goroutine: with nil when e is as safe as it gets, with the cause when it is given up.
	Emit(e *event.CheckCompleted, done func(error))
	// Flush returns nil after done was called for every event that Emit took before, and ctx's error when ctx ends first.
	// Nothing may be emitted meanwhile.
	Flush(ctx context.Context) error
}

// Prober checks targets on their schedule. Make one with [New] and run it once.
type Prober struct {
	config   Config
	check    func(context.Context, *Target, string) *event.CheckCompleted
	now      func() time.Time
	tally    tally
	ran      atomic.Bool
	schedule schedule
	// The scheduler's goroutine owns the schedule and inFlight; checks report here when they have ended. Its capacity is
	// MaxInFlight, so that none of them waits.
	finished chan *planned
	inFlight int
}

// New returns a prober of c, or all of c's faults.
func New(c Config) (*Prober, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Prober{
		config: c, check: newCheckerOf(c).check, now: time.Now,
		finished: make(chan *planned, c.MaxInFlight),
	}, nil
}

// Run checks until ctx ends, and then stops within ShutdownTimeout: it takes no more slots, lets running checks finish,
// cuts those that do not, and writes everything. It returns nil when all events were written, and otherwise an
// [*UnwrittenError]. The only thing that may take longer is a regex on a body that is already read.
func (p *Prober) Run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errors.New("running the prober: it has run before")
	}
	p.config.Logger.Info("prober started", "targets", len(p.config.Targets), "location", p.config.Location, "prober", p.config.Name)
	// A check outlives ctx by design; cut ends those that outlive the stop.
	checks, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	p.schedule = newSchedule(p.config, p.now().UnixMilli())
	p.runSchedule(ctx, checks)
	return p.stop(ctx, cut)
}

// start runs the check of w's slot in a goroutine of its own.
func (p *Prober) start(ctx context.Context, w *planned) {
	w.running = true
	p.inFlight++
	slot := w.slot
	go func() {
		p.hand(slot, p.checkSafely(ctx, w))
		p.finished <- w
	}()
}

// checkSafely turns a panic into an event: a bug of ours says nothing about the target, and must not end the others' checks.
func (p *Prober) checkSafely(ctx context.Context, w *planned) (e *event.CheckCompleted) {
	defer func() {
		if cause := recover(); cause != nil {
			p.config.Logger.Error("check panicked", "target", w.target.ID, "err", cause, "stack", string(debug.Stack()))
			e = missed(w.target, w.version, p.now(), event.FailureOwnFault, fmt.Sprintf("the prober has a bug: %v", cause))
		}
	}()
	return p.check(ctx, w.target, w.version)
}

// miss accounts for w's slot without a check.
func (p *Prober) miss(w *planned, reason event.Failure, text string) {
	p.hand(w.slot, missed(w.target, w.version, p.now(), reason, text))
}

// hand gives the event of a slot to the emitter.
func (p *Prober) hand(slot int64, e *event.CheckCompleted) {
	e.Slot, e.Location, e.Prober = moment(slot), p.config.Location, p.config.Name
	e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
	p.tally.hand(time.Now())
	p.config.Emit.Emit(e, func(err error) { p.settle(e, err) })
}

// settle counts what became of e. A failing emitter is said once, and once more when it works again.
func (p *Prober) settle(e *event.CheckCompleted, err error) {
	first, lost := p.tally.settle(time.Now(), err)
	switch {
	case first:
		p.config.Logger.Error("event not written; further ones are only counted until one is", "target", e.TargetID, "event_id", e.EventID, "err", err)
	case lost > 0:
		p.config.Logger.Warn("events are written again", "not_written", lost)
	}
	if err == nil && p.config.OnCheck != nil {
		p.config.OnCheck(e)
	}
}
