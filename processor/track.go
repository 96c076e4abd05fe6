package processor

import (
	"cmp"
	"slices"
	"time"
)

// maxGapMs is how far before a check the slots are counted that nobody accounts for. Longer than a day without a prober the
// target was not watched.
const maxGapMs = int64(24 * time.Hour / time.Millisecond)

const hourMs = int64(time.Hour / time.Millisecond)

// change is a check that was written, new or in the place of another of its slot.
type change struct {
	target, location string
	observation
	late bool // it came to the log long after it was made, so nothing that it brings about is news
}

// track is one location of a target while it is folded, from a moment on: what was there, what changes, what there is then.
type track struct {
	location string
	known    bool         // a row of location_states is there
	stored   locationFold // in that row
	old      []strip      // from the moment on, as stored
	changes  []change
	start    locationFold // before the moment
	all      []observation
	strips   []strip // made of all
	fold     locationFold
	rollups  map[int64]*rollupDelta // by the hour's start
	hour     *rollupDelta           // that was asked for last
}

// prepare applies the changes to what was observed, and counts them.
func (t *track) prepare(rulesOf func(version string) *rules) {
	t.start = t.stored
	if len(t.old) > 0 {
		t.start = locationFoldOf(t.old[0].before)
	}
	t.fold = t.start
	before := observations(t.old)
	t.all = before
	if len(t.changes) > 0 {
		slices.SortStableFunc(t.changes, func(a, b change) int { return bySlot(a.observation, b.observation) })
		t.all = t.merge(before)
	}
	t.countGaps(before, t.oldIntervals(), -1)
	t.countGaps(t.all, func(version string) int64 { return rulesOf(version).intervalMs }, 1)
}

// merge gives the observations before with the changes in their slots. What a slot held before is what the strips say, so that
// the folds stay true to themselves whatever became of a row.
func (t *track) merge(before []observation) []observation {
	all := make([]observation, 0, len(before)+len(t.changes))
	i := 0
	for c := range t.changes {
		changed := &t.changes[c]
		for ; i < len(before) && before[i].slotMs < changed.slotMs; i++ {
			all = append(all, before[i])
		}
		if i < len(before) && before[i].slotMs == changed.slotMs {
			t.count(&before[i], -1)
			i++
		}
		if n := len(all); n > 0 && all[n-1].slotMs == changed.slotMs { // a batch that was halved has written the slot twice
			t.count(&all[n-1], -1)
			all = all[:n-1]
		}
		all = append(all, changed.observation)
		t.count(&changed.observation, 1)
	}
	return append(all, before[i:]...)
}

// oldIntervals gives the interval that the stored folds went by, by version.
func (t *track) oldIntervals() func(version string) int64 {
	intervals := make(map[string]int64)
	for i := range t.old {
		intervals[t.old[i].version] = t.old[i].intervalMs
	}
	return func(version string) int64 { return intervals[version] }
}

// step folds the i-th observation, and keeps the strip that it belongs to.
func (t *track) step(i int, r *rules) {
	o := &t.all[i]
	starts := stripStart(o.slotMs)
	s := t.openStrip(starts, o.version, r)
	s.checks = append(s.checks, s.pack(o))
	t.fold.step(o.slotMs, o.outcome, r)
}

func (t *track) openStrip(startsMs int64, version string, r *rules) *strip {
	before := []int64(nil)
	for i := len(t.strips) - 1; i >= 0 && t.strips[i].startsMs == startsMs; i-- {
		if t.strips[i].version == version {
			return &t.strips[i]
		}
		before = t.strips[i].before
	}
	if before == nil {
		before = t.fold.numbers()
	}
	t.strips = append(t.strips, strip{startsMs: startsMs, version: version, intervalMs: r.intervalMs, before: before})
	return &t.strips[len(t.strips)-1]
}

// rollupDelta is how much more, or fewer, there is in an hour.
type rollupDelta struct {
	hourMs  int64
	counts  [4]int64 // by outcome
	gaps    int64
	latency latencyCounts
}

func (d *rollupDelta) empty() bool {
	for _, n := range d.latency {
		if n != 0 {
			return false
		}
	}
	return d.counts == [4]int64{} && d.gaps == 0
}

// delta is the hour's. One change after the other lies in the same.
func (t *track) delta(slotMs int64) *rollupDelta {
	hour := slotMs - slotMs%hourMs
	if t.hour != nil && t.hour.hourMs == hour {
		return t.hour
	}
	t.hour = t.rollups[hour]
	if t.hour == nil {
		t.hour = &rollupDelta{hourMs: hour, latency: make(latencyCounts)}
		if t.rollups == nil {
			t.rollups = make(map[int64]*rollupDelta)
		}
		t.rollups[hour] = t.hour
	}
	return t.hour
}

func (t *track) count(o *observation, n int64) {
	d := t.delta(o.slotMs)
	d.counts[o.outcome] += n
	if o.totalUs >= 0 && (o.outcome == outcomeUp || o.outcome == outcomeDegraded) {
		d.latency[latencyBucket(o.totalUs)] += n
	}
}

// countGaps adds n for each slot between two checks, or before the first, that nobody accounts for. Where the interval has
// changed between the two, the longer one is taken: when it changed is not known.
func (t *track) countGaps(all []observation, intervalOf func(version string) int64, n int64) {
	at, interval := t.start.slotMs, t.start.intervalMs
	version, next := "", int64(0)
	for i := range all {
		o := &all[i]
		if i == 0 || o.version != version {
			version, next = o.version, intervalOf(o.version)
		}
		longer := max(interval, next)
		if at > 0 && interval > 0 && next > 0 && o.slotMs-at > longer {
			t.countGap(at, o.slotMs, longer, n)
		}
		at, interval = o.slotMs, next
	}
}

// countGap counts the slots after one check and before another, hour by hour.
func (t *track) countGap(afterMs, beforeMs, intervalMs, n int64) {
	first := afterMs + intervalMs
	if earliest := beforeMs - maxGapMs; first < earliest {
		first += (earliest - first + intervalMs - 1) / intervalMs * intervalMs
	}
	for first < beforeMs {
		end := min(first-first%hourMs+hourMs, beforeMs)
		slots := (end-first-1)/intervalMs + 1
		t.delta(first).gaps += n * slots
		first += slots * intervalMs
	}
}

// late says whether checks came after later ones had been folded.
func (t *track) late() bool {
	return t.known && len(t.changes) > 0 && t.changes[0].slotMs <= t.stored.slotMs
}

// firstChange is the first of the changes whose slot is not before a moment.
func (t *track) firstChange(slotMs int64) int {
	i, _ := slices.BinarySearchFunc(t.changes, slotMs, func(c change, slotMs int64) int { return cmp.Compare(c.slotMs, slotMs) })
	return i
}

// changeAt is the change of a slot, the last one if there were several; nil if there is none.
func (t *track) changeAt(slotMs int64) *change {
	if i := t.firstChange(slotMs + 1); i > 0 && t.changes[i-1].slotMs == slotMs {
		return &t.changes[i-1]
	}
	return nil
}

// inTime says whether one of the changes of a span of slots, both ends counted, came in time.
func (t *track) inTime(firstMs, lastMs int64) bool {
	for i := t.firstChange(firstMs); i < len(t.changes) && t.changes[i].slotMs <= lastMs; i++ {
		if !t.changes[i].late {
			return true
		}
	}
	return false
}
