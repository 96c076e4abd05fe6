package cli

import (
	"context"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"webcheck/gen/event"
	"webcheck/prober"
)

const (
	// latenessBits are the bits of a microsecond count that a bucket tells apart: three hundredths at most are lost.
	latenessBits = 5
	// latenessBuckets go to 2^40 µs, which is twelve days.
	latenessBuckets = (40 - latenessBits + 2) << latenessBits
)

// latenesses counts how far checks began from their slots, in microseconds. It may be used from several goroutines.
type latenesses struct {
	counts [latenessBuckets]atomic.Int64
	most   atomic.Int64
}

func (l *latenesses) add(us int64) {
	us = max(us, -us) // a check that begins early is as wrong as one that begins late
	l.counts[min(latenessBucket(us), latenessBuckets-1)].Add(1)
	for most := l.most.Load(); us > most && !l.most.CompareAndSwap(most, us); most = l.most.Load() {
	}
}

// latenessBucket is the place of a number that is not negative: each doubling has 2^latenessBits places.
func latenessBucket(us int64) int {
	shift := max(bits.Len64(uint64(us))-latenessBits-1, 0)
	return shift<<latenessBits + int(us>>shift)
}

// latenessLimit is the most that a bucket takes.
func latenessLimit(bucket int) int64 {
	shift := max(bucket>>latenessBits-1, 0)
	return int64(bucket-shift<<latenessBits+1)<<shift - 1
}

// share is the least number of milliseconds that so large a part of the checks is not above; 0 without any.
func (l *latenesses) share(part float64) (ms float64) {
	total := int64(0)
	for i := range l.counts {
		total += l.counts[i].Load()
	}
	left := int64(part * float64(total))
	for i := range l.counts {
		n := l.counts[i].Load()
		if left -= n; left < 0 || n > 0 && left == 0 {
			return float64(min(latenessLimit(i), l.most.Load())) / 1e3
		}
	}
	return 0
}

// witness counts events on their way to an emitter: those whose slots lie in the time that is measured, and all of them, for
// CPU time.
type witness struct {
	to prober.Emitter
	// from and until bound the slots, in milliseconds since 1970; until is 0 as long as it is open.
	from, until atomic.Int64

	handed                atomic.Int64 // all checks that ran, whenever
	checked, missed, down atomic.Int64
	late                  latenesses
}

// Emit counts e and passes it on.
func (w *witness) Emit(e *event.CheckCompleted, done func(error)) {
	w.see(e)
	w.to.Emit(e, done)
}

// Flush is the emitter's.
func (w *witness) Flush(ctx context.Context) error { return w.to.Flush(ctx) }

func (w *witness) see(e *event.CheckCompleted) {
	if e.Outcome != event.OutcomeMissed {
		w.handed.Add(1)
	}
	slot, until := e.Slot.UnixMilli(), w.until.Load()
	if from := w.from.Load(); from == 0 || slot < from || until != 0 && slot >= until {
		return
	}
	hangs := strings.HasPrefix(e.TargetID, hangingID)
	switch {
	case e.Outcome == event.OutcomeMissed:
		w.missed.Add(1)
	case hangs:
		w.checked.Add(1) // that it is down is what it is for
	default:
		w.checked.Add(1)
		w.late.add(e.StartedAt.Sub(e.Slot).Microseconds())
		if e.Outcome != event.OutcomeUp {
			w.down.Add(1)
		}
	}
}

// open and close bound the slots that count. A slot of this very millisecond may have its event already.
func (w *witness) open()  { w.from.Store(time.Now().UnixMilli() + 1) }
func (w *witness) close() { w.until.Store(time.Now().UnixMilli() + 1) }
