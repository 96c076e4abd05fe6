-- name: ListLocationsSince :many
-- Where a target's locations stood before their first strip from a moment on, and when that strip starts; where they stand now, and
-- a moment of 1970, if there is none.
SELECT l.location, l.last_slot, coalesce(s.starts_at, 'epoch')::timestamptz AS starts_at, coalesce(s.before, l.fold)::bigint[] AS stood
FROM location_states AS l
LEFT JOIN LATERAL (
    SELECT strips.starts_at, strips.before FROM strips
    WHERE strips.target_id = l.target_id AND strips.location = l.location AND strips.starts_at >= @since
    ORDER BY strips.starts_at LIMIT 1
) AS s ON true
WHERE l.target_id = @target_id
ORDER BY l.location;

-- name: ListStripsBetween :many
-- A target's strips that start in a span of time, which has its first moment and not its last.
SELECT target_id, location, starts_at, definition_version, interval_ms, checks, before FROM strips
WHERE target_id = @target_id AND starts_at >= @since AND starts_at < @until
ORDER BY location, starts_at, definition_version;

-- name: CountCheckedTargets :one
SELECT count(DISTINCT target_id) FROM location_states;
