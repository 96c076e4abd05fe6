package prober

import (
	"context"
	"fmt"
	"time"

	"webcheck/gen/event"
)

// checksShare is the part of ShutdownTimeout that running checks may use; the rest is kept for writing their events.
const checksShare = 0.75

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
		return fmt.Errorf("stopping the prober: %d events were not written: %w", unwritten, err)
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
