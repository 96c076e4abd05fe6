package prober

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"webcheck/gen/event"
)

// share is the targets of one partition of the topic of definitions, or those of [Config.Targets]. The scheduler owns it, but for
// open and drained, which the books guard.
type share struct {
	partition int32
	targets   map[string]*planned
	gone      bool      // another prober's now
	left      accounted // of a share that is gone: how far it was accounted for, but for the slots in hand
	open      int       // slots in hand
	drained   chan struct{}
}

// fixed stands for the partition of the share that [Config.Targets] is.
const fixed = -1

func newShare(partition int32) *share {
	return &share{partition: partition, targets: make(map[string]*planned)}
}

// targets is the number of targets of all shares.
func (p *Prober) targets() (n int) {
	for _, s := range p.shares {
		n += len(s.targets)
	}
	return n
}

// defined is a target as the topic of definitions has it.
type defined struct {
	target  *Target
	version string
	unable  string // why this build cannot check it; empty when it can
	at      int64  // when it was published, in milliseconds since 1970
}

// takeOver gives a share the targets of definitions, and all of them slots from now on; what the share has and definitions have not
// goes. The slots between the moment until which a prober has accounted for the target and now are written as missed, except
// the last one where a check of it can still end in time.
func (p *Prober) takeOver(s *share, definitions []defined, until accounted) {
	if len(s.targets) > 0 {
		still := make(map[string]bool, len(definitions))
		for _, d := range definitions {
			still[d.target.ID] = true
		}
		for id := range s.targets {
			if !still[id] {
				p.remove(s, id)
			}
		}
	}
	now := p.clock()
	overdue := 0
	var leftOut int64
	for i, d := range definitions {
		id := d.target.ID
		if s.targets[id] != nil {
			p.define(s, d)
			continue
		}
		w := p.plan(s, d, now)
		atOnce := p.config.CheckAtStart && i < p.config.MaxInFlight && w.hasRoom(w.slot-w.interval, now)
		if from, known := until.of(id); known {
			n, open := p.catchUp(w, max(from, d.at), now)
			leftOut += n
			atOnce = atOnce && !open
			if open {
				overdue++
			}
		}
		if atOnce {
			w.goTo(w.slot - w.interval)
		}
		heap.Push(&p.schedule, w)
	}
	if leftOut > 0 {
		p.config.Logger.Warn("no prober ran for long; the oldest slots have no event", "slots", leftOut)
	}
	p.config.Logger.Debug("targets taken over", "partition", s.partition, "targets", len(s.targets), "overdue", overdue)
}

// plan adds d to s, with the first slot after now as its next.
func (p *Prober) plan(s *share, d defined, now int64) *planned {
	w := &planned{rhythm: newRhythm(d.target), target: d.target, version: d.version, unable: d.unable, share: s, host: d.target.host(), index: -1}
	w.goTo(w.at(now) + w.interval)
	s.targets[d.target.ID] = w
	return w
}

// catchUp accounts for the slots of w from that moment to now: the last one is left open, to be begun soon, where there is room for
// it, and the others are owed.
func (p *Prober) catchUp(w *planned, from, now int64) (leftOut int64, open bool) {
	first := w.at(from)
	if first < from {
		first += w.interval
	}
	last := w.slot - w.interval
	if first > last {
		return 0, false
	}
	spread := int64(0)
	if width := min(w.interval/4, maxSpread.Milliseconds()); width > 0 {
		spread = w.phase % width
	}
	end := w.slot
	if w.hasRoom(last, now+spread) {
		open, end = true, last
		w.slot = last
		w.due, w.wake = now+spread, now+spread
		w.hold = p.books.take(w.definition(last))
	}
	reason, text := event.FailureNotRunning, "no prober of this location ran"
	if gap := time.Duration(now-from) * time.Millisecond; gap <= p.handOverTime() {
		reason, text = event.FailureHandOver, fmt.Sprintf("the slot passed in the %v in which the target went from one prober to another", gap)
	}
	return p.owe(w.definition(first), span{first, end}, reason, text), open
}

// define gives the target of d its definition, new or changed. A target that keeps its interval keeps its rhythm.
func (p *Prober) define(s *share, d defined) {
	w := s.targets[d.target.ID]
	now := p.clock()
	switch {
	case w == nil:
		w = p.plan(s, d, now)
		if p.config.CheckAtStart && w.hasRoom(w.slot-w.interval, now) {
			w.goTo(w.slot - w.interval)
		}
		heap.Push(&p.schedule, w)
		return
	case w.version == d.version && w.unable == d.unable:
		return
	}
	kept := w.rhythm
	w.host = d.target.host()
	w.target, w.version, w.unable, w.rhythm, w.debt = d.target, d.version, d.unable, newRhythm(d.target), nil
	if w.rhythm != kept {
		p.forgo(w)
		w.goTo(w.at(now) + w.interval)
		p.schedule.moved(w)
	}
}

// remove ends the checks of a target; one that runs goes on to its end.
func (p *Prober) remove(s *share, id string) {
	if w := s.targets[id]; w != nil {
		p.forgo(w)
		p.drop(w)
		delete(s.targets, id)
	}
}

// forgo accounts for the slot of w that waits for its turn, before its definition changes.
func (p *Prober) forgo(w *planned) {
	p.unwait(w)
	if h := w.hold; h != nil {
		w.hold = nil
		p.hand(h, missed(h.target, h.version, p.now(), event.FailureOverload, "the slot waited for its turn until the target's definition changed"))
	}
}

// lose gives a share up, whose slots are another prober's from the next turn of the scheduler on. Checks that run go on to their end.
func (p *Prober) lose(s *share) {
	s.gone, s.left = true, accounted{until: p.released + 1}
	delete(p.shares, s.partition)
	for id, w := range s.targets {
		if w.hold != nil {
			s.left.leave(id, w.slot)
			p.letGo(w)
		}
		p.drop(w)
	}
	clear(s.targets)
	p.debts = slices.DeleteFunc(p.debts, func(d *debt) bool {
		if d.planned.share != s {
			return false
		}
		s.left.leave(d.target.ID, d.spans[0].from)
		return true
	})
}

// drop takes w out of the schedule.
func (p *Prober) drop(w *planned) {
	p.unwait(w)
	if w.index >= 0 {
		heap.Remove(&p.schedule, w.index)
	}
}
