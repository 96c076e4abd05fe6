package processor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// timeline folds locations "a", "b"…, each given as its outcomes, a letter a second ("." for no check), and lists the transitions:
// second, new state, location put down to, how many of how many are down, "!" when flapping, and the incident's second.
func timeline(r *rules, locations ...string) []string {
	f := &targetFold{id: "target"}
	of := func(string) *rules { return r }
	for i, letters := range locations {
		t := f.track(string(rune('a' + i)))
		for second, letter := range letters {
			if letter != '.' {
				o := observation{slotMs: int64(second+1) * 1000, totalUs: -1, outcome: outcome(strings.IndexRune("ugdm", letter)), version: "v"}
				t.changes = append(t.changes, change{observation: o})
			}
		}
		t.prepare(of)
	}
	f.run(of)
	f.markFlapping(of)
	var all []string
	for _, t := range f.found {
		line := fmt.Sprintf("%d %s %s %d/%d", t.slotMs/1000, t.to, t.location, t.down, t.reporting)
		if t.flapping {
			line += " !"
		}
		if t.openedMs > 0 {
			line += fmt.Sprintf(" since %d", t.openedMs/1000)
		}
		all = append(all, line)
	}
	return all
}

func TestATargetsStateIsWhatEnoughLocationsSay(t *testing.T) {
	at := func(quorum int) *rules {
		return &rules{downAfter: 1, downOf: 1, upAfter: 1, upOf: 1, quorum: quorum, flapTransitions: 100, flapWindowMs: 60_000, silentMs: 2000}
	}
	for name, c := range map[string]struct {
		rules     *rules
		locations []string
		want      []string
	}{
		"one location":                          {at(0), []string{"udu"}, []string{"1 up a 0/1", "2 down a 1/1 since 2", "3 up a 0/1 since 2"}},
		"half is no majority":                   {at(0), []string{"ud", "uu"}, []string{"1 up a 0/2"}},
		"both are one":                          {at(0), []string{"udd", "uud"}, []string{"1 up a 0/2", "3 down b 2/2 since 3"}},
		"two of three":                          {at(0), []string{"uuu", "udd", "uud"}, []string{"1 up a 0/3", "3 down c 2/3 since 3"}},
		"the first that changed is the cause":   {at(0), []string{"uu", "ud", "ud"}, []string{"1 up a 0/3", "2 down b 2/3 since 2"}},
		"two of four are no majority":           {at(0), []string{"uu", "uu", "ud", "ud"}, []string{"1 up a 0/4"}},
		"a quorum of one":                       {at(1), []string{"uu", "ud", "uu"}, []string{"1 up a 0/3", "2 down b 1/3 since 2"}},
		"a quorum of three":                     {at(3), []string{"uud", "udd", "udd"}, []string{"1 up a 0/3", "3 down a 3/3 since 3"}},
		"with fewer than the quorum all":        {at(3), []string{"ud", "uu"}, []string{"1 up a 0/2"}},
		"with fewer than the quorum all do":     {at(3), []string{"ud", "ud"}, []string{"1 up a 0/2", "2 down a 2/2 since 2"}},
		"degraded and down are a quorum of bad": {at(0), []string{"uu", "ug", "ud"}, []string{"1 up a 0/3", "2 degraded b 1/3"}},
		"degraded ends an incident":             {at(0), []string{"dg"}, []string{"1 down a 1/1 since 1", "2 degraded a 0/1 since 1"}},
		"from degraded to down and to up":       {at(0), []string{"gdu"}, []string{"1 degraded a 0/1", "2 down a 1/1 since 2", "3 up a 0/1 since 2"}},
		"a silent location counts no more":      {at(0), []string{"u....", "dddddd"}, []string{"1 up a 1/2", "4 down b 1/1 since 4"}},
		"one that came back counts again":       {at(0), []string{"u....u", "dddddd"}, []string{"1 up a 1/2", "4 down b 1/1 since 4", "6 up a 1/2 since 4"}},
		"missed is no word":                     {at(0), []string{"ummmmm", "dddddd"}, []string{"1 up a 1/2", "4 down b 1/1 since 4"}},
		"silence alone changes nothing":         {at(0), []string{"u.....", "d....."}, []string{"1 up a 1/2"}},
		"an unknown location does not count": {
			&rules{downAfter: 2, downOf: 3, upAfter: 1, upOf: 1, flapTransitions: 9, flapWindowMs: 60_000, silentMs: 2000},
			[]string{"du", "uu"}, []string{"1 up b 0/1"},
		},
		"all missed": {at(0), []string{"mmm", "mm"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, timeline(c.rules, c.locations...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATargetFlapsWhileItsTransitionsLieInTheWindow(t *testing.T) {
	r := &rules{downAfter: 1, downOf: 1, upAfter: 1, upOf: 1, flapTransitions: 3, flapWindowMs: 4000, silentMs: 100_000}
	got := timeline(r, "udu.d...u")
	want := []string{"1 up a 0/1", "2 down a 1/1 since 2", "3 up a 0/1 ! since 2", "5 down a 1/1 ! since 5", "9 up a 0/1 since 5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for last, untilMs := range map[int64]int64{4000: 5000, 4999: 5000, 5000: 0} {
		turns := []transition{{slotMs: 1000}, {slotMs: 3000}, {slotMs: last}}
		if got := flappingUntil(turns, r); got != untilMs {
			t.Errorf("transitions at 1, 3 and %d ms: flapping until %d, want %d", last, got, untilMs)
		}
	}
	if got := flappingUntil([]transition{{slotMs: 1}, {slotMs: 2}}, r); got != 0 {
		t.Errorf("two of three transitions: flapping until %d", got)
	}
}
