package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
	"webcheck/status"
)

const (
	// queryLimit is what no query of a status page is to take.
	queryLimit = 50 * time.Millisecond
	// queryRuns are how often each query is timed, after queryWarmUps that are not: a page is asked again and again.
	queryRuns, queryWarmUps = 50, 5
	// pageTargets are as many as a page shows with their uptimes.
	pageTargets = 100
	// chartPoints are as many as fit across a screen, and incidentsAtOnce as many as are read in one go.
	chartPoints, incidentsAtOnce = 1000, 100
)

// benchQuery is one question of a status page.
type benchQuery struct {
	text string
	// ask gives the number of rows.
	ask func(ctx context.Context, tx db.DBTX) (int, error)
}

// queryResult is one question and how long the answer took.
type queryResult struct {
	Query string `json:"query"`
	Rows  int    `json:"rows"`
	// Least, Middle and Most are milliseconds from asking to having all rows, Limit is what it may take.
	Least  float64 `json:"least_ms"`
	Middle float64 `json:"middle_ms"`
	Most   float64 `json:"most_ms"`
	Limit  float64 `json:"limit_ms"`
}

// tableResult is a table that was asked, or that lies beside those.
type tableResult struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // with indexes
}

// benchQueries are the questions to the tables of a log whose last slot is now.
func (b *bench) benchQueries(now time.Time) []benchQuery {
	q, one := db.New(), benchTargetID(0)
	page := benchTargetID(min(pageTargets, b.options.targets) - 1)
	middle := benchTargetID(b.options.targets/2 - 1)
	until := now.Truncate(time.Hour).Add(time.Hour)
	since := until.Add(-yearHours * time.Hour)
	chart := func(since time.Time, points int, locations ...string) func(context.Context, db.DBTX) (int, error) {
		return func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(status.Rollups(ctx, tx, db.ListRollupsByTimeParams{
				Target: one, Locations: locations, Span: status.Span(since, until, points), Since: since, Until: until}))
		}
	}
	return []benchQuery{
		{"state of all targets", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.ListStatuses(ctx, tx, db.ListStatusesParams{UpTo: int32(b.options.targets)}))
		}},
		{"state of a page's targets", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.ListStatuses(ctx, tx, db.ListStatusesParams{After: middle, UpTo: pageTargets}))
		}},
		{"states and last checks of all by location", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.ListLocationStatuses(ctx, tx, db.ListLocationStatusesParams{First: one, Last: benchTargetID(b.options.targets - 1)}))
		}},
		{"checks of a page's targets in a day", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.CountChecks(ctx, tx, db.CountChecksParams{Since: now.Add(-24 * time.Hour), First: one, Last: page}))
		}},
		{"a year of a target by hour, uptime, 3 locations", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.CountChecksByTime(ctx, tx, db.CountChecksByTimeParams{Target: one, Span: "hour", Since: since, Until: until}))
		}},
		{"the same with percentiles, 1 location", chart(since, yearHours, yearLocations[0])},
		{"the same with percentiles, 3 locations", chart(since, yearHours, yearLocations...)},
		{"the same in a chart of at most 1000 points", chart(since, chartPoints, yearLocations...)},
		{"the last 1000 hours of it, 3 locations", chart(until.Add(-chartPoints*time.Hour), chartPoints, yearLocations...)},
		{"incidents of a target", func(ctx context.Context, tx db.DBTX) (int, error) {
			return rowsOf(q.ListIncidents(ctx, tx, db.ListIncidentsParams{Target: one, Before: until, UpTo: incidentsAtOnce}))
		}},
	}
}

// rowsOf counts what was answered.
func rowsOf[T any](rows []T, err error) (int, error) { return len(rows), err }

// measureQueries asks what a status page asks of the tables that the processor filled, with a year for one target.
func (b *bench) measureQueries(ctx context.Context) error {
	pool, err := openSchema(ctx, b.s.pool, b.names.Tables)
	if err != nil {
		return err
	}
	defer pool.Close()
	now := time.Now().UTC()
	if err := b.fillYear(ctx, pool, now); err != nil {
		return err
	}
	// As autovacuum leaves them; when it comes is its own matter.
	for _, table := range []string{"rollups", "transitions", "target_states", "location_states"} {
		if err := b.exec(ctx, "VACUUM (ANALYZE) %s", pgx.Identifier{b.names.Tables, table}); err != nil {
			return err
		}
	}
	for _, query := range b.benchQueries(now) {
		result, err := timeQuery(ctx, pool, query)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", query.text, err)
		}
		b.result.Queries = append(b.result.Queries, result)
	}
	b.result.Tables, err = countTables(ctx, pool)
	return err
}

// timeQuery asks one question again and again, over one connection.
func timeQuery(ctx context.Context, pool *pgxpool.Pool, query benchQuery) (result queryResult, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return result, fmt.Errorf("taking a connection: %w", err)
	}
	defer conn.Release()
	result = queryResult{Query: query.text, Limit: milliseconds(queryLimit)}
	var times []time.Duration
	for n := range queryWarmUps + queryRuns {
		begun := time.Now()
		if result.Rows, err = query.ask(ctx, conn); err != nil {
			return result, err
		}
		if n >= queryWarmUps {
			times = append(times, time.Since(begun))
		}
	}
	slices.Sort(times)
	result.Least, result.Middle, result.Most = milliseconds(times[0]), milliseconds(times[len(times)/2]), milliseconds(times[len(times)-1])
	return result, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// countTables counts the rows of each table of the folds and of checks, over all partitions, and what they take on disk.
func countTables(ctx context.Context, pool *pgxpool.Pool) ([]tableResult, error) {
	var all []tableResult
	for _, table := range []string{"checks", "strips", "rollups", "transitions", "target_states", "location_states"} {
		result := tableResult{Table: table}
		if err := pool.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&result.Rows); err != nil {
			return nil, fmt.Errorf("counting rows: %w", err)
		}
		err := pool.QueryRow(ctx, `SELECT sum(pg_total_relation_size(part))::bigint FROM (
			SELECT to_regclass($1) AS part UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass($1)) AS parts`, table).Scan(&result.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the size of %q: %w", table, err)
		}
		all = append(all, result)
	}
	return all, nil
}

// printQueries says what was asked, and of how much.
func (r *benchResult) printQueries(out *printer) {
	if len(r.Queries) == 0 {
		return
	}
	out.printf("")
	out.printf("%-47s  %6s  %8s  %9s  %7s  limit", "query, asked again and again", "rows", "least ms", "middle ms", "most ms")
	for _, q := range r.Queries {
		line := fmt.Sprintf("%-47s  %6d  %8.1f  %9.1f  %7.1f  %5.0f", q.Query, q.Rows, q.Least, q.Middle, q.Most, q.Limit)
		if q.Middle > q.Limit {
			line += ", over it"
		}
		out.printf("%s", line)
	}
	for _, t := range r.Tables {
		out.printf("%s: %d rows, %.1f MiB with indexes", t.Table, t.Rows, float64(t.Bytes)/(1<<20))
	}
}
