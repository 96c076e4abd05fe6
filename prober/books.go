package prober

import (
	"sync"
	"time"
)

// acknowledgeWithin is how long a store may acknowledge nothing before a person is told: longer than the election of a
// broker's new leader, shorter than people take to ask.
const acknowledgeWithin = 5 * time.Second

// definedSlot is a slot and the definition under which it is accounted for. Numbers are milliseconds, since 1970.
type definedSlot struct {
	planned  *planned
	target   *Target
	version  string
	interval int64
	slot     int64
}

// inHand is a slot that is being accounted for: its turn has come, and its event is not safe yet.
type inHand struct {
	definedSlot
	host  *bound // of the check; nil where there is none
	cause error  // why the event was given up
}

// books hold the slots in hand, and count the events on their way to the store.
type books struct {
	mu   sync.Mutex
	open map[*inHand]struct{}
	lost []*inHand // given up, still open

	unanswered   int // handed to the emitter, without an answer
	lostInARow   int
	lastLoss     error
	waitingSince time.Time // of the last acknowledgement, or of the first event after a pause
	saidWaiting  bool
}

// take opens a slot.
func (b *books) take(s definedSlot) *inHand {
	h := &inHand{definedSlot: s}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = make(map[*inHand]struct{})
	}
	b.open[h] = struct{}{}
	s.planned.share.open++
	return h
}

// close takes h out; the caller holds mu.
func (b *books) close(h *inHand) {
	delete(b.open, h)
	share := h.planned.share
	if share.open--; share.open == 0 && share.drained != nil {
		close(share.drained)
		share.drained = nil
	}
}

// cancel closes a slot that is not accounted for here.
func (b *books) cancel(h *inHand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close(h)
}

// handing counts an event that the emitter is given.
func (b *books) handing(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unanswered == 0 {
		b.waitingSince = now
	}
	b.unanswered++
}

// answer notes what became of the event of h. First is true for the first loss in a row; lostBefore is the number of losses that
// a written event ended.
func (b *books) answer(h *inHand, now time.Time, err error) (first bool, lostBefore int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unanswered--
	if err != nil {
		h.cause = err
		b.lost = append(b.lost, h)
		b.lostInARow++
		b.lastLoss = err
		return b.lostInARow == 1, 0
	}
	b.close(h)
	b.waitingSince = now
	lostBefore, b.lostInARow = b.lostInARow, 0
	return false, lostBefore
}

// takeLost returns the slots whose events were given up since the last call, and closes them.
func (b *books) takeLost() []*inHand {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := b.lost
	b.lost = nil
	for _, h := range lost {
		b.close(h)
	}
	return lost
}

// state is the number of events without an answer, and whether the last answer was a loss.
func (b *books) state() (unanswered int, failing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unanswered, b.lostInARow > 0
}

// waiting is the number of events without an answer, as a metric.
func (b *books) waiting() float64 {
	n, _ := b.state()
	return float64(n)
}

// remaining is the number of slots in hand, and why the last event that was given up was.
func (b *books) remaining() (open int, lastLoss error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open), b.lastLoss
}

// drained is closed when share, which no slots are begun of any more, has none in hand.
func (b *books) drained(s *share) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	done := s.drained
	if s.open == 0 {
		close(done)
		s.drained = nil
	}
	return done
}

// silence looks whether the store has gone silent or has come back since the last look, which is said once each.
func (b *books) silence(now time.Time) (gone, back bool, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	silent := b.unanswered > 0 && now.Sub(b.waitingSince) > acknowledgeWithin
	gone, back = silent && !b.saidWaiting, !silent && b.saidWaiting
	b.saidWaiting = silent
	return gone, back, b.unanswered
}
