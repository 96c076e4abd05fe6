-- What "webcheck verify" asks, all of it in one snapshot. Of what differs each query gives as many rows as are wanted and, with
-- each, how many there are in all.

-- name: KeepIdleTransaction :exec
-- The snapshot waits while the log is read.
SELECT set_config('idle_in_transaction_session_timeout', '0', true);

-- name: ListAllOffsets :many
SELECT partition, next_offset FROM offsets WHERE topic = $1 ORDER BY partition;

-- name: CountChecksBefore :one
SELECT count(*) FROM checks WHERE event_id < @below_id::uuid;

-- name: PageChecks :many
-- Rows in the order of their ids, after one.
SELECT event_id, target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
FROM checks WHERE event_id > @after_id::uuid ORDER BY event_id LIMIT @up_to;

-- name: ListLetterPositions :many
-- Which of the given positions are those of dead letters.
SELECT partition, record_offset FROM dead_letters
WHERE topic = @topic AND (partition, record_offset) IN (SELECT unnest(@partitions::integer[]), unnest(@offsets::bigint[]));

-- name: CountLetters :many
-- Dead letters of topics by cause, without the numbers and ids in it; the totals are over all causes.
SELECT left(regexp_replace(cause, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+', '*', 'g'), 200)::text AS cause, count(*) AS letters,
    (sum(count(*)) OVER ())::bigint AS total,
    (sum(count(*) FILTER (WHERE unpublishable IS NOT NULL)) OVER ())::bigint AS unpublishable
FROM dead_letters WHERE topic = ANY (@topics::text[])
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT @up_to;

-- name: CountWaiting :one
-- What is on its way out: dead letters and transitions, and the slot of the oldest of the latter.
SELECT (SELECT count(*) FROM dead_letters WHERE NOT published AND unpublishable IS NULL) AS letters,
    count(*) AS transitions, coalesce(min(slot), 'epoch')::timestamptz AS oldest
FROM outbox;

-- name: CompareStrips :many
-- Strips of a day that are not what its checks make, element for element.
WITH made AS (
    SELECT target_id, location, definition_version, ms - ms % 600000 AS starts_ms, array_agg(
        ((ms % 600000) << 34) | (CASE outcome WHEN 'up' THEN 0 WHEN 'degraded' THEN 1 WHEN 'down' THEN 2 ELSE 3 END::bigint << 32)
        | CASE WHEN total_us >= 0 THEN total_us::bigint + 1 ELSE 0 END ORDER BY ms) AS checks
    FROM (
        SELECT target_id, location, definition_version, outcome, total_us, floor(extract(epoch FROM slot) * 1000)::bigint AS ms
        FROM checks WHERE event_id >= @first_id AND event_id < @below_id
    ) AS packed
    GROUP BY 1, 2, 3, 4
), kept AS (
    SELECT target_id, location, definition_version, (extract(epoch FROM starts_at) * 1000)::bigint AS starts_ms, checks
    FROM strips WHERE starts_at >= @first_at AND starts_at < @below_at
)
SELECT target_id::text AS target_id, location::text AS location, starts_ms::bigint AS starts_ms,
    coalesce(cardinality(made.checks), 0)::bigint AS made, coalesce(cardinality(kept.checks), 0)::bigint AS kept, count(*) OVER () AS total
FROM made FULL JOIN kept USING (target_id, location, definition_version, starts_ms)
WHERE made.checks IS DISTINCT FROM kept.checks
ORDER BY 3, 1, 2 LIMIT @up_to;

-- name: CompareHours :many
-- Rollups of the hours of a day that do not count what its checks are.
WITH made AS (
    SELECT target_id, location, date_trunc('hour', slot, 'UTC') AS starts_at, count(*) FILTER (WHERE outcome = 'up') AS up,
        count(*) FILTER (WHERE outcome = 'degraded') AS degraded, count(*) FILTER (WHERE outcome = 'down') AS down,
        count(*) FILTER (WHERE outcome NOT IN ('up', 'degraded', 'down')) AS missed,
        count(*) FILTER (WHERE outcome IN ('up', 'degraded') AND total_us >= 0) AS latency
    FROM checks WHERE event_id >= @first_id AND event_id < @below_id
    GROUP BY 1, 2, 3
), kept AS (
    SELECT target_id, location, starts_at, up, degraded, down, missed,
        (SELECT sum(element & 4294967295) FROM unnest(latency) AS element) AS latency
    FROM rollups WHERE starts_at >= @first_at AND starts_at < @below_at AND span = 'hour'
)
SELECT target_id::text AS target_id, location::text AS location, starts_at::timestamptz AS starts_at,
    coalesce(made.up + made.degraded + made.down + made.missed, 0)::bigint AS made,
    coalesce(kept.up + kept.degraded + kept.down + kept.missed, 0)::bigint AS kept, count(*) OVER () AS total
FROM made FULL JOIN kept USING (target_id, location, starts_at)
WHERE coalesce(made.up, 0) <> coalesce(kept.up, 0) OR coalesce(made.degraded, 0) <> coalesce(kept.degraded, 0)
    OR coalesce(made.down, 0) <> coalesce(kept.down, 0) OR coalesce(made.missed, 0) <> coalesce(kept.missed, 0)
    OR coalesce(made.latency, 0) <> coalesce(kept.latency, 0)
ORDER BY 3, 1, 2 LIMIT @up_to;

-- name: CompareDays :many
-- Rollups of a day that are not the sum of its hours.
WITH made AS (
    SELECT target_id, location, sum(up) AS up, sum(degraded) AS degraded, sum(down) AS down, sum(missed) AS missed, sum(gaps) AS gaps
    FROM rollups AS hours WHERE hours.starts_at >= @first_at AND hours.starts_at < @below_at AND hours.span = 'hour' GROUP BY 1, 2
), kept AS (
    SELECT target_id, location, up, degraded, down, missed, gaps FROM rollups AS days WHERE days.starts_at = @first_at AND days.span = 'day'
)
SELECT target_id::text AS target_id, location::text AS location, coalesce(made.up + made.degraded + made.down + made.missed, 0)::bigint AS made,
    coalesce(kept.up + kept.degraded + kept.down + kept.missed, 0)::bigint AS kept, count(*) OVER () AS total
FROM made FULL JOIN kept USING (target_id, location)
WHERE (made.up, made.degraded, made.down, made.missed, made.gaps) IS DISTINCT FROM (kept.up, kept.degraded, kept.down, kept.missed, kept.gaps)
ORDER BY 1, 2 LIMIT @up_to;

-- name: CompareLastSlots :many
-- Targets at locations that have a check in a day which their state has not seen.
SELECT made.target_id, made.location, made.slot::timestamptz AS slot, count(*) OVER () AS total
FROM (
    SELECT target_id, location, date_trunc('milliseconds', max(slot)) AS slot FROM checks
    WHERE event_id >= @first_id AND event_id < @below_id GROUP BY 1, 2
) AS made LEFT JOIN location_states AS kept USING (target_id, location)
WHERE kept.last_slot IS NULL OR kept.last_slot < made.slot
ORDER BY made.target_id, made.location LIMIT @up_to;

-- name: CompareLastChecks :many
-- States of targets at locations whose last check is not a row, or another.
SELECT kept.target_id, kept.location, kept.last_slot, count(*) OVER () AS total
FROM location_states AS kept LEFT JOIN checks AS c ON c.event_id = kept.last_event_id
WHERE kept.last_slot >= @since AND (c.event_id IS NULL OR c.target_id <> kept.target_id OR c.location <> kept.location
    OR date_trunc('milliseconds', c.slot) <> kept.last_slot
    OR CASE WHEN c.outcome IN ('up', 'degraded', 'down') THEN c.outcome ELSE 'missed' END <> kept.last_outcome
    OR CASE WHEN c.total_us >= 0 THEN c.total_us END IS DISTINCT FROM kept.last_total_us)
ORDER BY kept.target_id, kept.location LIMIT @up_to;

-- name: CompareTargetStates :many
-- Targets whose state is not the one that their last transition leads to.
SELECT kept.target_id, kept.state, coalesce(made.to_state, 'unknown')::text AS made, count(*) OVER () AS total
FROM target_states AS kept LEFT JOIN LATERAL (
    SELECT to_state, slot FROM transitions AS t WHERE t.target_id = kept.target_id ORDER BY t.slot DESC LIMIT 1
) AS made ON true
WHERE kept.state <> coalesce(made.to_state, 'unknown') OR kept.since IS DISTINCT FROM made.slot
ORDER BY kept.target_id LIMIT @up_to;

-- name: CompareTransitions :many
-- Transitions that do not go on where the one before has led to.
SELECT target_id, slot, from_state, made::text AS made, count(*) OVER () AS total
FROM (
    SELECT target_id, slot, from_state, coalesce(lag(to_state) OVER (PARTITION BY target_id ORDER BY slot), 'unknown') AS made FROM transitions
) AS chain
WHERE from_state <> made
ORDER BY target_id, slot LIMIT @up_to;

-- name: CountGaps :many
-- The slots nobody accounts for, from a moment on, the most first.
SELECT target_id, location, sum(gaps)::bigint AS gaps, (sum(sum(gaps)) OVER ())::bigint AS total
FROM rollups WHERE starts_at >= @since AND span = 'hour' AND gaps > 0
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT @up_to;

-- name: ListSilentTargets :many
-- Targets whose last slot, anywhere, is longer ago than silent_after intervals of their newest definition, and the time a check of it takes.
SELECT target_id, last_slot::timestamptz AS last_slot, count(*) OVER () AS total
FROM (
    SELECT seen.target_id, max(seen.last_slot) AS last_slot, max(newest.interval_ms::bigint * newest.silent_after + newest.timeout_ms) AS silent_ms
    FROM location_states AS seen JOIN (
        SELECT DISTINCT ON (target_id) target_id, interval_ms, timeout_ms, silent_after FROM definitions
        ORDER BY target_id, defined_at DESC, definition_version
    ) AS newest ON newest.target_id = seen.target_id
    GROUP BY seen.target_id
) AS watched
WHERE last_slot + silent_ms * interval '1 millisecond' < @moment::timestamptz
ORDER BY 2, 1 LIMIT @up_to;
