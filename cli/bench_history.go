package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// yearHours are the hours of the history that one target gets.
	yearHours = 365 * 24
	// yearNeighbours are how many other targets get a year too, so that of the one that is asked for no two hours lie on one page
	// of the table, as they do not where thousands are watched.
	yearNeighbours = 40
	// yearIncidents are how many incidents each of them had, more than are asked for at once; one every two days, they reach back
	// less than a year from the longest log.
	yearIncidents = 120
)

// yearLocations are where the target with a year is checked; the first is that of the log.
var yearLocations = []string{"eu-west", "us-east", "ap-south"}

// fillYear gives one target at all locations, and its neighbours at one, a year of hours, days and incidents. They are written in
// the order of time, as a processor writes them.
func (b *bench) fillYear(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	for _, fill := range []struct {
		what, sql string
		args      []any
	}{
		{"hours", fillHours, []any{benchTargetID(0), yearLocations, yearNeighbours, now.Truncate(time.Hour), yearHours}},
		{"days", fillDays, []any{benchTargetID(0), yearLocations, yearNeighbours}},
		{"incidents", fillIncidents, []any{benchTargetID(0), yearLocations, yearNeighbours, now.Add(-b.options.span()), yearIncidents}},
	} {
		if _, err := pool.Exec(ctx, fill.sql, fill.args...); err != nil {
			return fmt.Errorf("making a year of %s: %w", fill.what, err)
		}
	}
	return nil
}

// yearHistories are the targets with a year, each with a location.
const yearHistories = `(
		SELECT $1::text AS target_id, location FROM unnest($2::text[]) AS location
		UNION ALL SELECT 'neighbour-' || n, ($2::text[])[1] FROM generate_series(1, $3::integer) AS n
	)`

// fillHours makes hours that are as full as the fullest of the log.
const fillHours = `
	WITH full_hours AS MATERIALIZED (
		SELECT row_number() OVER () AS n, count(*) OVER () AS of, up, degraded, down, missed, gaps, latency FROM (
			SELECT * FROM rollups WHERE span = 'hour' ORDER BY up DESC, target_id, starts_at LIMIT 100
		) AS fullest
	), histories AS ` + yearHistories + `
	INSERT INTO rollups (starts_at, up, degraded, down, missed, gaps, target_id, location, span, latency)
	SELECT $4::timestamptz - ago * interval '1 hour', f.up, f.degraded, f.down, f.missed, f.gaps, h.target_id, h.location, 'hour', f.latency
	FROM generate_series(0, $5::integer - 1) AS ago CROSS JOIN histories AS h
	JOIN full_hours AS f ON f.n = 1 + (ago * 37 + length(h.location) + hashtext(h.target_id) % 50 + 50) % f.of
	ORDER BY ago DESC
	ON CONFLICT DO NOTHING`

// fillDays adds up the hours of the one target, and gives its neighbours the same days.
const fillDays = `
	WITH hours AS MATERIALIZED (
		SELECT *, date_trunc('day', starts_at, 'UTC') AS day FROM rollups WHERE target_id = $1 AND span = 'hour'
	), counts AS (
		SELECT location, day, sum(up) AS up, sum(degraded) AS degraded, sum(down) AS down, sum(missed) AS missed, sum(gaps) AS gaps
		FROM hours GROUP BY location, day
	), latencies AS (
		SELECT location, day, array_agg(bucket << 32 | n ORDER BY bucket) AS latency FROM (
			SELECT location, day, element >> 32 AS bucket, sum(element & 4294967295)::bigint AS n
			FROM hours, unnest(latency) AS element GROUP BY location, day, bucket
		) AS buckets GROUP BY location, day
	), histories AS ` + yearHistories + `
	INSERT INTO rollups (starts_at, up, degraded, down, missed, gaps, target_id, location, span, latency)
	SELECT day, up, degraded, down, missed, gaps, target_id, location, 'day', latency
	FROM histories JOIN counts USING (location) JOIN latencies USING (location, day)
	ORDER BY day
	ON CONFLICT DO NOTHING`

// fillIncidents makes incidents of five minutes, all before the log begins.
const fillIncidents = `
	WITH histories AS ` + yearHistories + `
	INSERT INTO transitions (slot, incident_opened_at, event_id, locations_down, locations_reporting, flapping, target_id, location,
		definition_version, from_state, to_state)
	SELECT $4::timestamptz - ago * interval '2 days' + change.after, $4::timestamptz - ago * interval '2 days', gen_random_uuid(),
		change.locations_down, 1, false, target_id, location, '', change.from_state, change.to_state
	FROM generate_series(1, $5::integer) AS ago CROSS JOIN histories
	CROSS JOIN (VALUES (interval '0', 1, 'up', 'down'), (interval '5 minutes', 0, 'down', 'up')) AS change (after, locations_down, from_state, to_state)
	WHERE location = ($2::text[])[1]
	ORDER BY ago DESC, change.after`
