package processor

import (
	"slices"
	"time"

	"webcheck/gen/db"
)

// stripMs is how long a strip is. Ten minutes are ten checks at the usual interval: few enough to be written again with each
// check, and enough that a day of a target is 144 rows.
const stripMs = int64(10 * time.Minute / time.Millisecond)

// Where the parts of a check lie in an element of a strip (queries/migrations/00004_folds.sql).
const (
	totalBits   = 32
	outcomeBits = 2
)

// observation is a check as the folds see it.
type observation struct {
	slotMs  int64
	totalUs int32 // -1: none
	outcome outcome
	version string // of the target's definition
}

// strip is what was observed of a target at a location in stripMs under one version of its definition.
type strip struct {
	startsMs   int64
	version    string
	intervalMs int64
	checks     []int64
	before     []int64 // locationFold.numbers before the first check of the strips that start then
}

func stripOf(row db.ListStripsRow) strip {
	return strip{
		startsMs: row.StartsAt.UnixMilli(), version: row.DefinitionVersion, intervalMs: int64(row.IntervalMs),
		checks: row.Checks, before: row.Before,
	}
}

func stripStart(slotMs int64) int64 { return slotMs - slotMs%stripMs }

func (s *strip) pack(o *observation) int64 {
	return (o.slotMs-s.startsMs)<<(totalBits+outcomeBits) | int64(o.outcome)<<totalBits | (int64(o.totalUs) + 1)
}

func (s *strip) unpack(n int64) observation {
	return observation{
		slotMs:  s.startsMs + n>>(totalBits+outcomeBits),
		outcome: outcome(n >> totalBits & (1<<outcomeBits - 1)),
		totalUs: int32(n&(1<<totalBits-1) - 1),
		version: s.version,
	}
}

// observations gives what the strips of one location hold, in the order of slots.
func observations(strips []strip) []observation {
	var n int
	for i := range strips {
		n += len(strips[i].checks)
	}
	all := make([]observation, 0, n)
	for i := range strips {
		for _, c := range strips[i].checks {
			all = append(all, strips[i].unpack(c))
		}
	}
	if !slices.IsSortedFunc(all, bySlot) { // strips of two versions lie side by side
		slices.SortFunc(all, bySlot)
	}
	return all
}

func bySlot(a, b observation) int {
	switch {
	case a.slotMs < b.slotMs:
		return -1
	case a.slotMs > b.slotMs:
		return 1
	}
	return 0
}

// moment is a time of the folds as tables and events hold it.
func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
