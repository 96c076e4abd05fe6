package processor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// lab is a database that one case after the other is folded in.
type lab struct {
	t     *testing.T
	pool  *pgxpool.Pool
	store *store
	next  int64 // offset in partition 0
}

// newLab does without waiting for the disk, which no test of the folds is about.
func newLab(t *testing.T) *lab {
	t.Helper()
	cfg := migrated(t).Config()
	cfg.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	l := &lab{t: t, pool: pool, store: newStore(pool)}
	l.next = storedOffset(t, pool, 0)
	return l
}

func (l *lab) clear() {
	l.t.Helper()
	for _, table := range []string{"checks", "definitions", "strips", "location_states", "target_states", "transitions", "rollups", "announcements", "outbox"} {
		if _, err := l.pool.Exec(l.t.Context(), "DELETE FROM "+table); err != nil {
			l.t.Fatal(err)
		}
	}
	clear(l.store.folder.known)
}

// delivery is an event on its way through the log.
type delivery struct {
	event.CheckCompleted
	late bool
}

// came is when the log took it.
func (d *delivery) came() time.Time {
	if d.late {
		return d.StartedAt.Add(time.Hour)
	}
	return d.StartedAt
}

func inTime(events []event.CheckCompleted) []delivery {
	all := make([]delivery, len(events))
	for i := range events {
		all[i].CheckCompleted = events[i]
	}
	return all
}

// write writes one batch.
func (l *lab) write(deliveries ...delivery) {
	l.t.Helper()
	if _, err := l.store.write(l.t.Context(), batchOf(deliveries, l.next)); err != nil {
		l.t.Fatal(err)
	}
	l.next += int64(len(deliveries))
}

func batchOf(deliveries []delivery, next int64) *batch {
	b := &batch{topic: "t", advances: map[int32]advance{0: {expected: next, next: next + int64(len(deliveries))}}}
	for i, d := range deliveries {
		b.rows = append(b.rows, row(d.CheckCompleted))
		b.records = append(b.records, &kgo.Record{Topic: "t", Offset: next + int64(i), Timestamp: d.came()})
	}
	return b
}

// mix delivers a case's events and definitions in an order like the log's or in none, some of them twice, in random batches.
func (l *lab) mix(random *rand.Rand, c *foldCase) {
	l.t.Helper()
	deliveries := c.deliveries(random)
	definitions := slices.Clone(c.definitions)
	random.Shuffle(len(definitions), func(i, j int) { definitions[i], definitions[j] = definitions[j], definitions[i] })
	most := 1 + random.IntN(200)
	if random.IntN(4) == 0 {
		most = len(deliveries)
	}
	for len(deliveries) > 0 {
		if len(definitions) > 0 && random.IntN(3) == 0 {
			n := 1 + random.IntN(len(definitions))
			define(l.t, l.store, definitions[:n]...)
			definitions = definitions[n:]
		}
		n := min(1+random.IntN(most), len(deliveries))
		l.write(deliveries[:n]...)
		deliveries = deliveries[n:]
	}
	define(l.t, l.store, definitions...)
}

// foldCase is a random set of events of a few targets at a few locations, some slots of which have rivals, and definitions of
// most of their versions.
type foldCase struct {
	events      []event.CheckCompleted
	definitions []event.TargetDefined
}

// deliveries are in the order of slots with neighbours exchanged, or in no order. Of a location that is cut off for a while the
// events of that time come after all others and late. Some come twice.
func (c *foldCase) deliveries(random *rand.Rand) []delivery {
	all := inTime(c.events)
	all = append(all, all[:random.IntN(len(all))]...)
	slices.SortStableFunc(all, func(a, b delivery) int { return a.Slot.Compare(b.Slot) })
	if random.IntN(4) == 0 {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	for range len(all) / 5 {
		i := random.IntN(len(all) - 1)
		all[i], all[i+1] = all[i+1], all[i]
	}
	if random.IntN(2) == 0 {
		return all
	}
	cut := all[random.IntN(len(all))]
	until := cut.Slot.Add(time.Duration(1+random.IntN(180)) * time.Minute)
	var now, later []delivery
	for _, d := range all {
		if d.Location == cut.Location && !d.Slot.Before(cut.Slot) && d.Slot.Before(until) {
			d.late = true
			later = append(later, d)
			continue
		}
		now = append(now, d)
	}
	at := random.IntN(len(now) + 1)
	return slices.Concat(now[:at], later, now[at:])
}

var outcomes = []event.Outcome{
	event.OutcomeUp, event.OutcomeUp, event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeDown, event.OutcomeMissed,
}

func randomFoldCase(random *rand.Rand) foldCase {
	var c foldCase
	for target := range 1 + random.IntN(3) {
		c.addTarget(random, fmt.Sprintf("target-%d", target), 20+random.IntN(100))
	}
	return c
}

// addTarget adds a target that has n slots a location and up to three versions, of which each may have an interval of its own.
func (c *foldCase) addTarget(random *rand.Rand, id string, n int) {
	versions := []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"}[:1+random.IntN(3)]
	intervals := make([]time.Duration, len(versions))
	for i := range versions {
		intervals[i] = []time.Duration{10 * time.Second, time.Minute, time.Minute, 5 * time.Minute, time.Hour}[random.IntN(5)]
		if i > 0 && random.IntN(2) == 0 {
			intervals[i] = intervals[i-1]
		}
		if random.IntN(4) > 0 {
			c.definitions = append(c.definitions, randomDefinition(random, id, versions[i], intervals[i]))
		}
	}
	first := firstSlot.Add(20*time.Hour + time.Duration(random.IntN(5))*time.Hour)
	for location := range 1 + random.IntN(4) {
		c.addLocation(random, id, fmt.Sprintf("location-%d", location), versions, intervals, first, n)
	}
}

// addLocation adds checks in streaks of one outcome, with gaps, some of them longer than a day. Where a version follows another,
// two probers run for a while, each with its own.
func (c *foldCase) addLocation(random *rand.Rand, id, location string, versions []string, intervals []time.Duration, first time.Time, n int) {
	outcome := outcomes[0]
	last := firstSlot.Add(4 * day) // today's end: a slot of a day ahead would be a dead letter
	handOver := random.IntN(4)
	slot := first.Add(time.Duration(random.IntN(2*n)) * time.Second)
	for i := range n {
		v := i * len(versions) / n
		slot = slot.Truncate(intervals[v]).Add(intervals[v])
		if random.IntN(150) == 0 {
			slot = slot.Add(time.Duration(20+random.IntN(10)) * time.Hour)
		}
		if !slot.Before(last) {
			return
		}
		if random.IntN(8) == 0 {
			continue // a gap
		}
		if random.IntN(3) == 0 {
			outcome = outcomes[random.IntN(len(outcomes))]
		}
		c.addCheck(random, id, location, versions[v], slot, outcome)
		if (i+handOver)*len(versions)/n > v {
			next := min(v+1, len(versions)-1)
			c.addCheck(random, id, location, versions[next], slot.Truncate(intervals[next]), outcomes[random.IntN(len(outcomes))])
		}
	}
}

// addCheck adds the check of a slot, and now and then a rival that differs in all that folds look at.
func (c *foldCase) addCheck(random *rand.Rand, id, location, version string, slot time.Time, outcome event.Outcome) {
	for range 1 + random.IntN(10)/9 {
		e := newEvent(id, 0)
		e.Location, e.Slot, e.Outcome, e.DefinitionVersion = location, slot, outcome, version
		e.EventID = schemas.EventID(id, location, slot)
		e.StartedAt = slot.Add(time.Duration(random.IntN(3)) * time.Second)
		e.TotalUs = nil
		if total := int32(random.Uint32() >> (1 + random.IntN(31))); random.IntN(20) > 0 {
			e.TotalUs = &total
		}
		if outcome == event.OutcomeDown {
			failure, text := event.FailureStatus, fmt.Sprintf("seen at %d", e.StartedAt.Unix())
			e.Failure, e.FailureText = &failure, &text
		}
		c.events = append(c.events, e)
		outcome = outcomes[random.IntN(len(outcomes))]
		version = []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"}[random.IntN(3)]
	}
}

func randomDefinition(random *rand.Rand, id, version string, interval time.Duration) event.TargetDefined {
	downOf, upOf := 1+random.Int32N(4), 1+random.Int32N(4)
	if random.IntN(8) == 0 {
		downOf, upOf = 20, 19
	}
	return event.TargetDefined{
		TargetID: id, DefinitionVersion: version, DefinedAt: firstSlot, URL: "http://localhost/", IntervalMs: int32(interval.Milliseconds()),
		TimeoutMs: 1000, DownAfter: 1 + random.Int32N(downOf), DownOf: downOf, UpAfter: 1 + random.Int32N(upOf), UpOf: upOf,
		Quorum: random.Int32N(4), FlapTransitions: 2 + random.Int32N(4), FlapWindowS: 60 + random.Int32N(1+int32(random.IntN(86340))),
		SilentAfter: 1 + random.Int32N(4), Definition: "{}",
	}
}

func TestFoldsAreWhatTheOracleSays(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	for run := range seed.Runs(t, 40) {
		l.clear()
		c := randomFoldCase(random)
		l.mix(random, &c)
		checkOracle(t, l.pool, c.definitions)
		if t.Failed() {
			t.Fatalf("run %d", run)
		}
	}
}

func TestFoldsOfThousandsOfChecksAreWhatTheOracleSays(t *testing.T) {
	random := seed.Random(t)
	l := newLab(t)
	var c foldCase
	c.addTarget(random, "target", 4000)
	l.mix(random, &c)
	checkOracle(t, l.pool, c.definitions)
}

// A location whose state was removed by hand does not know of its strips.
func TestStripsThatAreThereUnexpectedlyAreWrittenOver(t *testing.T) {
	l := newLab(t)
	random := seed.Random(t)
	var c foldCase
	for location := range 4 { // at two slots a strip and some 150 slots between long gaps, more strips than a COPY needs
		c.addLocation(random, "target", fmt.Sprintf("location-%d", location), []string{"aaaaaaaaaaaa"}, []time.Duration{5 * time.Minute}, firstSlot, 4000)
	}
	l.write(inTime(c.events)...)
	for _, table := range []string{"checks", "location_states", "target_states", "transitions", "rollups", "announcements", "outbox"} {
		if _, err := l.pool.Exec(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.number("SELECT count(*) FROM strips"); n <= fewStrips {
		t.Fatalf("%v strips, too few for a COPY", n)
	}
	l.write(inTime(c.events)...)
	checkOracle(t, l.pool, nil)
}
