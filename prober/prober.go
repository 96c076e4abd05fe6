package prober

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
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
	config  Config
	check   func(context.Context, *Target, string) *event.CheckCompleted
	now     func() time.Time
	metrics *metrics
	ran     atomic.Bool
	follow  *follower // nil with fixed targets
	books   books

	// The scheduler's goroutine owns these.
	schedule schedule
	shares   map[int32]*share
	hosts    map[string]*bound
	checks   bound   // all that run
	debts    []*debt // each with at least one span
	waiting  int     // targets that wait for their turn
	released int64   // every slot until then was taken; in milliseconds since 1970
	batching batching

	changes chan func()   // what others ask of the scheduler
	ended   chan struct{} // closed when the scheduler takes no more of them

	finishedMu sync.Mutex
	finished   []*inHand // checks that have ended and are not reaped
	reap       chan struct{}
	eager      atomic.Bool // somebody waits for a check to end

	work    chan *inHand // for a goroutine that has nothing to do
	idle    atomic.Int64 // goroutines that have nothing to do
	workers sync.WaitGroup
}

// New returns a prober of c, or all of c's faults.
func New(c Config) (*Prober, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Prober{
		config: c, check: newCheckerOf(c).check, now: time.Now, shares: make(map[int32]*share), hosts: make(map[string]*bound),
		checks: bound{most: c.MaxInFlight}, changes: make(chan func()), ended: make(chan struct{}), reap: make(chan struct{}, 1), work: make(chan *inHand),
	}
	if p.metrics, err = newMetrics(c.Metrics, p.books.waiting); err != nil {
		return nil, fmt.Errorf("preparing the prober: %w", err)
	}
	if c.Follow != nil {
		p.follow = newFollower(*c.Follow, c, p)
	}
	return p, nil
}

// Ready says why the prober does not check, or not all that is its own; nil when it does. It may be called at any time.
func (p *Prober) Ready() error {
	if p.follow == nil {
		return nil
	}
	return p.follow.ready()
}

// Run checks until ctx ends, and then stops within ShutdownTimeout: it takes no more slots, lets running checks finish,
// cuts those that do not, writes everything, and leaves its targets to others. It returns nil when all events were written, and
// otherwise an [*UnwrittenError]. The only thing that may take longer is a regex on a body that is already read.
func (p *Prober) Run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errors.New("running the prober: it has run before")
	}
	p.config.Logger.Info("prober started", "targets", len(p.config.Targets), "location", p.config.Location, "prober", p.config.Name)
	// A check outlives ctx by design; cut ends those that outlive the stop.
	checks, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	p.released = p.now().UnixMilli()
	p.takeFixed()
	if p.follow == nil {
		p.runSchedule(ctx, checks)
		return p.stop(ctx, cut)
	}
	scheduling, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan error, 1)
	go func() {
		followed <- p.follow.run(scheduling)
		cancel() // without definitions there is nothing to go on with
	}()
	p.runSchedule(scheduling, checks)
	return errors.Join(<-followed, p.stop(ctx, cut))
}

// takeFixed plans the targets of the configuration.
func (p *Prober) takeFixed() {
	if len(p.config.Targets) == 0 {
		return
	}
	definitions := make([]defined, len(p.config.Targets))
	for i := range p.config.Targets {
		t := &p.config.Targets[i]
		definitions[i] = defined{target: t, version: t.Version()}
	}
	p.shares[fixed] = newShare(fixed)
	p.takeOver(p.shares[fixed], definitions, accounted{})
}

// clock is the moment up to which slots may have been taken: now, or later where the clock stepped back.
func (p *Prober) clock() int64 { return max(p.now().UnixMilli(), p.released) }

// start runs the check of w's slot in a goroutine beside the scheduler's.
func (p *Prober) start(ctx context.Context, w *planned, host *bound) {
	h := p.takeUp(w)
	h.host, w.running = host, true
	h.target, h.version = w.target, w.version // it may have waited while they changed
	p.checks.running++
	host.running++
	select {
	case p.work <- h:
	default:
		p.workers.Go(func() { p.workOn(ctx, h) })
	}
}

// maxIdleWorkers is how many goroutines stay for the next checks: their stacks have grown already, which is some percent of what a check
// costs. They are as many as may begin together, so that a prober of many targets does not keep hundreds.
const maxIdleWorkers = maxTogether

// workOn runs the check of h, and then others, until enough goroutines do nothing.
func (p *Prober) workOn(ctx context.Context, h *inHand) {
	for {
		p.hand(h, p.checkSafely(ctx, h))
		p.finish(h)
		if p.idle.Add(1) > maxIdleWorkers {
			p.idle.Add(-1)
			return
		}
		select {
		case h = <-p.work:
			p.idle.Add(-1)
		case <-p.ended:
			return
		}
	}
}

// finish reports that the check of h has ended.
func (p *Prober) finish(h *inHand) {
	p.finishedMu.Lock()
	p.finished = append(p.finished, h)
	p.finishedMu.Unlock()
	if p.eager.Load() {
		select {
		case p.reap <- struct{}{}:
		default:
		}
	}
}

// checkSafely turns a panic into an event: a bug of ours says nothing about the target, and must not end the others' checks.
func (p *Prober) checkSafely(ctx context.Context, h *inHand) (e *event.CheckCompleted) {
	defer func() {
		if cause := recover(); cause != nil {
			p.config.Logger.Error("check panicked", "target", h.target.ID, "err", cause, "stack", string(debug.Stack()))
			e = missed(h.target, h.version, p.now(), event.FailureOwnFault, fmt.Sprintf("the prober has a bug: %v", cause))
		}
	}()
	return p.check(ctx, h.target, h.version)
}

// hand gives the event of a slot to the emitter.
func (p *Prober) hand(h *inHand, e *event.CheckCompleted) {
	e.Slot, e.Location, e.Prober = moment(h.slot), p.config.Location, p.config.Name
	e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
	p.metrics.checked(e)
	p.books.handing(time.Now())
	p.config.Emit.Emit(e, func(err error) { p.answer(h, e, err) })
}

// answer notes what became of e. A failing emitter is said once, and once more when it works again.
func (p *Prober) answer(h *inHand, e *event.CheckCompleted, err error) {
	first, lost := p.books.answer(h, time.Now(), err)
	switch {
	case first:
		p.config.Logger.Error("event not written; further ones are only counted until one is", "target", e.TargetID, "event_id", e.EventID, "err", err)
	case lost > 0:
		p.config.Logger.Warn("events are written again; the slots whose results were lost follow as missed", "not_written", lost)
	}
	p.metrics.answered(err)
	if err == nil && p.config.OnCheck != nil {
		p.config.OnCheck(e)
	}
}
