package processor

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// foldTables are the tables that a set of events and definitions decides, byte for byte, with the order of their rows. What was
// announced and what is on its way out is no fold.
var foldTables = map[string]string{
	"definitions":     "target_id, definition_version",
	"strips":          "target_id, location, starts_at, definition_version",
	"location_states": "target_id, location",
	"target_states":   "target_id",
	"transitions":     "target_id, slot",
	"rollups":         "target_id, location, span, starts_at",
}

// dumpFolds gives every fold's rows as text, by table.
func dumpFolds(t *testing.T, pool *pgxpool.Pool) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for table, order := range foldTables {
		all[table] = query(t, pool, fmt.Sprintf("SELECT t::text FROM %s AS t ORDER BY %s", table, order))
	}
	return all
}

// checkFolds wants the folds to be what one clean pass makes of the same checks and definitions.
func checkFolds(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	clean := migrated(t)
	definitions, err := pool.Query(t.Context(), "SELECT d::text FROM definitions AS d")
	if err != nil {
		t.Fatal(err)
	}
	defer definitions.Close()
	for definitions.Next() {
		var text string
		if err := definitions.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if _, err := clean.Exec(t.Context(), "INSERT INTO definitions SELECT ($1::text::definitions).*", text); err != nil {
			t.Fatal(err)
		}
	}
	checks := storedChecks(t, pool)
	if len(checks) > 0 {
		writeAll(t, clean, checks, func() int { return len(checks) })
	}
	if diff := cmp.Diff(dumpFolds(t, clean), dumpFolds(t, pool)); diff != "" {
		t.Errorf("folds: a clean pass (-) gives something else than what is there (+):\n%s", diff)
	}
}

// storedChecks gives what folds need of the checks, in the order of their ids.
func storedChecks(t *testing.T, pool *pgxpool.Pool) []event.CheckCompleted {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT event_id, target_id, location, slot, started_at, outcome, total_us, definition_version,
		prober, attempts FROM checks ORDER BY event_id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var checks []event.CheckCompleted
	for rows.Next() {
		var c event.CheckCompleted
		if err := rows.Scan(&c.EventID, &c.TargetID, &c.Location, &c.Slot, &c.StartedAt, &c.Outcome, &c.TotalUs, &c.DefinitionVersion,
			&c.Prober, &c.Attempts); err != nil {
			t.Fatal(err)
		}
		checks = append(checks, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return checks
}

// foldCase is a random set of events of a few targets at a few locations, some slots of which have rivals, and definitions of
// most of their versions.
type foldCase struct {
	events      []event.CheckCompleted
	definitions []event.TargetDefined
}

func randomFoldCase(random *rand.Rand) foldCase {
	var c foldCase
	outcomes := []event.Outcome{event.OutcomeUp, event.OutcomeUp, event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeDown, event.OutcomeMissed}
	for target := range 1 + random.IntN(3) {
		id := fmt.Sprintf("target-%d", target)
		interval := []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute}[random.IntN(3)]
		versions := []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"}[:1+random.IntN(3)]
		for _, version := range versions {
			if random.IntN(4) > 0 {
				c.definitions = append(c.definitions, randomDefinition(random, id, version, interval))
			}
		}
		for location := range 1 + random.IntN(3) {
			outcome := outcomes[0]
			for n := range 20 + random.IntN(100) {
				if random.IntN(8) == 0 {
					continue // a gap
				}
				if random.IntN(3) == 0 {
					outcome = outcomes[random.IntN(len(outcomes))]
				}
				slot := firstSlot.Add(23 * time.Hour).Add(time.Duration(n) * interval)
				e := newEvent(id, 0)
				e.Location, e.Slot, e.Outcome = fmt.Sprintf("location-%d", location), slot, outcome
				e.DefinitionVersion = versions[min(n*len(versions)/100+random.IntN(50)/49, len(versions)-1)]
				for range 1 + random.IntN(10)/9 { // some slots have two
					total := int32(random.IntN(5_000_000))
					e.TotalUs = &total
					e.StartedAt = slot.Add(time.Duration(random.IntN(3)) * time.Second)
					e.EventID = schemas.EventID(id, e.Location, slot)
					c.events = append(c.events, e)
					e.Outcome = outcomes[random.IntN(len(outcomes))]
				}
			}
		}
	}
	return c
}

func randomDefinition(random *rand.Rand, id, version string, interval time.Duration) event.TargetDefined {
	downOf, upOf := 1+random.Int32N(4), 1+random.Int32N(4)
	return event.TargetDefined{
		TargetID: id, DefinitionVersion: version, DefinedAt: firstSlot, URL: "http://localhost/", IntervalMs: int32(interval.Milliseconds()),
		TimeoutMs: 1000, DownAfter: 1 + random.Int32N(downOf), DownOf: downOf, UpAfter: 1 + random.Int32N(upOf), UpOf: upOf,
		Quorum: random.Int32N(3), FlapTransitions: 2 + random.Int32N(3), FlapWindowS: 60 + random.Int32N(3600), SilentAfter: 1 + random.Int32N(4),
		Definition: "{}",
	}
}

func TestFoldsAreTheSameInAnyOrderAndAnyBatchesWithAnyRepetition(t *testing.T) {
	random := seed.Random(t)
	for run := range 12 {
		c := randomFoldCase(random)
		mixed := migrated(t)
		twice := append(append([]event.CheckCompleted(nil), c.events...), c.events[:random.IntN(len(c.events))]...)
		if run%3 > 0 { // mostly in order, as Kafka brings them, or in none at all
			for range len(twice) / 5 {
				i := random.IntN(len(twice) - 1)
				twice[i], twice[i+1] = twice[i+1], twice[i]
			}
		} else {
			random.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		}
		definitions := c.definitions
		s := newStore(mixed)
		expected := storedOffset(t, mixed, 0)
		for len(twice) > 0 {
			if len(definitions) > 0 && random.IntN(3) == 0 {
				define(t, s, definitions[0])
				definitions = definitions[1:]
			}
			n := min(1+random.IntN(40), len(twice))
			if _, err := s.write(t.Context(), testBatch(twice[:n], expected)); err != nil {
				t.Fatal(err)
			}
			twice, expected = twice[n:], expected+int64(n)
		}
		for _, d := range definitions {
			define(t, s, d)
		}
		checkFolds(t, mixed)
		if t.Failed() {
			t.Fatalf("run %d", run)
		}
	}
}

func define(t *testing.T, s *store, definitions ...event.TargetDefined) {
	t.Helper()
	if _, err := s.define(t.Context(), definitions); err != nil {
		t.Fatal(err)
	}
}
