package processor

import (
	"slices"
	"strings"
	"testing"

	"webcheck/gen/db"
)

// statesAfter folds observations, a letter each (up, deGraded, down, missed), a second apart, and gives the state's
// letter after each, "?" for unknown.
func statesAfter(r *rules, observations string) string {
	var f locationFold
	var states strings.Builder
	for i, letter := range observations {
		f.step(int64(i+1)*1000, outcome(strings.IndexRune("ugdm", letter)), r)
		states.WriteByte("?ugd"[f.state])
	}
	return states.String()
}

func TestALocationGoesDownAndComesBackByItsRules(t *testing.T) {
	of := func(downAfter, downOf, upAfter, upOf int) *rules {
		return &rules{downAfter: downAfter, downOf: downOf, upAfter: upAfter, upOf: upOf}
	}
	times := strings.Repeat
	for name, c := range map[string]struct {
		rules        *rules
		seen, states string
	}{
		"the first success is up":                     {of(2, 3, 2, 2), "u", "u"},
		"the first degraded is degraded":              {of(2, 3, 2, 2), "g", "g"},
		"one failure says nothing yet":                {of(2, 3, 2, 2), "du", "?u"},
		"enough failures from unknown":                {of(2, 3, 2, 2), "dd", "?d"},
		"missed from unknown":                         {of(1, 1, 1, 1), "mmm", "???"},
		"2 of 3 with a success between":               {of(2, 3, 2, 2), "udud", "uuud"},
		"2 of 3 too far apart":                        {of(2, 3, 2, 2), "uduud", "uuuuu"},
		"a success does not bring down":               {of(2, 3, 2, 2), "uddu", "uudd"},
		"back after 2 of 2":                           {of(2, 3, 2, 2), "udduu", "uuddu"},
		"not back with a failure between":             {of(2, 3, 2, 2), "uddudu", "uudddd"},
		"back by 2 of 3, of which one was before":     {of(1, 1, 2, 3), "ududu", "ududu"},
		"a failure never brings back":                 {of(3, 3, 1, 3), "uddddd", "uuuddd"},
		"back to degraded":                            {of(1, 1, 2, 2), "dgg", "ddg"},
		"degraded counts for coming back":             {of(1, 1, 2, 2), "dgu", "ddu"},
		"degraded by the rule for going down":         {of(2, 3, 2, 2), "ugg", "uug"},
		"degraded and down together are degraded":     {of(2, 3, 2, 2), "ugd", "uug"},
		"from degraded to down":                       {of(2, 3, 2, 2), "uggdd", "uuggd"},
		"from degraded back up":                       {of(2, 3, 2, 2), "ugguu", "uuggu"},
		"degraded does not end on a mixed window":     {of(2, 3, 2, 2), "uggugu", "uugggg"},
		"missed is no observation":                    {of(2, 3, 2, 2), "udmmmmd", "uuuuuud"},
		"missed between successes":                    {of(1, 1, 2, 2), "dumu", "dddu"},
		"one of one":                                  {of(1, 1, 1, 1), "udugd", "udugd"},
		"20 of 20":                                    {of(20, 20, 1, 1), "u" + times("d", 20), times("u", 20) + "d"},
		"20 of 20 with one success in the last place": {of(20, 20, 1, 1), "u" + times("d", 19) + "u", times("u", 21)},
		"1 of 20 falls out":                           {of(2, 20, 1, 1), "d" + times("u", 18) + "d", "?" + times("u", 18) + "d"},
		"1 of 20 has fallen out":                      {of(2, 20, 1, 1), "d" + times("u", 19) + "d", "?" + times("u", 20)},
		"back after 20 of 20":                         {of(1, 1, 20, 20), "d" + times("u", 20), times("d", 20) + "u"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := statesAfter(c.rules, c.seen); got != c.states {
				t.Errorf("%s: got %s, want %s", c.seen, got, c.states)
			}
		})
	}
}

func TestALocationReportsUntilItIsSilent(t *testing.T) {
	r := &rules{downAfter: 1, downOf: 1, upAfter: 1, upOf: 1, silentMs: 3000}
	var f locationFold
	if f.reports(0) {
		t.Error("a location without observations reports")
	}
	f.step(10_000, outcomeUp, r)
	f.step(12_000, outcomeMissed, r)
	for atMs, want := range map[int64]bool{10_000: true, 13_000: true, 13_001: false} {
		if got := f.reports(atMs); got != want {
			t.Errorf("at %d: got %v, want %v", atMs, got, want)
		}
	}
	if f.slotMs != 12_000 || f.sinceMs != 10_000 {
		t.Errorf("got %+v, want the last check at 12,000 and up since 10,000", f)
	}
}

func TestALocationsFoldComesBackFromItsNumbers(t *testing.T) {
	r := &rules{downAfter: 2, downOf: 20, upAfter: 2, upOf: 2, intervalMs: 1 << 30, silentMs: 1 << 50}
	var f locationFold
	for i := range 70 {
		if got := locationFoldOf(f.numbers()); got != f {
			t.Errorf("after %d checks: got %+v, want %+v", i, got, f)
		}
		if got := locationFoldOf(append(f.numbers(), 1, 2)); got != f {
			t.Errorf("after %d checks, with numbers of a later release: got %+v, want %+v", i, got, f)
		}
		f.step(int64(i)<<30, outcome(i%4), r)
	}
	if got := locationFoldOf(nil); got != (locationFold{}) {
		t.Errorf("of nothing: got %+v", got)
	}
}

func TestTheLastTwentyObservationsAreKept(t *testing.T) {
	var r recent
	var all []outcome
	for i := range 64 {
		o := outcome(i * i % 3)
		r, all = r.push(o), append(all, o)
		for n := range maxWindow + 1 {
			want := 0
			for _, o := range all[max(0, len(all)-n):] {
				if o == outcomeDown || o == outcomeDegraded {
					want++
				}
			}
			if got := r.count(n, outcomeDegraded, outcomeDown); got != want {
				t.Fatalf("after %d, of the last %d: got %d, want %d", i+1, n, got, want)
			}
		}
	}
}

func TestHostileRulesAreBroughtToTheNearestBound(t *testing.T) {
	const huge, tiny = 1<<31 - 1, -1 << 31
	for _, d := range []db.ListDefinitionsRow{
		{IntervalMs: tiny, DownAfter: tiny, DownOf: tiny, UpAfter: tiny, UpOf: tiny, Quorum: tiny, FlapTransitions: tiny, FlapWindowS: tiny, SilentAfter: tiny},
		{IntervalMs: huge, DownAfter: huge, DownOf: huge, UpAfter: huge, UpOf: huge, Quorum: huge, FlapTransitions: huge, FlapWindowS: huge, SilentAfter: huge},
		{},
		{DownAfter: 5, DownOf: 3, UpAfter: 5, UpOf: 3},
	} {
		r := rulesOf(d)
		in := func(n, low, high int) bool { return low <= n && n <= high }
		if !in(r.downOf, 1, 20) || !in(r.downAfter, 1, r.downOf) || !in(r.upOf, 1, 20) || !in(r.upAfter, 1, r.upOf) || r.quorum < 0 ||
			r.flapTransitions < 2 || !in(int(r.flapWindowMs), 60_000, 86_400_000) || r.silentMs <= 0 || r.intervalMs < 0 {
			t.Errorf("of %+v: got %+v", d, r)
		}
		if !slices.Contains([]int64{0, huge}, r.intervalMs) || (r.intervalMs == 0 && r.silentMs != unknownSilentMs) {
			t.Errorf("of %+v: interval %d, silent %d", d, r.intervalMs, r.silentMs)
		}
	}
}
