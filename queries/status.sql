-- name: ListStatuses :many
-- The state of each target that has been checked, over all its locations, in the order of ids from behind one on; since is null
-- while it is unknown. last_slot is its newest check's, at whichever location. Both tables are read in the order of their keys
-- and grouped on the way, so a page costs a page; that both are bounded is what lets them be.
SELECT t.target_id, t.state, t.since, t.flapping_until, max(l.last_slot)::timestamptz AS last_slot, count(*) AS locations,
    count(*) FILTER (WHERE l.state = 'down') AS locations_down
FROM target_states AS t
JOIN location_states AS l USING (target_id)
WHERE t.target_id > @after::text AND l.target_id > @after::text
GROUP BY t.target_id ORDER BY t.target_id LIMIT @up_to;

-- name: ListLocationStatuses :many
-- The state at each location, and the last check there, of each target from the first to the last id, which both belong to it:
-- so a page of ListStatuses is told by its ends.
SELECT target_id, location, state, since, last_slot, last_outcome, last_total_us FROM location_states
WHERE target_id BETWEEN @first::text AND @last::text
ORDER BY target_id, location;

-- name: CountChecks :many
-- How many checks each target from the first to the last id has, over all its locations, from the hour of a moment on. For a page:
-- it costs a look into an index a location, and is no matter of milliseconds for ten thousand targets. The sums inside keep the
-- planner from reading all hours of all targets instead.
SELECT l.target_id, sum(c.up)::bigint AS up, sum(c.degraded)::bigint AS degraded, sum(c.down)::bigint AS down,
    sum(c.missed)::bigint AS missed, sum(c.gaps)::bigint AS gaps
FROM location_states AS l
CROSS JOIN LATERAL (
    SELECT coalesce(sum(r.up), 0) AS up, coalesce(sum(r.degraded), 0) AS degraded, coalesce(sum(r.down), 0) AS down,
        coalesce(sum(r.missed), 0) AS missed, coalesce(sum(r.gaps), 0) AS gaps
    FROM rollups AS r
    WHERE r.target_id = l.target_id AND r.location = l.location AND r.span = 'hour'
        AND r.starts_at >= date_trunc('hour', sqlc.arg(since)::timestamptz, 'UTC')
) AS c
WHERE l.target_id BETWEEN sqlc.arg(first)::text AND sqlc.arg(last)::text
GROUP BY l.target_id ORDER BY l.target_id;

-- name: CountChecksByTime :many
-- How many checks one target has over all its locations, by hour or by day, from since on and before until.
SELECT starts_at, sum(up)::bigint AS up, sum(degraded)::bigint AS degraded, sum(down)::bigint AS down,
    sum(missed)::bigint AS missed, sum(gaps)::bigint AS gaps
FROM rollups
WHERE target_id = @target AND span = @span AND starts_at >= @since::timestamptz AND starts_at < @until::timestamptz
GROUP BY starts_at ORDER BY starts_at;

-- name: ListRollupsByTime :many
-- The rollups of one target at some of its locations, by hour or by day, from since on and before until, in no order: sorting
-- takes PostgreSQL longer than the rest. Package status merges them.
SELECT starts_at, up, degraded, down, missed, gaps, latency FROM rollups
WHERE target_id = @target AND location = ANY (@locations::text[]) AND span = @span
    AND starts_at >= @since::timestamptz AND starts_at < @until::timestamptz;

-- name: ListIncidents :many
-- One target's incidents that opened before a moment, the newest first; one without an end is going on. It says the same as the
-- view incidents, whose columns sqlc takes for never null.
SELECT opened.slot AS opened_at, opened.event_id AS opened_by, opened.location AS opened_from,
    closed.slot AS closed_at, closed.event_id AS closed_by
FROM transitions AS opened
LEFT JOIN transitions AS closed ON closed.target_id = opened.target_id AND closed.slot = (
    SELECT min(later.slot) FROM transitions AS later WHERE later.target_id = opened.target_id AND later.slot > opened.slot
)
WHERE opened.target_id = @target AND opened.to_state = 'down' AND opened.slot < @before::timestamptz
ORDER BY opened.slot DESC LIMIT @up_to;
