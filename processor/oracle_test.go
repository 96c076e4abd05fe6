package processor

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// oracle says what the folds have to be, from all checks and definitions at once and in the plainest way, out of the words of
// the schemas and the issue and without the folds' code. Moments are milliseconds.
type oracle struct {
	checks      map[string]map[string][]event.CheckCompleted // by target and location, in the order of slots
	definitions map[string]event.TargetDefined               // by target and version
	lines       map[string][]string
}

func newOracle(checks []event.CheckCompleted, definitions []event.TargetDefined) *oracle {
	o := &oracle{checks: make(map[string]map[string][]event.CheckCompleted), definitions: make(map[string]event.TargetDefined), lines: make(map[string][]string)}
	for _, d := range definitions {
		o.definitions[d.TargetID+"/"+d.DefinitionVersion] = d
	}
	for _, c := range checks {
		if o.checks[c.TargetID] == nil {
			o.checks[c.TargetID] = make(map[string][]event.CheckCompleted)
		}
		o.checks[c.TargetID][c.Location] = append(o.checks[c.TargetID][c.Location], c)
	}
	for _, locations := range o.checks {
		for _, checks := range locations {
			slices.SortFunc(checks, func(a, b event.CheckCompleted) int { return a.Slot.Compare(b.Slot) })
		}
	}
	return o
}

// rules are a definition's, else the schema's defaults; without an interval it is 0.
func (o *oracle) rules(c *event.CheckCompleted) event.TargetDefined {
	if d, known := o.definitions[c.TargetID+"/"+c.DefinitionVersion]; known {
		return d
	}
	return event.TargetDefined{DownAfter: 2, DownOf: 3, UpAfter: 2, UpOf: 2, FlapTransitions: 5, FlapWindowS: 3600, SilentAfter: 3}
}

// seen is a location after one of its observations.
type seen struct {
	check   event.CheckCompleted
	at      int64
	state   string
	changed bool
	until   int64 // reporting, this included
}

func (o *oracle) observations(checks []event.CheckCompleted) []seen {
	var all []seen
	var history []string
	state := "unknown"
	for _, c := range checks {
		if c.Outcome == event.OutcomeMissed {
			continue
		}
		r := o.rules(&c)
		history = append(history, c.Outcome)
		next := stateAfter(history, state, &r)
		silent := int64(r.IntervalMs) * int64(r.SilentAfter)
		if r.IntervalMs == 0 {
			silent = 600_000
		}
		at := c.Slot.UnixMilli()
		all = append(all, seen{check: c, at: at, state: next, changed: next != state, until: at + silent})
		state = next
	}
	return all
}

func stateAfter(history []string, state string, r *event.TargetDefined) string {
	newest := history[len(history)-1]
	among := func(last int32, outcomes ...string) (n int32) {
		for _, outcome := range history[max(0, len(history)-int(last)):] {
			if slices.Contains(outcomes, outcome) {
				n++
			}
		}
		return n
	}
	goesDown := newest == "down" && among(r.DownOf, "down") >= r.DownAfter
	getsWorse := newest != "up" && among(r.DownOf, "down", "degraded") >= r.DownAfter
	comesBack := newest != "down" && among(r.UpOf, "up", "degraded") >= r.UpAfter
	recovers := newest == "up" && among(r.UpOf, "up") >= r.UpAfter
	switch {
	case goesDown:
		return "down"
	case state == "unknown" && newest != "down", state == "down" && comesBack:
		return newest
	case (state == "up" || state == "degraded") && getsWorse:
		return "degraded"
	case state == "degraded" && recovers:
		return "up"
	}
	return state
}

func (o *oracle) add(table, format string, values ...any) {
	o.lines[table] = append(o.lines[table], fmt.Sprintf(format, values...))
}

// fold gives the lines of all tables.
func (o *oracle) fold() map[string][]string {
	for target, locations := range o.checks {
		seenAt := make(map[string][]seen)
		for location, checks := range locations {
			seenAt[location] = o.observations(checks)
			o.location(target, location, checks, seenAt[location])
			o.rollups(target, location, checks)
		}
		o.target(target, seenAt)
	}
	for _, lines := range o.lines {
		slices.Sort(lines)
	}
	return o.lines
}

func (o *oracle) location(target, location string, checks []event.CheckCompleted, all []seen) {
	state, since := "unknown", int64(0)
	for _, s := range all {
		if s.changed {
			state, since = s.state, s.at
		}
	}
	last := checks[len(checks)-1]
	total := int32(-1)
	if last.TotalUs != nil {
		total = *last.TotalUs
	}
	o.add("location_states", "%s %s %s %d %d %s %s %d", target, location, state, since, last.Slot.UnixMilli(),
		schemas.EventID(target, location, last.Slot), last.Outcome, total)
}

type turn struct {
	at      int64
	to      string
	opened  int64
	caused  event.CheckCompleted
	flapped int64
}

func (o *oracle) target(target string, seenAt map[string][]seen) {
	slots := make(map[int64]bool)
	for _, all := range seenAt {
		for _, s := range all {
			slots[s.at] = true
		}
	}
	names := slices.Sorted(maps.Keys(seenAt))
	var turns []turn
	state, opened := "unknown", int64(0)
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		var reporting, down, bad int32
		var first, changed *seen
		for _, name := range names {
			last := lastUntil(seenAt[name], slot)
			if last == nil {
				continue
			}
			if last.at == slot && first == nil {
				first = last
			}
			if last.at == slot && last.changed && changed == nil {
				changed = last
			}
			if last.state == "unknown" || last.until < slot {
				continue
			}
			reporting++
			if last.state == "down" {
				down++
			}
			if last.state != "up" {
				bad++
			}
		}
		cause := first
		if changed != nil {
			cause = changed
		}
		r := o.rules(&cause.check)
		if reporting == 0 {
			continue
		}
		to := agreed(reporting, down, bad, r.Quorum)
		if to == state {
			continue
		}
		t := turn{at: slot, to: to, caused: cause.check}
		if state == "down" {
			t.opened, opened = opened, 0
		}
		if to == "down" {
			t.opened, opened = slot, slot
		}
		turns = append(turns, t)
		t.flapped = flappedUntil(turns, &r)
		turns[len(turns)-1] = t
		o.add("transitions", "%s %d %s %s %s %s %s %v %d %d %d", target, slot, state, to, schemas.EventID(target, cause.check.Location, cause.check.Slot),
			cause.check.Location, cause.check.DefinitionVersion, t.flapped > 0, down, reporting, t.opened)
		state = to
	}
	o.incidents(target, turns)
	if len(turns) == 0 {
		o.add("target_states", "%s unknown 0 0 -", target)
		return
	}
	last := turns[len(turns)-1]
	o.add("target_states", "%s %s %d %d %s", target, last.to, last.at, last.flapped, schemas.EventID(target, last.caused.Location, last.caused.Slot))
}

func (o *oracle) incidents(target string, turns []turn) {
	id := func(t turn) string { return schemas.EventID(target, t.caused.Location, t.caused.Slot) }
	for i, t := range turns {
		if t.to != "down" {
			continue
		}
		if i+1 == len(turns) {
			o.add("incidents", "%s %d %s 0 -", target, t.at, id(t))
			continue
		}
		o.add("incidents", "%s %d %s %d %s", target, t.at, id(t), turns[i+1].at, id(turns[i+1]))
	}
}

func lastUntil(all []seen, slot int64) *seen {
	after := sort.Search(len(all), func(i int) bool { return all[i].at > slot })
	if after == 0 {
		return nil
	}
	return &all[after-1]
}

func agreed(reporting, down, bad, quorum int32) string {
	enough := func(n int32) bool {
		if quorum == 0 {
			return 2*n > reporting
		}
		return n >= quorum || n == reporting
	}
	switch {
	case enough(down):
		return "down"
	case enough(bad):
		return "degraded"
	}
	return "up"
}

// flappedUntil is 0 unless the last of turns was one too many in the window.
func flappedUntil(turns []turn, r *event.TargetDefined) int64 {
	window, last := int64(r.FlapWindowS)*1000, turns[len(turns)-1].at
	var within []int64
	for i := len(turns) - 1; i >= 0 && turns[i].at > last-window; i-- {
		within = append(within, turns[i].at)
	}
	if len(within) < int(r.FlapTransitions) {
		return 0
	}
	return within[r.FlapTransitions-1] + window
}

// summed is what one hour or day of a location holds.
type summed struct {
	outcomes map[string]int
	gaps     int
	buckets  map[int]int
}

func (o *oracle) rollups(target, location string, checks []event.CheckCompleted) {
	const hour, day = 3_600_000, 24 * 3_600_000
	all := make(map[string]*summed)
	in := func(at int64) []*summed {
		var spans []*summed
		for _, key := range []string{fmt.Sprintf("hour %d", at/hour*hour), fmt.Sprintf("day %d", at/day*day)} {
			if all[key] == nil {
				all[key] = &summed{outcomes: make(map[string]int), buckets: make(map[int]int)}
			}
			spans = append(spans, all[key])
		}
		return spans
	}
	for i, c := range checks {
		at := c.Slot.UnixMilli()
		for _, s := range in(at) {
			s.outcomes[c.Outcome]++
			if c.TotalUs != nil && *c.TotalUs >= 0 && (c.Outcome == "up" || c.Outcome == "degraded") {
				s.buckets[bucketOf(*c.TotalUs)]++
			}
		}
		if i == 0 {
			continue
		}
		before, now := o.rules(&checks[i-1]).IntervalMs, o.rules(&c).IntervalMs
		if before == 0 || now == 0 {
			continue
		}
		for gap := checks[i-1].Slot.UnixMilli() + int64(max(before, now)); gap < at; gap += int64(max(before, now)) {
			if gap < at-day {
				continue
			}
			for _, s := range in(gap) {
				s.gaps++
			}
		}
	}
	for key, s := range all {
		var buckets []string
		for _, bucket := range slices.Sorted(maps.Keys(s.buckets)) {
			buckets = append(buckets, fmt.Sprintf("%d:%d", bucket, s.buckets[bucket]))
		}
		o.add("rollups", "%s %s %s %d %d %d %d %d [%s]", target, location, key, s.outcomes["up"], s.outcomes["degraded"], s.outcomes["down"],
			s.outcomes["missed"], s.gaps, strings.Join(buckets, ","))
	}
}

// bucketOf is the first b with us <= 1.1^b.
func bucketOf(us int32) int {
	b := 0
	for bound := 1.0; bound < float64(us); bound *= 1.1 {
		b++
	}
	return b
}

// oracleQueries give the tables in the oracle's words.
var oracleQueries = map[string]string{
	"location_states": `SELECT concat_ws(' ', target_id, location, state, ms(since), ms(last_slot), last_event_id, last_outcome, coalesce(last_total_us, -1)) FROM location_states`,
	"target_states":   `SELECT concat_ws(' ', target_id, state, ms(since), ms(flapping_until), coalesce(event_id::text, '-')) FROM target_states`,
	"transitions": `SELECT concat_ws(' ', target_id, ms(slot), from_state, to_state, event_id, location, definition_version, CASE WHEN flapping THEN 'true' ELSE 'false' END,
		locations_down, locations_reporting, ms(incident_opened_at)) FROM transitions`,
	"incidents": `SELECT concat_ws(' ', target_id, ms(opened_at), opened_by, ms(closed_at), coalesce(closed_by::text, '-')) FROM incidents`,
	"rollups": `SELECT concat_ws(' ', target_id, location, span, ms(starts_at), up, degraded, down, missed, gaps,
		'[' || coalesce((SELECT string_agg((e >> 32) || ':' || (e & 4294967295), ',' ORDER BY i) FROM unnest(latency) WITH ORDINALITY AS u(e, i)), '') || ']') FROM rollups`,
}

const createMs = `CREATE OR REPLACE FUNCTION ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN coalesce((extract(epoch FROM at) * 1000)::bigint, 0)`

// checkOracle wants the folds to be what the oracle says of the checks and definitions that are there.
func checkOracle(t *testing.T, pool *pgxpool.Pool, definitions []event.TargetDefined) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), createMs); err != nil {
		t.Fatal(err)
	}
	want := newOracle(storedChecks(t, pool), definitions).fold()
	for table, sql := range oracleQueries {
		got := query(t, pool, sql)
		slices.Sort(got)
		if diff := cmp.Diff(want[table], got); diff != "" {
			t.Errorf("%s: the oracle says (-) something else than what is there (+):\n%.3000s", table, diff)
		}
	}
}
