package processor

import (
	"time"

	"webcheck/gen/db"
)

// rules are what the checks of one version of a target's definition are folded by. Times are in milliseconds.
type rules struct {
	intervalMs        int64 // 0: not known
	downAfter, downOf int   // down when downAfter of the last downOf observations are
	upAfter, upOf     int   // back when upAfter of the last upOf are not down
	quorum            int   // locations that must agree; 0: the majority of those that report
	flapTransitions   int   // so many within flapWindowMs are flapping
	flapWindowMs      int64
	silentMs          int64 // for so long after its last observation a location reports
}

// unknownSilentMs is how long a location counts as reporting when its interval is not known.
const unknownSilentMs = int64(10 * time.Minute / time.Millisecond)

// maxFlapWindow is how far back transitions count for flapping at most; a definition allows no more.
const maxFlapWindow = 24 * time.Hour

// maxWindow is the most observations that a rule looks back; the room that a location's fold has for them.
const maxWindow = 20

// defaultRules are for checks whose definition was never seen. They are those of prober.DefaultRules, but for the interval,
// without which nothing is known about gaps.
var defaultRules = rules{
	downAfter: 2, downOf: 3, upAfter: 2, upOf: 2, flapTransitions: 5,
	flapWindowMs: int64(time.Hour / time.Millisecond), silentMs: unknownSilentMs,
}

// rulesOf takes a definition's rules. What is out of bounds, as only a foreign writer makes it, is brought to the nearest bound.
func rulesOf(d db.ListDefinitionsRow) rules {
	r := rules{
		intervalMs:      int64(max(d.IntervalMs, 0)),
		downOf:          bound(d.DownOf, 1, maxWindow),
		upOf:            bound(d.UpOf, 1, maxWindow),
		quorum:          bound(d.Quorum, 0, 1<<30),
		flapTransitions: bound(d.FlapTransitions, 2, 1<<30),
		flapWindowMs:    int64(bound(d.FlapWindowS, 60, int32(maxFlapWindow/time.Second))) * 1000,
	}
	r.downAfter = bound(d.DownAfter, 1, int32(r.downOf))
	r.upAfter = bound(d.UpAfter, 1, int32(r.upOf))
	r.silentMs = unknownSilentMs
	if r.intervalMs > 0 {
		r.silentMs = r.intervalMs * int64(bound(d.SilentAfter, 1, 1<<20))
	}
	return r
}

func bound(n, low, high int32) int { return int(min(max(n, low), high)) }
