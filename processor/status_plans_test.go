package processor

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
	"webcheck/status"
)

// asked keeps what PostgreSQL is asked.
type asked []pgx.TraceQueryStartData

// TraceQueryStart is part of pgx.QueryTracer.
func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	*a = append(*a, d)
	return ctx
}

// TraceQueryEnd is part of pgx.QueryTracer.
func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestWhatAStatusPageAsksReadsNoHistoryFromEndToEnd(t *testing.T) {
	pool, queries := withHistory(t)
	q, since, until := db.New(), firstSlot.Add(-40*time.Hour), firstSlot
	_, statusesErr := q.ListStatuses(t.Context(), pool, db.ListStatusesParams{UpTo: 10_000})
	_, locationsErr := q.ListLocationStatuses(t.Context(), pool, db.ListLocationStatusesParams{Last: "~"})
	_, countsErr := q.CountChecks(t.Context(), pool, db.CountChecksParams{Since: since, First: "target-100", Last: "target-199"})
	_, byTimeErr := q.CountChecksByTime(t.Context(), pool, db.CountChecksByTimeParams{Target: "target-150", Span: spanHour, Since: since, Until: until})
	rollups, rollupsErr := status.Rollups(t.Context(), pool, db.ListRollupsByTimeParams{
		Target: "target-150", Locations: []string{"here", "there"}, Span: spanHour, Since: since, Until: until})
	incidents, incidentsErr := q.ListIncidents(t.Context(), pool, db.ListIncidentsParams{Target: "target-150", Before: until, UpTo: 5})
	for _, err := range []error{statusesErr, locationsErr, countsErr, byTimeErr, rollupsErr, incidentsErr} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(rollups) != 40 || len(incidents) != 5 {
		t.Fatalf("got %d rollups and %d incidents, want 40 and 5", len(rollups), len(incidents))
	}
	wholly := regexp.MustCompile(`Seq Scan on (rollups|transitions|checks|strips)`)
	for i, plan := range queries.plans(t, pool) {
		if wholly.MatchString(plan) {
			t.Errorf("%s\n%s", (*queries)[i].SQL, plan)
		}
	}
}

func TestAPageOfStatusesReadsAPage(t *testing.T) {
	pool, queries := withHistory(t)
	for _, after := range []string{"", "target-200"} {
		page, err := db.New().ListStatuses(t.Context(), pool, db.ListStatusesParams{After: after, UpTo: 10})
		if err != nil || len(page) != 10 {
			t.Fatalf("got %d targets, want 10: %v", len(page), err)
		}
	}
	read := regexp.MustCompile(`on (?:target|location)_states.* rows=(\d+)(?:\.\d+)? loops=1\)`)
	for i, plan := range queries.plans(t, pool) {
		tables := read.FindAllStringSubmatch(plan, -1)
		for _, table := range tables {
			// One more than the page, and at each location.
			if rows, err := strconv.Atoi(table[1]); err != nil || rows > 2*11 {
				t.Errorf("%s\n%s", (*queries)[i].SQL, plan)
			}
		}
		if len(tables) != 2 {
			t.Errorf("does not tell what was read of two tables:\n%s", plan)
		}
	}
}

// withHistory gives a pool of a database with a history, and what it is asked from now on.
func withHistory(t *testing.T) (*pgxpool.Pool, *asked) {
	t.Helper()
	cfg := migrated(t).Config()
	queries := new(asked)
	cfg.ConnConfig.Tracer = queries
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	fillHistory(t, pool)
	*queries = nil
	return pool, queries
}

// plans says how PostgreSQL answered each question, and runs it once more to tell.
func (a *asked) plans(t *testing.T, pool *pgxpool.Pool) (plans []string) {
	t.Helper()
	for _, question := range slices.Clone(*a) {
		rows, err := pool.Query(t.Context(), "EXPLAIN ANALYZE "+question.SQL, question.Args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, strings.Join(lines, "\n"))
	}
	return plans
}

// fillHistory makes 300 targets at two locations, with 60 hours and 20 transitions each.
func fillHistory(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO target_states (target_id, state) SELECT 'target-' || n, 'up' FROM generate_series(100, 399) AS n`,
		`INSERT INTO location_states SELECT $1::timestamptz, $1, gen_random_uuid(), 5000, target_id, location, 'up', 'up', '{}'
			FROM target_states, unnest('{here,there}'::text[]) AS location`,
		`INSERT INTO rollups SELECT $1::timestamptz - hours * interval '1 hour', 60, 0, 0, 0, 0, target_id, location, 'hour', '{}'
			FROM location_states, generate_series(1, 60) AS hours`,
		`INSERT INTO transitions (slot, event_id, locations_down, locations_reporting, flapping, target_id, location, definition_version, from_state, to_state)
			SELECT $1::timestamptz - minutes * interval '1 minute', gen_random_uuid(), minutes % 2, 1, false, target_id, 'here', '', '',
				CASE minutes % 2 WHEN 0 THEN 'up' ELSE 'down' END
			FROM target_states, generate_series(1, 20) AS minutes`,
		"ANALYZE",
	} {
		var args []any
		if strings.Contains(sql, "$1") {
			args = append(args, firstSlot)
		}
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
