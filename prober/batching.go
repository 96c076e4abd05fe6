package prober

import "time"

const (
	// maxBatch and the 50th part of its interval are how much later than its moment a slot may be begun, so that it shares a wake-up
	// of the process with others. A process that wakes up for each of 800 checks a second spends most of its CPU on waking up: Go's
	// sysmon alone looks around every 20 µs for a millisecond after each.
	maxBatch      = 20 * time.Millisecond
	batchInterval = 50
	// batchStep is by how much the pause grows a turn. It is halved when a wake-up is later than behind and than the 8th part of what
	// slots waited for it anyway, because the process is busy then and a burst only lengthens the queue for the CPU, and when a turn
	// begins more than maxTogether checks, for the last of them.
	batchStep   = time.Millisecond
	behind      = time.Millisecond
	behindPause = 8
	maxTogether = 32
)

// batching decides how long the scheduler lets due slots gather before it wakes up for them.
type batching struct {
	pause   time.Duration // from a turn to the next one at least
	planned time.Time     // wake-up
	behind  time.Duration // how much later it may be
	last    time.Time     // turn
}

// begin notes that a turn begins.
func (b *batching) begin(now time.Time) {
	switch {
	case b.planned.IsZero():
	case now.Sub(b.planned) > b.behind:
		b.pause /= 2
	default:
		b.pause = min(b.pause+batchStep, maxBatch)
	}
	b.planned, b.last = time.Time{}, now
}

// began notes how many checks the turn began.
func (b *batching) began(checks int) {
	if checks > maxTogether {
		b.pause /= 2
	}
}

// until returns how long to sleep when the next slot is due at that moment, and its target's interval is so long.
func (b *batching) until(now, next time.Time, interval time.Duration) time.Duration {
	pause := min(b.pause, interval/batchInterval)
	if gathered := b.last.Add(pause); next.Before(gathered) {
		next = gathered
	}
	b.planned, b.behind = next, max(behind, pause/behindPause)
	return next.Sub(now)
}
