-- name: EnsureChecksPartition :one
SELECT ensure_checks_partition(sqlc.arg(day)::date);

-- name: DropChecksPartitions :one
SELECT drop_checks_partitions(sqlc.arg(before)::date);

-- name: EnsureStripsPartition :one
SELECT ensure_strips_partition(sqlc.arg(day)::date);

-- name: DropStripsPartitions :one
SELECT drop_strips_partitions(sqlc.arg(before)::date);

-- name: DropHours :execrows
-- Removes the rollups of hours before a moment. Those of days stay.
DELETE FROM rollups WHERE starts_at < @before AND span = 'hour';
