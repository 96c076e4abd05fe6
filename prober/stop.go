package prober

import (
	"context"
	"fmt"
	"time"

	"webcheck/gen/event"
)

// checksShare is the part of ShutdownTimeout that running checks may use; the rest is kept for writing their events.
const checksShare = 0.75

// UnwrittenError is what Run ends with when slots that have passed have no event that is known to be safe.
type UnwrittenError struct {
	// Count is the number of those slots.
	Count int
	// Err is why the last event was not written.
	Err error
}

// Error has the number and the cause.
func (e *UnwrittenError) Error() string {
	return fmt.Sprintf("stopping the prober: %d events were not written: %v", e.Count, e.Err)
}

// Unwrap returns the cause.
func (e *UnwrittenError) Unwrap() error { return e.Err }

// Hint says what a person can do.
func (e *UnwrittenError) Hint() string {
	return "their slots have no result, and a prober that follows Kafka's definitions writes them as missed when it starts; look whether Kafka can be reached, and give a longer shutdown timeout if it is slow"
}

// stop accounts for the slots that are due and not begun, waits for the running checks, cuts those that take too long, and
// has everything written, all within ShutdownTimeout. Then it leaves the targets to others.
func (p *Prober) stop(ctx context.Context, cut context.CancelFunc) error {
	p.config.Logger.Info("prober stopping", "running", p.checks.running)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config.ShutdownTimeout)
	defer cancel()
	p.abandonDue()
	patience := time.AfterFunc(time.Duration(checksShare*float64(p.config.ShutdownTimeout)), cut)
	defer patience.Stop()
	p.awaitChecks()
	p.workers.Wait()
	err := p.flush(ctx)
	if p.follow != nil {
		p.follow.leave(ctx)
	}
	open, lastLoss := p.books.remaining()
	if err == nil {
		err = lastLoss
	}
	if unwritten := open + p.owed(); unwritten > 0 {
		return &UnwrittenError{Count: unwritten, Err: err}
	}
	p.config.Logger.Info("prober stopped")
	return nil
}

// flush has everything written that was handed over, and the slots that are owed.
func (p *Prober) flush(ctx context.Context) error {
	for {
		p.takeOverLost()
		more := p.repay()
		if err := p.config.Emit.Flush(ctx); err != nil || !more {
			p.takeOverLost()
			return err
		}
	}
}

// abandonDue writes the slots that became due before the stop and were not begun as missed.
func (p *Prober) abandonDue() {
	now := p.now().UnixMilli()
	for _, w := range p.schedule {
		if now-w.slot >= w.interval {
			p.skip(w, now)
		}
		if w.slot <= now || w.hold != nil { // the clock may have stepped back since
			p.miss(w, event.FailureShutdown, "the prober stopped before this slot's check began")
			w.advance()
		}
	}
	p.released = max(p.released, now)
}

// awaitChecks returns when no check runs.
func (p *Prober) awaitChecks() {
	for p.eager.Store(true); ; <-p.reap {
		if p.reapAll(); p.checks.running == 0 {
			return
		}
	}
}
