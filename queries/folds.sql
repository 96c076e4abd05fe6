-- name: InsertTargets :exec
-- Makes the rows at which folds of one target wait for one another, in the one order in which they are locked.
INSERT INTO target_states (target_id) SELECT unnest(@targets::text[]) ON CONFLICT DO NOTHING;

-- name: LockTargets :many
SELECT target_id, state, since, event_id, flapping_until FROM target_states
WHERE target_id = ANY (@targets::text[]) ORDER BY target_id FOR UPDATE;

-- name: ListDefinitions :many
-- The rules of those of the given versions that are known. The pairs are given as two lists.
SELECT d.target_id, d.definition_version, d.interval_ms, d.down_after, d.down_of, d.up_after, d.up_of, d.quorum,
    d.flap_transitions, d.flap_window_s, d.silent_after
FROM (SELECT unnest(@targets::text[]) AS target_id, unnest(@versions::text[]) AS definition_version) AS wanted
JOIN definitions AS d USING (target_id, definition_version);

-- name: ListLocationStates :many
-- A join, because of a prepared statement = ANY compares every row that it reads with one target after the other.
SELECT l.target_id, l.location, l.fold FROM (SELECT unnest(@targets::text[]) AS target_id) AS wanted
JOIN location_states AS l ON l.target_id = wanted.target_id ORDER BY l.target_id, l.location;

-- name: ListStrips :many
-- The strips of each target and location from a moment on; earliest is the earliest of the moments, for the planner.
SELECT s.target_id, s.location, s.starts_at, s.definition_version, s.interval_ms, s.checks, s.before
FROM (SELECT unnest(@targets::text[]) AS target_id, unnest(@locations::text[]) AS location, unnest(@since::timestamptz[]) AS since) AS wanted
JOIN strips AS s ON s.target_id = wanted.target_id AND s.location = wanted.location AND s.starts_at >= wanted.since
WHERE s.starts_at >= @earliest
ORDER BY s.target_id, s.location, s.starts_at, s.definition_version;

-- name: CopyStrips :copyfrom
-- Writes new strips at full speed. One that is already there fails the whole COPY (23505): see UpsertStrips.
INSERT INTO strips (target_id, location, starts_at, definition_version, interval_ms, checks, before)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: UpsertStrips :exec
-- An array of arrays can't be ragged, so each strip's checks come as the text of an array.
INSERT INTO strips (target_id, location, starts_at, definition_version, interval_ms, checks, before)
SELECT unnest(@targets::text[]), unnest(@locations::text[]), unnest(@starts_at::timestamptz[]), unnest(@versions::text[]),
    unnest(@intervals_ms::integer[]), unnest(@checks::text[])::bigint[], unnest(@before::text[])::bigint[]
ON CONFLICT (target_id, location, starts_at, definition_version)
DO UPDATE SET interval_ms = excluded.interval_ms, checks = excluded.checks, before = excluded.before;

-- name: DeleteStrips :exec
DELETE FROM strips AS s
USING (SELECT unnest(@targets::text[]) AS target_id, unnest(@locations::text[]) AS location, unnest(@starts_at::timestamptz[]) AS starts_at,
    unnest(@versions::text[]) AS definition_version) AS gone
WHERE s.target_id = gone.target_id AND s.location = gone.location AND s.starts_at = gone.starts_at
    AND s.definition_version = gone.definition_version;

-- name: UpsertLocationStates :exec
-- A total of -1 and a moment of 1970 are none.
INSERT INTO location_states (target_id, location, state, since, last_slot, last_event_id, last_outcome, last_total_us, fold)
SELECT unnest(@targets::text[]), unnest(@locations::text[]), unnest(@states::text[]), nullif(unnest(@since::timestamptz[]), 'epoch'),
    unnest(@last_slots::timestamptz[]), unnest(@last_event_ids::uuid[]), unnest(@last_outcomes::text[]),
    nullif(unnest(@last_totals_us::integer[]), -1), unnest(@folds::text[])::bigint[]
ON CONFLICT (target_id, location) DO UPDATE SET state = excluded.state, since = excluded.since, last_slot = excluded.last_slot,
    last_event_id = excluded.last_event_id, last_outcome = excluded.last_outcome, last_total_us = excluded.last_total_us,
    fold = excluded.fold;

-- name: ListRollups :many
SELECT r.target_id, r.location, r.span, r.starts_at, r.up, r.degraded, r.down, r.missed, r.gaps, r.latency
FROM (SELECT unnest(@targets::text[]) AS target_id, unnest(@locations::text[]) AS location, unnest(@spans::text[]) AS span,
    unnest(@starts_at::timestamptz[]) AS starts_at) AS wanted
JOIN rollups AS r USING (target_id, location, span, starts_at);

-- name: UpsertRollups :exec
INSERT INTO rollups (target_id, location, span, starts_at, up, degraded, down, missed, gaps, latency)
SELECT unnest(@targets::text[]), unnest(@locations::text[]), unnest(@spans::text[]), unnest(@starts_at::timestamptz[]),
    unnest(@up::integer[]), unnest(@degraded::integer[]), unnest(@down::integer[]), unnest(@missed::integer[]),
    unnest(@gaps::integer[]), unnest(@latency::text[])::bigint[]
ON CONFLICT (target_id, location, span, starts_at) DO UPDATE SET up = excluded.up, degraded = excluded.degraded,
    down = excluded.down, missed = excluded.missed, gaps = excluded.gaps, latency = excluded.latency;

-- name: DeleteRollups :exec
DELETE FROM rollups AS r
USING (SELECT unnest(@targets::text[]) AS target_id, unnest(@locations::text[]) AS location, unnest(@spans::text[]) AS span,
    unnest(@starts_at::timestamptz[]) AS starts_at) AS gone
WHERE r.target_id = gone.target_id AND r.location = gone.location AND r.span = gone.span AND r.starts_at = gone.starts_at;

-- name: ListTransitions :many
-- The transitions of each target from a moment on, the last one before it, and those in the day before that one: flapping looks
-- back no further (processor/rules.go, maxFlapWindow).
SELECT t.* FROM (SELECT unnest(@targets::text[]) AS target_id, unnest(@since::timestamptz[]) AS since) AS wanted
JOIN transitions AS t ON t.target_id = wanted.target_id AND t.slot >= coalesce((
    SELECT max(slot) - interval '24 hours' FROM transitions AS earlier WHERE earlier.target_id = wanted.target_id AND earlier.slot < wanted.since
), '-infinity')
ORDER BY t.target_id, t.slot;

-- name: ListFailures :many
-- What failed in the checks with the given ids that have a failure.
SELECT event_id, failure, failure_text FROM checks WHERE event_id = ANY (@event_ids::uuid[]) AND failure IS NOT NULL;

-- name: DeleteTransitions :batchexec
DELETE FROM transitions WHERE target_id = $1 AND slot = $2;

-- name: UpsertTransitions :batchexec
INSERT INTO transitions (target_id, slot, from_state, to_state, event_id, location, definition_version, flapping,
    locations_down, locations_reporting, incident_opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (target_id, slot) DO UPDATE SET (from_state, to_state, event_id, location, definition_version, flapping,
    locations_down, locations_reporting, incident_opened_at) = (excluded.from_state, excluded.to_state, excluded.event_id,
    excluded.location, excluded.definition_version, excluded.flapping, excluded.locations_down, excluded.locations_reporting,
    excluded.incident_opened_at);

-- name: UpdateTargetStates :batchexec
UPDATE target_states SET state = $2, since = $3, event_id = $4, flapping_until = $5 WHERE target_id = $1;

-- name: ListAnnouncements :many
SELECT target_id, state, slot, event_id FROM announcements WHERE target_id = ANY (@targets::text[]);

-- name: UpsertAnnouncements :batchexec
INSERT INTO announcements (target_id, state, slot, event_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (target_id) DO UPDATE SET state = excluded.state, slot = excluded.slot, event_id = excluded.event_id;

-- name: InsertOutbox :batchexec
INSERT INTO outbox (event_id, target_id, definition_version, slot, "from", "to", cause_event_id, cause_location, failure,
    failure_text, flapping, locations_down, locations_reporting, kind, incident_opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: InsertDefinition :batchone
-- Tells whether the version is new. Of one version, which says the same each time, the earliest is kept.
INSERT INTO definitions AS kept (target_id, definition_version, defined_at, url, interval_ms, timeout_ms, down_after, down_of,
    up_after, up_of, quorum, flap_transitions, flap_window_s, silent_after, definition)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (target_id, definition_version) DO UPDATE SET defined_at = excluded.defined_at
WHERE excluded.defined_at < kept.defined_at
RETURNING xmax = 0;

-- name: ListFirstStrips :many
-- Of each target the first strip with one of the given versions, for targets that have been checked.
SELECT l.target_id, min(s.starts_at)::timestamptz AS starts_at
FROM (SELECT unnest(@targets::text[]) AS target_id, unnest(@versions::text[]) AS definition_version) AS wanted
JOIN location_states AS l ON l.target_id = wanted.target_id
JOIN strips AS s ON s.target_id = l.target_id AND s.location = l.location AND s.definition_version = wanted.definition_version
GROUP BY l.target_id;

-- name: TryLockOutbox :one
-- One publisher at a time, until its transaction ends, so that the order of numbers is the order in the topic.
SELECT pg_try_advisory_xact_lock('outbox'::regclass::oid::bigint);

-- name: ListOutbox :many
SELECT * FROM outbox ORDER BY number LIMIT @up_to;

-- name: DeleteOutbox :exec
DELETE FROM outbox WHERE number = ANY (@numbers::bigint[]);
