package prober

import "time"

const (
	// maxBatch is how much later than its moment a slot may be begun so that it shares a wake-up of the process with others. At
	// 800 checks a second waking up for each costs more than a third of the prober's CPU.
	maxBatch = 4 * time.Millisecond
	// batchStep is by how much a batch grows a turn, and behind how late a wake-up may be before the process is taken to be busy:
	// a burst then only lengthens the queue for the CPU, so batches are halved.
	batchStep = 250 * time.Microsecond
	behind    = time.Millisecond
)

// batching decides how long the scheduler lets due slots gather before it wakes up for them.
type batching struct {
	batch   time.Duration
	planned time.Time // wake-up
	last    time.Time // turn
}

// begin notes that a turn begins.
func (b *batching) begin(now time.Time) {
	switch late := now.Sub(b.planned); {
	case b.planned.IsZero():
	case late > behind:
		b.batch /= 2
	default:
		b.batch = min(b.batch+batchStep, maxBatch)
	}
	b.planned, b.last = time.Time{}, now
}

// until returns how long to sleep when the next slot is due at that moment.
func (b *batching) until(now, next time.Time) time.Duration {
	if gathered := b.last.Add(b.batch); next.Before(gathered) {
		next = gathered
	}
	b.planned = now.Add(next.Sub(now))
	return next.Sub(now)
}
