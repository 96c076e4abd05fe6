package prober

import (
	"context"
	"fmt"
	"time"

	"webcheck/gen/event"
)

// checksShare is the part of ShutdownTimeout that running checks may use; the rest is kept for writing their events.
const checksShare = 0.75

// UnwrittenError is what Run ends with when events were lost, or may have been.
type UnwrittenError struct {
	// Count is the number of events that are not known to be written, since the start.
	Count int
	// Err is why the last of them was not.
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
	return "their slots stay without a result; look whether Kafka can be reached, and give a longer shutdown timeout if it is slow"
}

// stop accounts for the slots that are due and not begun, waits for the running checks, cuts those that take too long, and
// has everything written, all within ShutdownTimeout.
func (p *Prober) stop(ctx context.Context, cut context.CancelFunc) error {
	p.config.Logger.Info("prober stopping", "running", p.inFlight)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config.ShutdownTimeout)
	defer cancel()
	p.abandonDue()
	patience := time.AfterFunc(time.Duration(checksShare*float64(p.config.ShutdownTimeout)), cut)
	defer patience.Stop()
	for ; p.inFlight > 0; p.inFlight-- {
		<-p.finished
	}
	err := p.config.Emit.Flush(ctx)
	unwritten, lastLoss := p.tally.unwritten()
	if err == nil {
		err = lastLoss
	}
	if unwritten > 0 {
		return &UnwrittenError{Count: unwritten, Err: err}
	}
	p.config.Logger.Info("prober stopped")
	return nil
}

// abandonDue writes the slots that became due before the stop and were not begun as missed.
func (p *Prober) abandonDue() {
	now := p.now().UnixMilli()
	for _, w := range p.schedule {
		if tooMany := (now-w.slot)/w.interval - MaxCatchUp; tooMany > 0 {
			w.advance(tooMany)
		}
		for ; w.slot <= now; w.advance(1) {
			p.miss(w, event.FailureShutdown, "the prober stopped before this slot's check began")
		}
	}
}
