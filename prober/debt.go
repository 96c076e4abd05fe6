package prober

import (
	"fmt"
	"slices"
	"time"

	"webcheck/gen/event"
)

const (
	// repayAtOnce is how many missed slots are written in one turn of the scheduler, and maxUnanswered how many events may be
	// without an answer then: what is due goes first, and a store that is slow is not buried.
	repayAtOnce   = 500
	maxUnanswered = 5000
	// repayPause lets the scheduler's other work in between.
	repayPause = time.Millisecond
)

// span is the slots of a target from one, included, to another, not included; in milliseconds since 1970.
type span struct{ from, to int64 }

// spans are disjoint, in order, and never touch.
type spans []span

// add puts s in; spans that overlap or touch it become one with it.
func (all spans) add(s span) spans {
	i := 0
	for i < len(all) && all[i].to < s.from {
		i++
	}
	j := i
	for ; j < len(all) && all[j].from <= s.to; j++ {
		s.from, s.to = min(s.from, all[j].from), max(s.to, all[j].to)
	}
	return slices.Replace(all, i, j, s)
}

// debt is the slots of a target that passed without an event, and that are written as missed when there is time. It keeps the
// definition that they belong to.
type debt struct {
	planned  *planned
	target   *Target
	version  string
	interval int64
	spans    spans
	reason   event.Failure
	text     string
}

// owe adds the slots of s to what w owes, under the definition of h, except those that are older than the prober is told to catch
// up with; of these it returns the number.
func (p *Prober) owe(h definedSlot, s span, reason event.Failure, text string) (leftOut int64) {
	if oldest := p.now().Add(-p.config.CatchUp).UnixMilli(); s.from < oldest {
		leftOut = min((oldest-s.from+h.interval-1)/h.interval, (s.to-s.from)/h.interval)
		s.from += leftOut * h.interval
	}
	if s.from >= s.to {
		return leftOut
	}
	d := h.planned.debt
	if d == nil || d.version != h.version || d.reason != reason {
		d = &debt{planned: h.planned, target: h.target, version: h.version, interval: h.interval, reason: reason}
		h.planned.debt = d
		p.debts = append(p.debts, d)
	}
	d.spans, d.text = d.spans.add(s), text
	return leftOut
}

// takeOverLost makes debts of the slots whose results the emitter gave up.
func (p *Prober) takeOverLost() {
	for _, h := range p.books.takeLost() {
		if s := h.planned.share; s.gone { // the next owner finds it, because it was never accounted for
			s.left.leave(h.target.ID, h.slot)
			continue
		}
		p.owe(h.definedSlot, span{h.slot, h.slot + h.interval}, event.FailureOwnFault, "the result was lost: "+h.cause.Error())
	}
}

// repay writes slots that are owed, target by target, and reports whether there are more that can be written soon. While the
// emitter gives events up, one at a time finds out whether it still does.
func (p *Prober) repay() bool {
	unanswered, failing := p.books.state()
	most := min(repayAtOnce, maxUnanswered-unanswered)
	if failing {
		most = min(most, 1)
	}
	for ; most > 0 && len(p.debts) > 0; most-- {
		d := p.debts[0]
		s := &d.spans[0]
		text := d.text
		if more := (s.to-s.from)/d.interval - 1; more > 0 {
			text += fmt.Sprintf("; the same is true of %d slots after this one", more)
		}
		h := p.books.take(definedSlot{planned: d.planned, target: d.target, version: d.version, interval: d.interval, slot: s.from})
		if s.from += d.interval; s.from >= s.to {
			d.spans = d.spans[1:]
		}
		if len(d.spans) == 0 {
			p.settled(d)
		}
		p.hand(h, missed(d.target, d.version, p.now(), d.reason, text))
	}
	return len(p.debts) > 0 && !failing
}

// settled takes the first debt, which is paid, out of the books.
func (p *Prober) settled(d *debt) {
	if d.planned.debt == d {
		d.planned.debt = nil
	}
	p.debts[0], p.debts = nil, p.debts[1:]
}

// owed is the number of slots that are owed.
func (p *Prober) owed() (slots int) {
	for _, d := range p.debts {
		for _, s := range d.spans {
			slots += int((s.to - s.from) / d.interval)
		}
	}
	return slots
}
