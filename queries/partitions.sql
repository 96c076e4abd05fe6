-- name: EnsureChecksPartition :one
SELECT ensure_checks_partition(sqlc.arg(day)::date);

-- name: DropChecksPartitions :one
SELECT drop_checks_partitions(sqlc.arg(before)::date);
