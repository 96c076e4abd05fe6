package prober

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"webcheck/gen/event"
)

const (
	// maxSleep is how long the scheduler sleeps at most, and so how late it may notice that the clock has stepped.
	maxSleep = time.Second
	// clockSlack is how far back the clock may go before it is worth a line: NTP moves it by less all the time.
	clockSlack = time.Second
	// maxBack is how far back the clock may go and the prober still wait until it is past the last slot that was run. A clock that was
	// a day ahead for a moment must not silence the prober for a day.
	maxBack = time.Minute
)

// runSchedule accounts for slots as they become due, until ctx ends.
func (p *Prober) runSchedule(ctx, checks context.Context) {
	defer close(p.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var before time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.reap:
		case change := <-p.changes:
			p.release(ctx, checks) // what is due is due by the definitions from before
			change()
		case <-timer.C:
		}
		now := p.now()
		switch back := before.Round(0).Sub(now.Round(0)); {
		case back > maxBack:
			p.config.Logger.Warn("the clock stepped far back; the slots from now on are run, whatever was written of them", "by", back)
			p.planAnew(now.UnixMilli())
		case back > clockSlack:
			p.config.Logger.Warn("the clock stepped back; slots that were run are not run again", "by", back)
		}
		before = now
		p.release(ctx, checks)
		p.takeOverLost()
		owing := p.repay()
		p.watchStore()
		p.metrics.turn(p)
		timer.Reset(p.sleep(owing))
	}
}

// planAnew goes on from now where the clock was far ahead. What was written of the slots that come stays, and what is measured now
// has the same ids and counts instead of what was missed.
func (p *Prober) planAnew(now int64) {
	for _, w := range p.schedule {
		p.unwait(w)
		p.letGo(w)
		w.goTo(w.at(now) + w.interval)
	}
	heap.Init(&p.schedule)
	p.debts = slices.DeleteFunc(p.debts, func(d *debt) bool {
		d.spans = slices.DeleteFunc(d.spans, func(s span) bool { return s.from >= now })
		if len(d.spans) == 0 && d.planned.debt == d {
			d.planned.debt = nil
		}
		return len(d.spans) == 0
	})
	p.released = now
}

// do has the scheduler call change between two turns, and returns after that; false when it takes no more.
func (p *Prober) do(change func()) bool {
	done := make(chan struct{})
	select {
	case p.changes <- func() { change(); close(done) }:
		<-done
		return true
	case <-p.ended:
		return false
	}
}

// sleep is how long the scheduler may sleep.
func (p *Prober) sleep(owing bool) time.Duration {
	sleep := maxSleep
	if len(p.schedule) > 0 {
		w := p.schedule[0]
		sleep = min(sleep, p.batching.until(p.now(), moment(w.wake), time.Duration(w.interval)*time.Millisecond))
	}
	if owing {
		sleep = min(sleep, repayPause)
	}
	return max(sleep, 0)
}

// release accounts for every slot that is due.
func (p *Prober) release(ctx, checks context.Context) {
	p.reapAll()
	p.batching.begin(p.now())
	before := p.checks.running
	defer func() { p.batching.began(p.checks.running - before) }()
	for n := 0; ctx.Err() == nil && len(p.schedule) > 0; n++ {
		w := p.schedule[0]
		now := p.now().UnixMilli()
		if w.wake > now {
			p.released = max(p.released, now)
			return
		}
		if n%16 == 15 { // a long turn must not hold the line of those that wait
			p.reapAll()
		}
		p.account(checks, w, now)
		p.schedule.moved(w)
	}
	if len(p.schedule) == 0 {
		p.released = max(p.released, p.now().UnixMilli())
	}
}

// account decides what becomes of w's slot, which is due.
func (p *Prober) account(checks context.Context, w *planned, now int64) {
	switch {
	case now-w.slot >= w.interval:
		p.skip(w, now)
		return
	case w.target.Paused:
		p.miss(w, event.FailurePaused, "the target is paused")
	case w.unable != "":
		p.miss(w, event.FailureOwnFault, w.unable)
	default:
		host := p.host(w)
		why, line := p.hindrance(w, host)
		if why != "" && now-w.due < w.grace() {
			p.wait(w, line)
			return
		}
		p.unwait(w)
		if why != "" {
			p.miss(w, event.FailureOverload, why)
		} else {
			p.start(checks, w, host)
		}
	}
	w.advance()
}

// hindrance says why the check of w cannot begin now, and in which line it waits, if in any; empty when it can.
func (p *Prober) hindrance(w *planned, host *bound) (why string, line *bound) {
	switch {
	case w.running:
		return "the check of an earlier slot was still running", nil
	case p.checks.full():
		return fmt.Sprintf("%d checks were running, which is the bound", p.checks.most), &p.checks
	case host.full():
		return fmt.Sprintf("%d checks of the same host were running, which is the bound", host.most), host
	}
	return "", nil
}

// wait has w looked at again when its grace is over, or earlier when its turn comes.
func (p *Prober) wait(w *planned, line *bound) {
	if w.hold == nil {
		w.hold = p.books.take(w.definition(w.slot))
	}
	if w.line = line; line != nil {
		line.line = append(line.line, w)
	}
	w.wake = w.due + w.grace()
	if !w.waits {
		w.waits = true
		p.waiting++
		p.eager.Store(true)
	}
}

// unwait notes that w waits no more.
func (p *Prober) unwait(w *planned) {
	if w.line = nil; w.waits {
		w.waits = false
		p.waiting--
		p.eager.Store(p.waiting > 0)
	}
}

// skip goes on to the slot that w is in; the ones before it passed, because the process did not get to run or because the clock
// stepped.
func (p *Prober) skip(w *planned, now int64) {
	p.unwait(w)
	p.letGo(w)
	current := w.at(now)
	text := fmt.Sprintf("the prober noticed this slot %v late, in the middle of a later one", time.Duration(now-w.slot)*time.Millisecond)
	if leftOut := p.owe(w.definition(w.slot), span{w.slot, current}, event.FailureNotRunning, text); leftOut > 0 {
		p.config.Logger.Warn("the prober did not run for long; the oldest slots have no event", "target", w.target.ID, "slots", leftOut)
	}
	w.goTo(current)
}

// takeUp returns w's slot in hand, where it may have been since it began to wait.
func (p *Prober) takeUp(w *planned) *inHand {
	h := w.hold
	if h == nil {
		return p.books.take(w.definition(w.slot))
	}
	w.hold = nil
	return h
}

// letGo gives back the slot that w has in hand while it waits, if it does.
func (p *Prober) letGo(w *planned) {
	if h := w.hold; h != nil {
		w.hold = nil
		p.books.cancel(h)
	}
}

// miss accounts for w's slot without a check.
func (p *Prober) miss(w *planned, reason event.Failure, text string) {
	p.hand(p.takeUp(w), missed(w.target, w.version, p.now(), reason, text))
}

// reapAll takes note of the checks that have ended, without waiting, and lets those go on that waited for them.
func (p *Prober) reapAll() {
	p.finishedMu.Lock()
	finished := p.finished
	p.finished = nil
	p.finishedMu.Unlock()
	for _, h := range finished {
		p.checks.running--
		h.host.running--
		w := h.planned
		w.running = false
		if w.waits {
			p.wake(w)
		}
		for _, line := range []*bound{&p.checks, h.host} {
			if next := line.next(); next != nil {
				p.wake(next)
			}
		}
		p.forget(h.host)
	}
}

// wake has the schedule look at w at once.
func (p *Prober) wake(w *planned) {
	w.wake = w.due
	p.schedule.moved(w)
}

// host is the bound of the host that w is on.
func (p *Prober) host(w *planned) *bound {
	b := p.hosts[w.host]
	if b == nil {
		b = &bound{name: w.host, most: p.config.MaxPerHost}
		p.hosts[w.host] = b
	}
	return b
}

// forget drops the bound of a host that nothing runs on and nobody waits for.
func (p *Prober) forget(b *bound) {
	if b.running == 0 && len(b.line) == 0 && p.hosts[b.name] == b {
		delete(p.hosts, b.name)
	}
}

// watchStore says once that events are not acknowledged any more, and once that they are again.
func (p *Prober) watchStore() {
	gone, back, waiting := p.books.silence(time.Now())
	switch {
	case gone:
		p.config.Logger.Warn("events are not acknowledged; they are kept and sent again", "waiting", waiting)
	case back:
		p.config.Logger.Info("events are acknowledged again", "waiting", waiting)
	}
}
