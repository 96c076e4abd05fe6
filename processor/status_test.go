package processor

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/status"
)

// statusCase asks what a status page asks, of one random database, and holds the answers against the checks themselves.
type statusCase struct {
	t      *testing.T
	random *rand.Rand
	pool   *pgxpool.Pool
	checks []event.CheckCompleted
	said   map[string][]string // what the oracle makes of the checks, by table
}

func TestWhatAStatusPageAsksIsAnsweredAsTheChecksSay(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for run := range seed.Runs(t, 20) {
		l.clear()
		c := randomFoldCase(random)
		l.mix(random, &c)
		s := &statusCase{t: t, random: random, pool: l.pool, checks: storedChecks(t, l.pool)}
		s.said = newOracle(s.checks, c.definitions).fold()
		s.holdStatuses()
		s.holdLocationStatuses()
		s.holdCounts()
		s.holdRollups(spanHour, time.Hour)
		s.holdRollups(spanDay, day)
		s.holdIncidents()
		if t.Failed() {
			t.Fatalf("run %d", run)
		}
	}
}

// fields gives the lines of a table that the oracle says, cut into their words.
func (s *statusCase) fields(table string) (all [][]string) {
	for _, line := range s.said[table] {
		all = append(all, strings.Fields(line))
	}
	return all
}

// names gives the targets and locations that there are, in their order.
func (s *statusCase) names() (targets, locations []string) {
	for _, c := range s.checks {
		targets, locations = append(targets, c.TargetID), append(locations, c.Location)
	}
	slices.Sort(targets)
	slices.Sort(locations)
	return slices.Compact(targets), slices.Compact(locations)
}

// someRange gives the first and last of some targets.
func (s *statusCase) someRange() (first, last string) {
	targets, _ := s.names()
	from := s.random.IntN(len(targets))
	return targets[from], targets[from+s.random.IntN(len(targets)-from)]
}

func (s *statusCase) hold(what string, want, got []string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s: the checks say (-) something else than the answer (+):\n%.2000s", what, diff)
	}
}

// msOf is 0 for no moment, as in the oracle's words.
func msOf(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return at.UnixMilli()
}

func (s *statusCase) holdStatuses() {
	s.t.Helper()
	var want, got []string
	for _, target := range s.fields("target_states") {
		var last string
		locations, down := 0, 0
		for _, l := range s.fields("location_states") {
			if l[0] != target[0] {
				continue
			}
			locations, last = locations+1, max(last, l[4]) // as many digits each
			if l[2] == "down" {
				down++
			}
		}
		want = append(want, fmt.Sprintf("%s %s %d %d", strings.Join(target[:4], " "), last, locations, down))
	}
	size := int32(1 + s.random.IntN(4))
	for after, more := "", true; more; {
		page, err := db.New().ListStatuses(s.t.Context(), s.pool, db.ListStatusesParams{After: after, UpTo: size})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range page {
			got = append(got, fmt.Sprintf("%s %s %d %d %d %d %d", r.TargetID, r.State, msOf(r.Since), msOf(r.FlappingUntil), r.LastSlot.UnixMilli(), r.Locations, r.LocationsDown))
			after = r.TargetID
		}
		more = len(page) == int(size)
	}
	s.hold("statuses", want, got, nil)
}

func (s *statusCase) holdLocationStatuses() {
	s.t.Helper()
	first, last := s.someRange()
	var want, got []string
	for _, l := range s.fields("location_states") {
		if l[0] >= first && l[0] <= last {
			want = append(want, strings.Join(slices.Delete(l, 5, 6), " ")) // without the last check's id
		}
	}
	rows, err := db.New().ListLocationStatuses(s.t.Context(), s.pool, db.ListLocationStatusesParams{First: first, Last: last})
	for _, r := range rows {
		total := int32(-1)
		if r.LastTotalUs != nil {
			total = *r.LastTotalUs
		}
		got = append(got, fmt.Sprintf("%s %s %s %d %d %s %d", r.TargetID, r.Location, r.State, msOf(r.Since), r.LastSlot.UnixMilli(), r.LastOutcome, total))
	}
	s.hold("statuses by location", want, got, err)
}

// counted are checks by outcome, and gaps.
type counted [5]int64

// counts adds up the oracle's rollups of a span by the key that each has; an empty key is left out.
func (s *statusCase) counts(span string, key func(target, location string, startsMs int64) string) map[string]counted {
	sums := make(map[string]counted)
	for _, line := range s.said["rollups"] {
		var target, location, its string
		var startsMs int64
		var c counted
		if _, err := fmt.Sscan(line, &target, &location, &its, &startsMs, &c[0], &c[1], &c[2], &c[3], &c[4]); err != nil {
			s.t.Fatal(err)
		}
		k := key(target, location, startsMs)
		if its != span || k == "" {
			continue
		}
		sum := sums[k]
		for i := range c {
			sum[i] += c[i]
		}
		sums[k] = sum
	}
	return sums
}

func texts(sums map[string]counted) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, fmt.Sprint(key, sums[key]))
	}
	return all
}

func (s *statusCase) holdCounts() {
	s.t.Helper()
	first, last := s.someRange()
	since := firstSlot.Add(time.Duration(s.random.IntN(40*60)) * time.Minute)
	want := s.counts(spanHour, func(target, _ string, startsMs int64) string {
		if target < first || target > last || startsMs < since.Truncate(time.Hour).UnixMilli() {
			return ""
		}
		return target
	})
	targets, _ := s.names()
	for _, target := range targets {
		if _, has := want[target]; !has && target >= first && target <= last {
			want[target] = counted{}
		}
	}
	var got []string
	rows, err := db.New().CountChecks(s.t.Context(), s.pool, db.CountChecksParams{Since: since, First: first, Last: last})
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.TargetID, counted{r.Up, r.Degraded, r.Down, r.Missed, r.Gaps}))
	}
	s.hold("checks of a page", texts(want), got, err)
}

// holdRollups asks for one target by time, over all its locations and merged over some.
func (s *statusCase) holdRollups(span string, width time.Duration) {
	s.t.Helper()
	target, _ := s.someRange()
	_, locations := s.names()
	some := slices.Clone(locations)
	s.random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = some[:1+s.random.IntN(len(some))]
	since := firstSlot.Add(time.Duration(s.random.IntN(30)) * time.Hour)
	until := since.Add(time.Duration(1+s.random.IntN(100)) * time.Hour)
	among := func(locations []string) map[string]counted {
		return s.counts(span, func(its, location string, startsMs int64) string {
			if its != target || !slices.Contains(locations, location) || startsMs < since.UnixMilli() || startsMs >= until.UnixMilli() {
				return ""
			}
			return fmt.Sprint(startsMs, " ")
		})
	}
	var got []string
	rows, err := db.New().CountChecksByTime(s.t.Context(), s.pool, db.CountChecksByTimeParams{Target: target, Span: span, Since: since, Until: until})
	for _, r := range rows {
		got = append(got, fmt.Sprint(r.StartsAt.UnixMilli(), " ", counted{r.Up, r.Degraded, r.Down, r.Missed, r.Gaps}))
	}
	s.hold("checks by "+span, texts(among(locations)), got, err)
	got = nil
	merged, err := status.Rollups(s.t.Context(), s.pool, db.ListRollupsByTimeParams{Target: target, Locations: some, Span: span, Since: since, Until: until})
	for _, r := range merged {
		got = append(got, fmt.Sprint(r.StartsAt.UnixMilli(), " ", counted{r.Up, r.Degraded, r.Down, r.Missed, r.Gaps}))
		s.holdPercentiles(r, s.latencies(target, some, r.StartsAt, width))
	}
	s.hold("rollups by "+span, texts(among(some)), got, err)
}

// latencies gives the total times that a rollup is about, in their order, none below 1 µs.
func (s *statusCase) latencies(target string, locations []string, from time.Time, width time.Duration) (all []int32) {
	for _, c := range s.checks {
		within := !c.Slot.Before(from) && c.Slot.Before(from.Add(width))
		answered := c.Outcome == event.OutcomeUp || c.Outcome == event.OutcomeDegraded
		if c.TargetID == target && slices.Contains(locations, c.Location) && within && answered && c.TotalUs != nil && *c.TotalUs >= 0 {
			all = append(all, max(1, *c.TotalUs))
		}
	}
	slices.Sort(all)
	return all
}

func (s *statusCase) holdPercentiles(r status.Rollup, all []int32) {
	s.t.Helper()
	for share, got := range map[float64]float64{0.50: r.P50, 0.95: r.P95, 0.99: r.P99} {
		want := 0.0
		if len(all) > 0 {
			want = float64(all[int(math.Ceil(share*float64(len(all))))-1])
		}
		if math.Abs(got-want) > 0.05*want {
			s.t.Errorf("the share of %v of %d from %s on: got %.1f µs, want %.1f within 5 %%", share, len(all), r.StartsAt, got, want)
		}
	}
}

func (s *statusCase) holdIncidents() {
	s.t.Helper()
	target, _ := s.someRange()
	var want, got []string
	for _, i := range s.fields("incidents") {
		if i[0] == target {
			want = append(want, strings.Join(i, " "))
		}
	}
	slices.Reverse(want) // the newest first
	want = want[:min(len(want), 3)]
	rows, err := db.New().ListIncidents(s.t.Context(), s.pool, db.ListIncidentsParams{Target: target, Before: firstSlot.Add(10 * day), UpTo: 3})
	for _, r := range rows {
		closedBy := "-"
		if r.ClosedBy != nil {
			closedBy = *r.ClosedBy
		}
		got = append(got, fmt.Sprintf("%s %d %s %d %s", target, r.OpenedAt.UnixMilli(), r.OpenedBy, msOf(r.ClosedAt), closedBy))
	}
	s.hold("incidents", want, got, err)
}
