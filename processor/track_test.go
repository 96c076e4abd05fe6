package processor

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// gapsBetween gives the gaps that checks after a first one make, "hour: slots" each; their intervals are those of their versions.
func gapsBetween(intervals map[string]time.Duration, checks ...observation) []string {
	rulesOf := func(version string) *rules { return &rules{intervalMs: intervals[version].Milliseconds()} }
	t := &track{}
	for _, o := range checks {
		t.changes = append(t.changes, change{observation: o})
	}
	t.prepare(rulesOf)
	var gaps []string
	for _, hour := range slices.Sorted(maps.Keys(t.rollups)) {
		if n := t.rollups[hour].gaps; n != 0 {
			gaps = append(gaps, fmt.Sprintf("%v: %d", time.Duration(hour-midnight)*time.Millisecond, n))
		}
	}
	return gaps
}

var midnight = firstSlot.UnixMilli()

func checkAt(after time.Duration, version string) observation {
	return observation{slotMs: midnight + after.Milliseconds(), totalUs: -1, version: version}
}

func TestGapsAreTheSlotsThatNobodyAccountsFor(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	intervals := map[string]time.Duration{"minute": minute, "ten": 10 * minute, "hour": hour, "odd": 7 * minute, "ms": time.Millisecond}
	for name, c := range map[string]struct {
		checks []observation
		want   []string
	}{
		"the next slot":              {[]observation{checkAt(0, "minute"), checkAt(minute, "minute")}, nil},
		"sooner than the next slot":  {[]observation{checkAt(0, "minute"), checkAt(minute/2, "minute")}, nil},
		"one":                        {[]observation{checkAt(0, "minute"), checkAt(2*minute, "minute")}, []string{"0s: 1"}},
		"a millisecond late":         {[]observation{checkAt(0, "minute"), checkAt(minute+1e6, "minute")}, []string{"0s: 1"}},
		"over an hour":               {[]observation{checkAt(58*minute, "minute"), checkAt(62*minute, "minute")}, []string{"0s: 1", "1h0m0s: 2"}},
		"from the hour's last slot":  {[]observation{checkAt(59*minute, "minute"), checkAt(61*minute, "minute")}, []string{"1h0m0s: 1"}},
		"over hours and a day":       {[]observation{checkAt(22*hour+50*minute, "ten"), checkAt(25*hour, "ten")}, []string{"23h0m0s: 6", "24h0m0s: 6"}},
		"an odd interval":            {[]observation{checkAt(0, "odd"), checkAt(2*hour, "odd")}, []string{"0s: 8", "1h0m0s: 9"}},
		"the longer of two":          {[]observation{checkAt(0, "minute"), checkAt(25*minute, "ten")}, []string{"0s: 2"}},
		"the longer of two, before":  {[]observation{checkAt(0, "ten"), checkAt(25*minute, "minute")}, []string{"0s: 2"}},
		"without a known interval":   {[]observation{checkAt(0, "minute"), checkAt(hour, "?"), checkAt(2*hour, "minute")}, nil},
		"an interval of an hour":     {[]observation{checkAt(0, "hour"), checkAt(3*hour, "hour")}, []string{"1h0m0s: 1", "2h0m0s: 1"}},
		"unsorted":                   {[]observation{checkAt(3*minute, "minute"), checkAt(0, "minute")}, []string{"0s: 2"}},
		"a late check splits":        {[]observation{checkAt(0, "minute"), checkAt(10*minute, "minute"), checkAt(5*minute, "minute")}, []string{"0s: 8"}},
		"a slot written twice":       {[]observation{checkAt(0, "minute"), checkAt(2*minute, "minute"), checkAt(2*minute, "minute")}, []string{"0s: 1"}},
		"an hour of milliseconds":    {[]observation{checkAt(0, "ms"), checkAt(hour, "ms")}, []string{"0s: 3599999"}},
		"versions turn by turn":      {[]observation{checkAt(0, "minute"), checkAt(5*minute, "ten"), checkAt(6*minute, "minute"), checkAt(8*minute, "minute")}, []string{"0s: 1"}},
		"the first has none before":  {[]observation{checkAt(5*hour, "minute")}, nil},
		"the day is whole, no slots": {[]observation{checkAt(0, "hour"), checkAt(hour, "hour")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, gapsBetween(intervals, c.checks...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGapsLongerThanADayCountTheLastDayOnly(t *testing.T) {
	intervals := map[string]time.Duration{"hour": time.Hour}
	got := gapsBetween(intervals, checkAt(30*time.Minute, "hour"), checkAt(80*time.Hour, "hour"))
	if len(got) != 24 || got[0] != "56h0m0s: 1" || got[23] != "79h0m0s: 1" {
		t.Errorf("got %q, want one in each of the 24 hours before the check", got)
	}
	exact := gapsBetween(intervals, checkAt(0, "hour"), checkAt(72*time.Hour, "hour"))
	if len(exact) != 24 || exact[0] != "48h0m0s: 1" {
		t.Errorf("got %q, want a slot exactly a day before the check counted", exact)
	}
}

func TestALateCheckTakesAwayTheGapThatItFills(t *testing.T) {
	of := func(string) *rules { return &rules{intervalMs: 60_000} }
	first := &track{changes: []change{{observation: checkAt(0, "v")}, {observation: checkAt(10*time.Minute, "v")}}}
	first.prepare(of)
	for i := range first.all {
		first.step(i, of("v"))
	}
	late := &track{known: true, stored: first.fold, old: first.strips, changes: []change{{observation: checkAt(4*time.Minute, "v")}}}
	late.prepare(of)
	if !late.late() {
		t.Error("not seen to be late")
	}
	if got := late.rollups[midnight].gaps; got != -1 {
		t.Errorf("the hour's gaps change by %d, want -1", got)
	}
}

func TestASlotThatAHalvedBatchWroteTwiceIsFoldedOnce(t *testing.T) {
	of := func(string) *rules { return &rules{intervalMs: 60_000} }
	first, second := checkAt(0, "a"), checkAt(0, "b")
	first.outcome = outcomeMissed
	track := &track{changes: []change{{observation: first}, {observation: second}}}
	track.prepare(of)
	if len(track.all) != 1 || track.all[0] != second {
		t.Errorf("got %+v, want what was written last", track.all)
	}
	if got := track.rollups[midnight].counts; got != [4]int64{outcomeUp: 1} {
		t.Errorf("counted %v, want one up", got)
	}
	if c := track.changeAt(midnight); c == nil || c.version != "b" {
		t.Errorf("got the change %+v, want the last", c)
	}
}

// A fold that took time by the square of a batch would not come to its end here.
func TestManyChangesAndLongGapsAreFolded(t *testing.T) {
	of := func(version string) *rules {
		return &rules{intervalMs: 100, downAfter: 1, downOf: 1, upAfter: 1, upOf: 1, flapTransitions: 5, flapWindowMs: 60_000}
	}
	f := &targetFold{id: "target"}
	for location := range 50 {
		track := f.track(fmt.Sprintf("location-%02d", location))
		for i := range 2000 {
			o := checkAt(time.Duration(i)*61*time.Minute, fmt.Sprintf("version-%d", i%7))
			o.outcome = outcome(i % 3)
			track.changes = append(track.changes, change{observation: o})
		}
	}
	for _, track := range f.tracks {
		track.prepare(of)
		track.spans(f.id)
	}
	f.run(of)
	f.markFlapping(of)
	news := f.news(announcement{}, nil)
	if len(news) != len(f.found) || len(news) < 1000 {
		t.Errorf("%d of %d transitions are news, want all", len(news), len(f.found))
	}
}
