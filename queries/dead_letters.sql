-- name: InsertDeadLetters :batchexec
INSERT INTO dead_letters (topic, partition, record_offset, timestamp_ms, key, value, headers, cause)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING;

-- name: LockUnpublishedDeadLetters :many
-- The oldest letters that webcheck.dead does not have, locked against other publishers for the transaction.
SELECT topic, partition, record_offset, timestamp_ms, key, value, headers, cause FROM dead_letters
WHERE NOT published AND unpublishable IS NULL
ORDER BY topic, partition, record_offset
LIMIT @up_to FOR UPDATE SKIP LOCKED;

-- name: MarkDeadLetters :batchexec
UPDATE dead_letters SET published = $4, unpublishable = $5
WHERE topic = $1 AND partition = $2 AND record_offset = $3;
