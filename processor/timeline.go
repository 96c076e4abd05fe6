package processor

import (
	"slices"
	"strings"

	"webcheck/schemas"
)

// transition is a change of a target's state, at a slot.
type transition struct {
	slotMs, openedMs int64 // openedMs: slot with which the incident began that this opens or closes; 0: none
	from, to         state
	location         string // of the check that caused it
	version          string // of the definition that it was judged by
	flapping         bool
	down, reporting  int // locations
}

// targetFold is one target while it is folded.
type targetFold struct {
	id     string
	fromMs int64    // the moment from which it is folded
	tracks []*track // in the order of their locations
	// The target's state, and the slot with which the incident began that it is in; before fromMs, and then after each slot.
	state               state
	openedMs            int64
	earlier             []transition // before fromMs, as far as flapping looks back
	found               []transition // from fromMs on
	sinceMs, flappingMs int64        // of the last of both; flapping until then
}

// track gives the location's, made if it is not there.
func (f *targetFold) track(location string) *track {
	i, found := slices.BinarySearchFunc(f.tracks, location, func(t *track, l string) int { return strings.Compare(t.location, l) })
	if !found {
		f.tracks = slices.Insert(f.tracks, i, &track{location: location})
	}
	return f.tracks[i]
}

// run folds every location's observations slot by slot, and judges the target after each slot with an observation.
func (f *targetFold) run(rulesOf func(version string) *rules) {
	at := make([]int, len(f.tracks))
	for {
		slot, more := f.nextSlot(at)
		if !more {
			return
		}
		var cause *track
		var version string // of the cause
		for i, t := range f.tracks {
			if at[i] == len(t.all) || t.all[at[i]].slotMs != slot {
				continue
			}
			o := &t.all[at[i]]
			t.step(at[i], rulesOf(o.version))
			at[i]++
			if o.outcome == outcomeMissed {
				continue
			}
			// The first location that changed is the cause, else the first that was observed.
			if cause == nil || (t.fold.sinceMs == slot && cause.fold.sinceMs != slot) {
				cause, version = t, o.version
			}
		}
		if cause != nil {
			f.judge(slot, cause, rulesOf(version), version)
		}
	}
}

func (f *targetFold) nextSlot(at []int) (slot int64, more bool) {
	for i, t := range f.tracks {
		if at[i] < len(t.all) && (!more || t.all[at[i]].slotMs < slot) {
			slot, more = t.all[at[i]].slotMs, true
		}
	}
	return slot, more
}

// judge asks the locations that report. With fewer than a quorum all of them must agree.
func (f *targetFold) judge(slot int64, cause *track, r *rules, version string) {
	var reporting, down, bad int
	for _, t := range f.tracks {
		if !t.fold.reports(slot) {
			continue
		}
		reporting++
		if t.fold.state == stateDown {
			down++
		}
		if t.fold.state != stateUp {
			bad++
		}
	}
	if reporting == 0 {
		return
	}
	quorum := reporting/2 + 1
	if r.quorum > 0 {
		quorum = min(r.quorum, reporting)
	}
	to := stateUp
	switch {
	case down >= quorum:
		to = stateDown
	case bad >= quorum:
		to = stateDegraded
	}
	if to == f.state {
		return
	}
	t := transition{slotMs: slot, from: f.state, to: to, location: cause.location, version: version, down: down, reporting: reporting}
	switch {
	case to == stateDown:
		t.openedMs, f.openedMs = slot, slot
	case f.state == stateDown:
		t.openedMs, f.openedMs = f.openedMs, 0
	}
	f.state = to
	f.found = append(f.found, t)
}

// flappingUntil is when the last of transitions, which came after the others, stops being one too many; 0 when they are few.
func flappingUntil(transitions []transition, r *rules) int64 {
	oldest := len(transitions) - r.flapTransitions
	if oldest < 0 {
		return 0
	}
	until := transitions[oldest].slotMs + r.flapWindowMs
	if until <= transitions[len(transitions)-1].slotMs {
		return 0
	}
	return until
}

// eventID is the id of the check that caused the transition of a target.
func (t *transition) eventID(target string) string {
	return schemas.EventID(target, t.location, moment(t.slotMs))
}

// markFlapping says of each transition found whether it was one too many, and of the target until when.
func (f *targetFold) markFlapping(rulesOf func(version string) *rules) {
	all := slices.Concat(f.earlier, f.found)
	for i := len(f.earlier); i < len(all); i++ {
		f.found[i-len(f.earlier)].flapping = flappingUntil(all[:i+1], rulesOf(all[i].version)) > 0
	}
	if n := len(all); n > 0 {
		f.sinceMs, f.flappingMs = all[n-1].slotMs, flappingUntil(all, rulesOf(all[n-1].version))
	}
}
