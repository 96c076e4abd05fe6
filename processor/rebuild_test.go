package processor

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// rebuilder gives a Rebuilder on the pipeline; change, which may be nil, adapts its configuration.
func (p *pipeline) rebuilder(change func(*RebuildConfig)) *Rebuilder {
	p.t.Helper()
	r, err := NewRebuilder(p.t.Context(), p.rebuildConfig(change))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(r.Close)
	return r
}

// close ends a rebuilder and waits until the server has heard of it, and of its lock's end.
func (p *pipeline) close(r *Rebuilder) {
	p.t.Helper()
	r.Close()
	for len(query(p.t, p.pool, "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")) > 0 {
	}
}

func (p *pipeline) rebuildConfig(change func(*RebuildConfig)) RebuildConfig {
	p.t.Helper()
	cfg := RebuildConfig{Config: Config{
		Topic: p.topic, DeadTopic: p.dead, Kafka: p.kafka.Opts(), Registry: p.schemas(), Pool: p.pool, Logger: slog.New(p.logs),
	}}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// rebuild runs one and says what differed; swapped is what is wanted of it.
func (p *pipeline) rebuild(accept, swapped bool, change func(*RebuildConfig)) (differing []string) {
	p.t.Helper()
	r := p.rebuilder(change)
	defer p.close(r)
	result, err := r.Run(p.t.Context(), accept)
	if err != nil {
		p.t.Fatal(err)
	}
	if result.Swapped != swapped {
		p.t.Errorf("swapped: %v, want %v; compared %+v", result.Swapped, swapped, result.Compared)
	}
	for _, c := range result.Compared {
		if c.Differing() {
			differing = append(differing, fmt.Sprintf("%s: %d and %d rows", c.Table, c.LiveRows, c.NextRows))
			if len(c.Differences) == 0 {
				p.t.Errorf("no difference of %s is named", c.Table)
			}
		}
	}
	return differing
}

// contents gives the rows of all tables in use but goose's, partitions included, as text.
func (p *pipeline) contents() map[string][]string {
	p.t.Helper()
	all := make(map[string][]string)
	for _, table := range query(p.t, p.pool, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()") {
		if table != migrationsTable {
			all[table] = query(p.t, p.pool, fmt.Sprintf("SELECT t::text FROM %s AS t ORDER BY 1", pgx.Identifier{table}.Sanitize()))
		}
	}
	return all
}

func TestARebuildBesideAProcessorEndsInTheTablesOfOnePassAndTellsNewsOnce(t *testing.T) {
	p := newPipeline(t, 2)
	live := p.start(nil)
	events := recentEvents("site", up, up, down, down, down, up, up)
	for _, e := range events[:4] {
		p.produceAt(e.Slot, e)
	}
	others := newEvents(300)
	p.produce(2, others[:200]...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Partition: 1, Value: []byte("garbage")})
	live.await(205)
	more := others[200:]
	differing := p.rebuild(false, true, func(c *RebuildConfig) {
		c.BatchRecords = 20
		c.OnProgress = func(RebuildProgress) {
			if n := min(5, len(more)); n > 0 {
				p.produce(2, more[:n]...)
				more = more[n:]
			}
		}
	})
	if differing != nil {
		t.Errorf("%q differ", differing)
	}
	p.produce(2, more...)
	for _, e := range events[4:] {
		p.produceAt(e.Slot, e)
	}
	live.await(308)
	p.readDead(1)
	told := p.readTransitions(3)
	live.finish()
	if left := query(t, p.pool, "SELECT event_id::text FROM outbox"); len(left) > 0 || told[2].To != "up" {
		t.Errorf("told %+v, and %q is left", told, left)
	}
	p.checkInvariants(append(others, events...), 1)
	if kept := query(t, p.pool, "SELECT count(*)::text FROM public_before_rebuild.checks"); kept[0] == "0" {
		t.Error("the tables from before are not kept")
	}
	if said := p.logs.with("permanent"); len(said) > 0 {
		t.Errorf("said %q", said)
	}
}

func TestARebuildNamesWhatDiffersAndMendsItOnceAccepted(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(60)
	p.produce(2, events...)
	p.process(60)
	want := p.contents()
	for _, sql := range []string{
		"DELETE FROM checks WHERE event_id = (SELECT event_id FROM checks ORDER BY event_id LIMIT 1)",
		"UPDATE rollups SET up = up + 1 WHERE target_id = 'target-2' AND span = 'day'",
		"DELETE FROM strips WHERE target_id = 'target-3'",
		"UPDATE target_states SET state = 'down' WHERE target_id = 'target-4'",
	} {
		p.exec(sql)
	}
	differing := p.rebuild(false, false, nil)
	for _, table := range []string{"checks: 59 and 60 rows", "strips: ", "target_states: 7 and 7 rows", "rollups: 14 and 14 rows"} {
		if !strings.Contains(strings.Join(differing, "\n"), table) {
			t.Errorf("differing: %q, want %q among them", differing, table)
		}
	}
	if rows := len(dump(t, p.pool)); rows != 59 {
		t.Errorf("%d rows are in use, want the 59 from before", rows)
	}
	p.rebuild(true, true, nil)
	if diff := cmp.Diff(want, p.contents()); diff != "" {
		t.Errorf("(-before the damage +rebuilt):\n%s", diff)
	}
}

func TestARebuildTakesOverWhatTheLogNoLongerHas(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(60)
	p.produce(2, events...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.process(61)
	p.deleteUpTo(0, 20)
	want := p.contents()
	if differing := p.rebuild(false, true, nil); differing != nil {
		t.Errorf("%q differ", differing)
	}
	if diff := cmp.Diff(want, p.contents()); diff != "" {
		t.Errorf("(-before +rebuilt):\n%s", diff)
	}
}

func TestARebuildOfWhatRetentionHasCutOffChangesNothing(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	p.process(0)
	store := newStore(p.pool)
	for n := range 6 {
		l := &lab{t: t, pool: p.pool, store: store, next: storedOffset(t, p.pool, 0)}
		l.clear()
		clear(store.days)
		c := randomFoldCase(random)
		tomorrow := time.Now().UTC().Truncate(day).Add(day) // from then on the log would decide, which has nothing here
		c.events = slices.DeleteFunc(c.events, func(e event.CheckCompleted) bool { return !e.Slot.Before(tomorrow) })
		l.mix(random, &c)
		days := query(t, p.pool, "SELECT DISTINCT slot::date::text FROM checks ORDER BY 1")
		first := random.IntN(len(days)) // strips are dropped after checks, and may have had to be left
		p.exec(fmt.Sprintf("SELECT drop_checks_partitions('%s'), drop_strips_partitions('%s')", days[first], days[random.IntN(first+1)]))
		want := p.contents()
		r := p.rebuilder(func(c *RebuildConfig) { c.Retention, c.BatchRecords = day, 1+random.IntN(500) })
		result, err := r.Run(t.Context(), true)
		if err != nil || !result.Swapped || result.Differs() {
			t.Fatalf("case %d: %+v, %v", n, result, err)
		}
		if diff := cmp.Diff(want, p.contents()); diff != "" {
			t.Fatalf("case %d (-before +rebuilt):\n%s", n, diff)
		}
		if _, err := r.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

func TestARebuildOfARandomLogWithALostBeginningChangesNothing(t *testing.T) {
	random := seed.Random(t)
	for range 2 {
		p := newPipeline(t, 2)
		c := randomFoldCase(random)
		now := time.Now()
		deliveries := slices.DeleteFunc(c.deliveries(random), func(d delivery) bool { return d.came().After(now) }) // Kafka refuses them
		slices.SortStableFunc(deliveries, func(a, b delivery) int { return a.came().Compare(b.came()) })
		ends := make(map[int32]int64)
		var records []*kgo.Record
		for _, d := range deliveries {
			partition := random.Int32N(2)
			ends[partition]++
			records = append(records, &kgo.Record{Topic: p.topic, Partition: partition, Key: []byte(d.TargetID), Value: p.value(d.CheckCompleted), Timestamp: d.came()})
		}
		p.produceRecords(records...)
		half := len(c.definitions) / 2
		define(t, newStore(p.pool), c.definitions[:half]...)
		p.process(len(records))
		define(t, newStore(p.pool), c.definitions[half:]...)
		p.deleteUpTo(0, random.Int64N(ends[0]+1))
		want := p.contents()
		if differing := p.rebuild(false, true, func(c *RebuildConfig) { c.BatchRecords = 1 + random.IntN(500) }); differing != nil {
			t.Errorf("%q differ", differing)
		}
		if diff := cmp.Diff(want, p.contents()); diff != "" {
			t.Fatalf("(-before +rebuilt):\n%s", diff)
		}
	}
}

func TestARollbackBringsTheTablesFromBeforeUpToDate(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(60)
	p.produce(2, events[:40]...)
	p.process(40)
	p.exec("UPDATE rollups SET up = up + 1 WHERE target_id = 'target-2' AND span = 'day'")
	p.rebuild(true, true, nil)
	p.produce(2, events[40:]...)
	p.process(20)
	want := p.contents()
	r := p.rebuilder(nil)
	for _, up := range []string{"10", "9"} { // the second one undoes the first
		if result, err := r.Rollback(t.Context()); err != nil || !result.Swapped {
			t.Fatalf("%+v, %v", result, err)
		}
		p.checkIDs(events)
		if got := query(t, p.pool, "SELECT up::text FROM rollups WHERE target_id = 'target-2' AND span = 'day'"); got[0] != up {
			t.Errorf("%s checks of target-2 are counted, want %s", got[0], up)
		}
	}
	if diff := cmp.Diff(want, p.contents()); diff != "" {
		t.Errorf("(-before +after two rollbacks):\n%s", diff)
	}
	dropped, err := r.Discard(t.Context())
	if diff := cmp.Diff([]string{"public_before_rebuild"}, dropped); diff != "" || err != nil {
		t.Errorf("discarding: %v (-want +got):\n%s", err, diff)
	}
	var permanent *PermanentError
	if _, err := r.Rollback(t.Context()); !errors.As(err, &permanent) {
		t.Errorf("a rollback to nothing: got %v, want a PermanentError", err)
	}
}

func TestWebcheckTablesAreAllThatAMigratedSchemaHas(t *testing.T) {
	pool := migrated(t)
	got := query(t, pool, `
SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition ORDER BY relname COLLATE "C"`)
	want := slices.Sorted(slices.Values(slices.Concat(webcheckTables, webcheckViews)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-listed +migrated):\n%s", diff)
	}
}
