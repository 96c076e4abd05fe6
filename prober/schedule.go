package prober

import (
	"container/heap"
	"time"
)

const (
	// maxGrace and the tenth of an interval in [planned.grace] bound how long a slot waits for its turn. A target that hangs for
	// a timeout as long as its interval ends a few milliseconds after its next slot is due.
	maxGrace = time.Second
	// maxSpread is the time within which slots that are still open at a take-over are begun, and no start is a storm.
	maxSpread = 5 * time.Second
)

// planned is a target and its next slot. Numbers are milliseconds since 1970.
type planned struct {
	rhythm
	target  *Target
	version string
	unable  string // why this build cannot check the target; empty when it can
	share   *share
	slot    int64   // the next one to account for
	due     int64   // when to begin it: the slot, or later where it was open at a take-over
	wake    int64   // when to look at it: due, or later while it waits for its turn
	hold    *inHand // of the slot while it waits
	waits   bool    // for its turn
	line    *bound  // in which it waits, if in any
	host    string  // of the target
	running bool    // a check of an earlier slot runs
	debt    *debt   // slots that will be written as missed; nil when there are none
	index   int     // in the schedule; -1 when it is in none
}

// grace is how long the slot may wait for its turn.
func (w *planned) grace() int64 { return min(w.interval/10, maxGrace.Milliseconds()) }

// hasRoom reports whether a check of slot that begins at that moment is likely done when the next slot is due: the rest of the
// slot is as long as the timeout, or half of an interval that is not much longer than the timeout.
func (w *planned) hasRoom(slot, at int64) bool {
	return slot+w.interval-at >= min(w.target.Timeout.Milliseconds(), w.interval/2)
}

// advance goes on to the next slot.
func (w *planned) advance() { w.goTo(w.slot + w.interval) }

// goTo makes slot the next one, begun when it is due.
func (w *planned) goTo(slot int64) { w.slot, w.due, w.wake = slot, slot, slot }

// definition is that of w now, with a slot.
func (w *planned) definition(slot int64) definedSlot {
	return definedSlot{planned: w, target: w.target, version: w.version, interval: w.interval, slot: slot}
}

// schedule is a heap of targets, the first to wake on top.
type schedule []*planned

// Len, Less, Swap, Push and Pop make schedule a [heap.Interface].
func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].wake < s[j].wake }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}
func (s *schedule) Push(x any) {
	w := x.(*planned)
	w.index = len(*s)
	*s = append(*s, w)
}
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	last.index = -1
	return last
}

// moved puts w where its new wake belongs; one that is in no schedule stays out.
func (s *schedule) moved(w *planned) {
	if w.index >= 0 {
		heap.Fix(s, w.index)
	}
}

// bound is a number of checks that may run at once, and the line of those that wait for their turn. An entry of the line counts
// only while its own line is this one.
type bound struct {
	name          string // of the host; empty for all checks
	most, running int
	line          []*planned
}

func (b *bound) full() bool { return b.running >= b.most }

// next takes the first that still waits out of the line; nil when nobody does.
func (b *bound) next() *planned {
	for len(b.line) > 0 {
		w := b.line[0]
		b.line[0], b.line = nil, b.line[1:]
		if w.line == b {
			w.line = nil
			return w
		}
	}
	return nil
}
