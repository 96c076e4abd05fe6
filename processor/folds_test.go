package processor

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
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
	clean := newLab(t)
	clean.repeat(pool)
	if diff := cmp.Diff(dumpFolds(t, clean.pool), dumpFolds(t, pool)); diff != "" {
		t.Errorf("folds: a clean pass (-) gives something else than what is there (+):\n%s", diff)
	}
}

// repeat makes one clean pass of the checks and definitions of another database.
func (l *lab) repeat(pool *pgxpool.Pool) {
	l.t.Helper()
	for _, text := range query(l.t, pool, "SELECT d::text FROM definitions AS d") {
		if _, err := l.pool.Exec(l.t.Context(), "INSERT INTO definitions SELECT ($1::text::definitions).*", text); err != nil {
			l.t.Fatal(err)
		}
	}
	if checks := storedChecks(l.t, pool); len(checks) > 0 {
		l.write(inTime(checks)...)
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

// TestFoldsAreTheSameInAnyOrderAndAnyBatchesWithAnyRepetition compares byte for byte with one clean pass; what is right at all the
// oracle says (TestFoldsAreWhatTheOracleSays).
func TestFoldsAreTheSameInAnyOrderAndAnyBatchesWithAnyRepetition(t *testing.T) {
	random := seed.Random(t)
	mixed, clean := newLab(t), newLab(t)
	for run := range seed.Runs(t, 12) {
		mixed.clear()
		clean.clear()
		c := randomFoldCase(random)
		mixed.mix(random, &c)
		clean.repeat(mixed.pool)
		if diff := cmp.Diff(dumpFolds(t, clean.pool), dumpFolds(t, mixed.pool)); diff != "" {
			t.Fatalf("run %d: a clean pass (-) gives something else than what is there (+):\n%s", run, diff)
		}
	}
}

func define(t *testing.T, s *store, definitions ...event.TargetDefined) {
	t.Helper()
	if _, err := s.define(t.Context(), definitions); err != nil {
		t.Fatal(err)
	}
}
