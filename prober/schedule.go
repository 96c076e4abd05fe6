package prober

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"webcheck/gen/event"
)

const (
	// maxSleep is how long the scheduler sleeps at most, and so how late it may notice that the clock has stepped.
	maxSleep = time.Second
	// maxGrace and the tenth of an interval in [planned.grace] bound how long a slot waits for the check before it. A target
	// that hangs for a timeout as long as its interval ends a few milliseconds after its next slot is due.
	maxGrace = time.Second
	// clockSlack is how far back the clock may go before it is worth a line: NTP moves it by less all the time.
	clockSlack = time.Second
)

// planned is a target and its next slot. Numbers are milliseconds since 1970.
type planned struct {
	rhythm
	target  *Target
	version string
	slot    int64 // the next one to account for
	wake    int64 // when to look at it: the slot, or later while it waits for the check before it
	running bool  // a check of an earlier slot runs
	index   int   // in the schedule
}

// grace is how long the slot may wait for the check before it.
func (w *planned) grace() int64 { return min(w.interval/10, maxGrace.Milliseconds()) }

// hasRoom reports whether a check that begins now is likely done when the next slot is due: the rest of the slot is as long
// as the timeout, or half of an interval that is not much longer than the timeout.
func (w *planned) hasRoom(now int64) bool {
	return w.slot+w.interval-now >= min(w.target.Timeout.Milliseconds(), w.interval/2)
}

// advance goes on to the next slot.
func (w *planned) advance(slots int64) {
	w.slot += slots * w.interval
	w.wake = w.slot
}

// schedule is a heap of targets, the first to wake on top.
type schedule []*planned

func newSchedule(c Config, now int64) schedule {
	s := make(schedule, len(c.Targets))
	for i := range c.Targets {
		t := &c.Targets[i]
		w := &planned{rhythm: newRhythm(t), target: t, version: t.Version(), index: i}
		w.slot = w.at(now)
		if !c.CheckAtStart || i >= c.MaxInFlight || !w.hasRoom(now) {
			w.slot += w.interval
		}
		w.wake = w.slot
		s[i] = w
	}
	heap.Init(&s)
	return s
}

// Len, Less, Swap, Push and Pop make schedule a [heap.Interface]; nothing is pushed or popped after its start.
func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].wake < s[j].wake }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}
func (s *schedule) Push(x any) { *s = append(*s, x.(*planned)) }
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// runSchedule accounts for slots as they become due, until ctx ends.
func (p *Prober) runSchedule(ctx, checks context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var before time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-p.finished:
			p.reap(w)
		case <-timer.C:
		}
		now := p.now()
		if back := before.Round(0).Sub(now.Round(0)); back > clockSlack {
			p.config.Logger.Warn("the clock stepped back; slots that were run are not run again", "by", back)
		}
		before = now
		p.release(ctx, checks)
		p.watchStore()
		wake := moment(p.schedule[0].wake).Sub(p.now())
		timer.Reset(min(max(wake, 0), maxSleep))
	}
}

// release accounts for every slot that is due.
func (p *Prober) release(ctx, checks context.Context) {
	var leftOut int64
	for ctx.Err() == nil {
		p.reapAll()
		now, w := p.now().UnixMilli(), p.schedule[0]
		if w.wake > now {
			break
		}
		if tooMany := (now-w.slot)/w.interval - MaxCatchUp; tooMany > 0 {
			leftOut += tooMany
			w.advance(tooMany)
		}
		p.account(checks, w, now)
		heap.Fix(&p.schedule, w.index)
	}
	if leftOut > 0 {
		p.config.Logger.Warn("the prober did not run for long; the oldest slots have no event", "slots", leftOut)
	}
}

// account decides what becomes of w's slot, which is due.
func (p *Prober) account(checks context.Context, w *planned, now int64) {
	late := now - w.slot
	switch {
	case late >= w.interval:
		p.miss(w, event.FailureNotRunning, fmt.Sprintf("the prober noticed this slot %v late, in the middle of a later one", time.Duration(late)*time.Millisecond))
	case w.running && late < w.grace():
		w.wake = w.slot + w.grace()
		return
	case w.running:
		p.miss(w, event.FailureOverload, "the check of an earlier slot was still running")
	case p.inFlight >= p.config.MaxInFlight:
		p.miss(w, event.FailureOverload, fmt.Sprintf("%d checks were running, which is the bound", p.inFlight))
	default:
		p.start(checks, w)
	}
	w.advance(1)
}

// reapAll takes note of the checks that have ended, without waiting.
func (p *Prober) reapAll() {
	for {
		select {
		case w := <-p.finished:
			p.reap(w)
		default:
			return
		}
	}
}

// reap takes note of a check that has ended, and wakes the slot that waited for it.
func (p *Prober) reap(w *planned) {
	p.inFlight--
	w.running = false
	w.wake = w.slot
	heap.Fix(&p.schedule, w.index)
}

// watchStore says once that events are not acknowledged any more, and once that they are again.
func (p *Prober) watchStore() {
	gone, back, waiting := p.tally.silence(time.Now())
	switch {
	case gone:
		p.config.Logger.Warn("events are not acknowledged; they are kept and sent again", "waiting", waiting)
	case back:
		p.config.Logger.Info("events are acknowledged again", "waiting", waiting)
	}
}
