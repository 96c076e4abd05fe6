package processor

import "webcheck/gen/event"

// outcome is a check's outcome as strips hold it, in two bits.
type outcome uint8

const (
	outcomeUp outcome = iota
	outcomeDegraded
	outcomeDown
	outcomeMissed
)

// outcomeNames are the outcomes as events write them, by outcome.
var outcomeNames = [...]event.Outcome{event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeMissed}

// outcomeOf reads an event's outcome. One that only a newer writer knows says nothing about the target, like missed.
func outcomeOf(name event.Outcome) outcome {
	for o, known := range outcomeNames {
		if name == known {
			return outcome(o)
		}
	}
	return outcomeMissed
}

// state is the state of a target, at one location or over all of them.
type state uint8

const (
	stateUnknown state = iota
	stateUp
	stateDegraded
	stateDown
)

// stateNames are the states as tables and events write them, by state.
var stateNames = [...]string{"unknown", "up", "degraded", "down"}

func (s state) String() string { return stateNames[s] }

func stateOf(name string) state {
	for s, known := range stateNames {
		if name == known {
			return state(s)
		}
	}
	return stateUnknown
}

// locationFold is a target's checks at one location up to some slot, folded. The zero value stands before the first check.
// Moments are milliseconds since 1970.
type locationFold struct {
	state      state
	sinceMs    int64  // slot of the check that brought the state about
	recent     recent // the last observations
	measuredMs int64  // slot of the last observation, which missed is not
	silentMs   int64  // how long after it the location counts as reporting
	slotMs     int64  // slot of the last check, missed or not
	intervalMs int64  // the interval that that check went by, 0 when it is not known
}

// step folds the next check, at slotMs, onto f.
func (f *locationFold) step(slotMs int64, o outcome, r *rules) {
	f.slotMs, f.intervalMs = slotMs, r.intervalMs
	if o == outcomeMissed {
		return
	}
	f.measuredMs, f.silentMs = slotMs, r.silentMs
	f.recent = f.recent.push(o)
	if next := f.next(o, r); next != f.state {
		f.state, f.sinceMs = next, slotMs
	}
}

// next is the state after an observation that is the newest in recent. Only what is bad makes a state worse and only what is
// good makes it better: a window that still holds old failures does not bring a target down on a success.
func (f *locationFold) next(o outcome, r *rules) state {
	worse := func(atLeast outcome) bool { return f.recent.count(r.downOf, atLeast, outcomeDown) >= r.downAfter }
	better := func(atMost outcome) bool { return f.recent.count(r.upOf, outcomeUp, atMost) >= r.upAfter }
	switch {
	case o == outcomeDown && worse(outcomeDown):
		return stateDown
	case f.state == stateDown:
		if o != outcomeDown && better(outcomeDegraded) {
			return stateUp + state(o) // up or degraded, as the observation is
		}
	case f.state == stateUnknown:
		if o != outcomeDown {
			return stateUp + state(o)
		}
	case o != outcomeUp && worse(outcomeDegraded):
		return stateDegraded
	case f.state == stateDegraded && o == outcomeUp && better(outcomeUp):
		return stateUp
	}
	return f.state
}

// reports says whether the location has something to say of the target at a moment.
func (f *locationFold) reports(atMs int64) bool {
	return f.state != stateUnknown && atMs-f.measuredMs <= f.silentMs
}

// numbers gives f as the tables hold it.
func (f *locationFold) numbers() []int64 {
	return []int64{int64(f.state), f.sinceMs, int64(f.recent), f.measuredMs, f.silentMs, f.slotMs, f.intervalMs}
}

// locationFoldOf reverses numbers. Later releases may add numbers behind.
func locationFoldOf(n []int64) locationFold {
	if len(n) < 7 {
		return locationFold{}
	}
	return locationFold{
		state: state(n[0] & 3), sinceMs: n[1], recent: recent(n[2]), measuredMs: n[3], silentMs: n[4], slotMs: n[5], intervalMs: n[6],
	}
}

// recent holds the last observations, at most maxWindow, in two bits each with the newest lowest, below a bit that marks how
// many there are. The zero value holds none.
type recent uint64

const recentFull = recent(1) << (2 * maxWindow)

func (r recent) push(o outcome) recent {
	r = max(r, 1)<<2 | recent(o)
	if r > recentFull<<1 { // its mark has left the room
		r = r&(recentFull-1) | recentFull
	}
	return r
}

// count says how many of the newest n observations, or of those that there are, lie from low to high.
func (r recent) count(n int, low, high outcome) int {
	found := 0
	for ; n > 0 && r > 1; n, r = n-1, r>>2 {
		if o := outcome(r & 3); low <= o && o <= high {
			found++
		}
	}
	return found
}
