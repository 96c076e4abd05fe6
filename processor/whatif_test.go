package processor

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// ask gives what a question says of each target that it folds.
func ask(t *testing.T, pool *pgxpool.Pool, q WhatIfQuestion) (map[string]WhatIfTarget, WhatIfTally) {
	t.Helper()
	targets := make(map[string]WhatIfTarget)
	tally, err := WhatIf(t.Context(), pool, q, func(target WhatIfTarget) { targets[target.ID] = target })
	if err != nil {
		t.Fatal(err)
	}
	return targets, tally
}

// everyVersion are those that a case may have, and renamed the ones that stand for them under other rules. They sort alike, so that
// of rivals the same ones are kept.
var (
	everyVersion = []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"}
	renamed      = map[string]string{"aaaaaaaaaaaa": "dddddddddddd", "bbbbbbbbbbbb": "eeeeeeeeeeee", "cccccccccccc": "ffffffffffff"}
)

// targets lists the targets of a case.
func (c *foldCase) targets() []string {
	ids := make(map[string]bool)
	for _, e := range c.events {
		ids[e.TargetID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// otherRules gives each target random rules.
func (c *foldCase) otherRules(random *rand.Rand) map[string]Rules {
	other := make(map[string]Rules)
	for _, id := range c.targets() {
		d := randomDefinition(random, id, "", time.Minute)
		other[id] = Rules{
			DownAfter: int(d.DownAfter), DownOf: int(d.DownOf), UpAfter: int(d.UpAfter), UpOf: int(d.UpOf), Quorum: int(d.Quorum),
			FlapTransitions: int(d.FlapTransitions), FlapWindow: time.Duration(d.FlapWindowS) * time.Second, SilentAfter: int(d.SilentAfter),
		}
	}
	return other
}

// ruled gives a definition of every version with other rules and, where it is defined, its interval.
func (c *foldCase) ruled(other map[string]Rules) []event.TargetDefined {
	var definitions []event.TargetDefined
	for id, r := range other {
		for _, version := range everyVersion {
			d := event.TargetDefined{TargetID: id, DefinitionVersion: version, DefinedAt: firstSlot, Definition: "{}"}
			for _, known := range c.definitions {
				if known.TargetID == id && known.DefinitionVersion == version {
					d = known
				}
			}
			d.DownAfter, d.DownOf, d.UpAfter, d.UpOf = int32(r.DownAfter), int32(r.DownOf), int32(r.UpAfter), int32(r.UpOf)
			d.Quorum, d.FlapTransitions = int32(r.Quorum), int32(r.FlapTransitions)
			d.FlapWindowS, d.SilentAfter = int32(r.FlapWindow/time.Second), int32(r.SilentAfter)
			definitions = append(definitions, d)
		}
	}
	return definitions
}

// randomSpan is the time of a question: all of it, or from or to a slot of the case.
func (c *foldCase) randomSpan(random *rand.Rand) (from, to time.Time) {
	if random.IntN(2) == 0 {
		from = c.events[random.IntN(len(c.events))].Slot.Add(time.Duration(random.IntN(2000)) * time.Second)
	}
	if random.IntN(2) == 0 {
		to = c.events[random.IntN(len(c.events))].Slot
	}
	return from, to
}

// obey folds a case's events in one pass, those from a moment on by other rules.
func (l *lab) obey(c *foldCase, other map[string]Rules, from time.Time) {
	l.t.Helper()
	definitions := slices.Clone(c.definitions)
	for _, d := range c.ruled(other) {
		d.DefinitionVersion = renamed[d.DefinitionVersion]
		definitions = append(definitions, d)
	}
	define(l.t, l.store, definitions...)
	events := slices.Clone(c.events)
	for i := range events {
		if !events[i].Slot.Before(from.Truncate(10 * time.Minute)) {
			events[i].DefinitionVersion = renamed[events[i].DefinitionVersion]
		}
	}
	l.write(inTime(events)...)
}

// inSpan are the checks and transitions of the target $1 from $2 on, as slots are folded, and before $3.
const inSpan = `WITH span AS (SELECT min(slot) AS first, max(slot) AS last FROM checks WHERE target_id = $1 AND slot >= $2 AND slot < $3),
	turns AS (SELECT slot, from_state, to_state, flapping, lead(slot) OVER (ORDER BY slot) AS next FROM transitions WHERE target_id = $1 AND slot < $3)`

// outlook says what the tables have of a target in a time; there are no checks in it if not found.
func (l *lab) outlook(id string, from, to time.Time) (o Outlook, found bool) {
	l.t.Helper()
	lasts := func(state string) string {
		return fmt.Sprintf(`(SELECT coalesce(sum(extract(epoch FROM coalesce(next, last) - greatest(slot, first)) * 1000), 0)::bigint FROM turns, span
			WHERE to_state = '%s' AND coalesce(next, last) > first)`, state)
	}
	err := l.pool.QueryRow(l.t.Context(), inSpan+`SELECT first IS NOT NULL,
		(SELECT count(*) FROM turns WHERE to_state = 'down' AND coalesce(next >= first, true)),
		(SELECT count(*) FROM turns WHERE 'down' IN (from_state, to_state) AND NOT flapping AND slot >= first),`+
		lasts("up")+","+lasts("degraded")+","+lasts("down")+" FROM span", id, from, to).Scan(&found, &o.Incidents, &o.Pages, &o.UpMs, &o.DegradedMs, &o.DownMs)
	if err != nil {
		l.t.Fatal(err)
	}
	return o, found
}

// each gives the incidents and the pages of a target in a time, a line each.
func (l *lab) each(id string, from, to time.Time) (incidents, pages []string) {
	l.t.Helper()
	for sql, lines := range map[string]*[]string{
		"SELECT ms(slot) || ' ' || ms(next) FROM turns, span WHERE to_state = 'down' AND coalesce(next >= first, true) ORDER BY slot":                            &incidents,
		"SELECT ms(slot) || ' ' || (to_state = 'down') FROM turns, span WHERE 'down' IN (from_state, to_state) AND NOT flapping AND slot >= first ORDER BY slot": &pages,
	} {
		rows, err := l.pool.Query(l.t.Context(), inSpan+sql, id, from, to)
		if err == nil {
			*lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
	return incidents, pages
}

// without gives the lines that other does not have.
func without(lines, other []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(other, line) })
}

func incidentLines(changes []IncidentChange, of func(IncidentChange) []Incident) []string {
	var lines []string
	for _, c := range changes {
		for _, i := range of(c) {
			closed := int64(0)
			if !i.ClosedAt.IsZero() {
				closed = i.ClosedAt.UnixMilli()
			}
			lines = append(lines, fmt.Sprintf("%d %d", i.OpenedAt.UnixMilli(), closed))
		}
	}
	return lines
}

func TestOtherRulesSayWhatAPassByThemWrites(t *testing.T) {
	random := seed.Random(t)
	mixed, obedient := newLab(t), newLab(t)
	for _, l := range []*lab{mixed, obedient} {
		if _, err := l.pool.Exec(t.Context(), createMs); err != nil {
			t.Fatal(err)
		}
	}
	for run := range seed.Runs(t, 40) {
		mixed.clear()
		obedient.clear()
		c := randomFoldCase(random)
		mixed.mix(random, &c)
		q := WhatIfQuestion{Rules: c.otherRules(random)}
		q.From, q.To = c.randomSpan(random)
		obedient.obey(&c, q.Rules, q.From)
		got, _ := ask(t, mixed.pool, q)
		for id := range q.Rules {
			checkWhatIf(t, mixed, obedient, got, id, q)
		}
		if t.Failed() {
			t.Fatalf("run %d: from %v to %v", run, q.From, q.To)
		}
	}
}

// checkWhatIf wants what was said of a target to be the difference between two databases.
func checkWhatIf(t *testing.T, mixed, obedient *lab, got map[string]WhatIfTarget, id string, q WhatIfQuestion) {
	t.Helper()
	from, to := q.From.Truncate(10*time.Minute), q.To
	if to.IsZero() {
		to = firstSlot.Add(30 * day)
	}
	said, folded := got[id]
	was, found := mixed.outlook(id, from, to)
	would, _ := obedient.outlook(id, from, to)
	if folded != found {
		t.Fatalf("%s: folded is %v, and that it has checks is %v", id, folded, found)
	}
	if !found {
		return
	}
	if diff := cmp.Diff([]Outlook{was, would}, []Outlook{said.Was, said.Would}); diff != "" {
		t.Errorf("%s: the tables say (-) something else than the question (+):\n%s", id, diff)
	}
	if said.Stale {
		t.Errorf("%s: the tables do not fit their checks", id)
	}
	wasDown, wasTold := mixed.each(id, from, to)
	wouldDown, wouldTold := obedient.each(id, from, to)
	for _, side := range []struct {
		want, got []string
	}{
		{without(wasDown, wouldDown), incidentLines(said.Changes, func(c IncidentChange) []Incident { return c.Was })},
		{without(wouldDown, wasDown), incidentLines(said.Changes, func(c IncidentChange) []Incident { return c.Would })},
	} {
		if !slices.Equal(side.want, side.got) {
			t.Errorf("%s: incidents that differ: got %q, want %q", id, side.got, side.want)
		}
	}
	if gone, added := len(without(wasTold, wouldTold)), len(without(wouldTold, wasTold)); said.PagesGone != gone || said.PagesNew != added {
		t.Errorf("%s: %d pages gone and %d new, want %d and %d", id, said.PagesGone, said.PagesNew, gone, added)
	}
}

func TestTheSameRulesMakeNoDifference(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for run := range seed.Runs(t, 20) {
		l.clear()
		c := randomFoldCase(random)
		q := WhatIfQuestion{Rules: c.otherRules(random)}
		c.definitions = c.ruled(q.Rules)
		l.mix(random, &c)
		for range 4 {
			q.From, q.To = c.randomSpan(random)
			got, _ := ask(t, l.pool, q)
			for id, target := range got {
				if target.Differs() || target.Stale {
					t.Fatalf("run %d, %s from %v to %v: %+v", run, id, q.From, q.To, target)
				}
			}
		}
	}
}

// everyTable gives all rows of all tables, partitions included, as text.
func everyTable(t *testing.T, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, table := range query(t, pool, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()") {
		all[table] = query(t, pool, fmt.Sprintf("SELECT t::text || t.xmin FROM %s AS t ORDER BY 1", pgx.Identifier{table}.Sanitize()))
	}
	return all
}

func TestAQuestionAboutOtherRulesWritesNothing(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	c := randomFoldCase(random)
	l.mix(random, &c)
	before := everyTable(t, l.pool)
	cfg := l.pool.Config()
	cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	reading, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	for _, pool := range []*pgxpool.Pool{reading, l.pool} {
		if got, _ := ask(t, pool, WhatIfQuestion{Rules: c.otherRules(random)}); len(got) != len(c.targets()) {
			t.Errorf("folded %d targets, want %d", len(got), len(c.targets()))
		}
	}
	if diff := cmp.Diff(before, everyTable(t, l.pool)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestTablesThatDoNotFitTheirChecksAreSaid(t *testing.T) {
	l := newLab(t)
	events := newEvents(70)
	for i := range events {
		if i%28 >= 14 {
			events[i].Outcome = event.OutcomeDown
		}
	}
	l.write(inTime(events)...)
	q := WhatIfQuestion{Rules: map[string]Rules{"target-1": defaultsAsSaid(), "target-2": defaultsAsSaid(), "nobody": defaultsAsSaid()}}
	got, tally := ask(t, l.pool, q)
	if len(got) != 2 || tally.Others != 5 || !slices.Equal(tally.Unchecked, []string{"nobody"}) {
		t.Errorf("got %v, %+v", got, tally)
	}
	for _, damage := range []string{
		"DELETE FROM transitions WHERE target_id = 'target-1' AND to_state = 'down'",
		`INSERT INTO transitions (target_id, slot, from_state, to_state, event_id, location, definition_version, flapping, locations_down, locations_reporting)
			SELECT target_id, slot + interval '1 ms', 'up', 'down', event_id, location, definition_version, false, 1, 1 FROM transitions WHERE target_id = 'target-1'`,
		"UPDATE transitions SET flapping = NOT flapping WHERE target_id = 'target-1'",
	} {
		l.clear()
		l.write(inTime(events)...)
		if _, err := l.pool.Exec(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		if got, _ := ask(t, l.pool, q); !got["target-1"].Stale || got["target-2"].Stale {
			t.Errorf("%s: got %+v", damage, got)
		}
	}
}

// defaultsAsSaid are the default rules as people give them.
func defaultsAsSaid() Rules {
	return Rules{DownAfter: 2, DownOf: 3, UpAfter: 2, UpOf: 2, FlapTransitions: 5, FlapWindow: time.Hour, SilentAfter: 3}
}

func TestIncidentsThatOverlapAreOneChange(t *testing.T) {
	const open = int64(1<<63 - 1)
	for _, c := range []struct {
		kind       string // of each change, in order
		was, would []downtime
	}{
		{"", nil, nil},
		{"", []downtime{{1, 3}, {5, open}}, []downtime{{1, 3}, {5, open}}},
		{"new", nil, []downtime{{1, 3}}},
		{"gone", []downtime{{1, open}}, nil},
		{"gone new", []downtime{{1, 3}}, []downtime{{3, 5}}}, // one ends with the slot that the other begins with
		{"longer", []downtime{{1, 3}}, []downtime{{1, 4}}},
		{"shorter", []downtime{{1, open}}, []downtime{{1, 4}}},
		{"moved", []downtime{{1, 3}}, []downtime{{2, 4}}},
		{"joined", []downtime{{1, 3}, {5, 7}}, []downtime{{2, 6}}},
		{"split new", []downtime{{1, 8}}, []downtime{{1, 2}, {4, 5}, {8, 9}}},
		{"longer", []downtime{{1, 4}, {6, 9}}, []downtime{{3, 7}, {8, 20}}},
	} {
		var kinds []string
		for _, change := range incidentChanges(c.was, c.would, 100) {
			kinds = append(kinds, change.Kind)
		}
		if got := strings.Join(kinds, " "); got != c.kind {
			t.Errorf("%v and %v: got %q, want %q", c.was, c.would, got, c.kind)
		}
	}
}

// reads notes what strips are asked for.
type reads struct {
	statements
	widest  time.Duration
	targets map[any]bool
}

// TraceQueryStart is part of pgx.QueryTracer.
func (r *reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if strings.Contains(d.SQL, "name: ListStripsBetween") {
		r.targets[d.Args[0]] = true
		r.widest = max(r.widest, d.Args[2].(time.Time).Sub(d.Args[1].(time.Time)))
	}
	return ctx
}

func TestADayOfOneTargetIsReadAtATime(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	var c foldCase
	for n := range 20 {
		c.addTarget(random, fmt.Sprintf("target-%d", n), 100)
	}
	l.mix(random, &c)
	cfg := l.pool.Config()
	r := &reads{statements: func(context.Context, *pgx.Conn, string) {}, targets: make(map[any]bool)}
	cfg.ConnConfig.Tracer = r
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ask(t, pool, WhatIfQuestion{Rules: c.otherRules(random)})
	if r.widest != day || len(r.targets) != 20 {
		t.Errorf("strips of %v were read at once, and of %d targets by themselves", r.widest, len(r.targets))
	}
}
