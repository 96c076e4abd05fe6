-- name: ListOffsets :many
SELECT partition, next_offset FROM offsets WHERE topic = $1 AND partition = ANY (@partitions::integer[]);

-- name: InsertOffset :execrows
-- Says where a partition that nobody has read starts. The row that is there already wins.
INSERT INTO offsets (topic, partition, next_offset) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: AdvanceOffsets :batchone
-- Moves each partition on, from where this owner believes it stands. No row: somebody else has moved it.
UPDATE offsets SET next_offset = @next WHERE topic = $1 AND partition = $2 AND next_offset = @expected
RETURNING next_offset;

-- name: LockOffsets :many
-- Stored offsets, locked against the owners of the partitions for the transaction, in the order in which they lock them.
SELECT partition, next_offset FROM offsets WHERE topic = $1 AND partition = ANY (@partitions::integer[])
ORDER BY partition FOR UPDATE;

-- name: PutOffset :exec
INSERT INTO offsets (topic, partition, next_offset) VALUES ($1, $2, $3)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset;
