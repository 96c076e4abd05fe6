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

-- The four that follow choose letters by one condition, each part of which may be left out: an empty cause is in every
-- cause.

-- name: ListDeadLetters :many
-- The newest or the oldest letters by their records' timestamps. Of what may be large only the beginning or the size.
SELECT topic, partition, record_offset, timestamp_ms, substring(key FROM 1 FOR sqlc.arg(key_bytes)::integer)::bytea AS key,
    coalesce(octet_length(value), 0)::integer AS value_bytes, cause, published, unpublishable
FROM dead_letters
WHERE
    (sqlc.narg(topic)::text IS NULL OR topic = sqlc.narg(topic))
    AND (sqlc.narg(partition)::integer IS NULL OR partition = sqlc.narg(partition))
    AND (sqlc.narg(key)::bytea IS NULL OR key = sqlc.narg(key))
    AND (sqlc.narg(before_ms)::bigint IS NULL OR timestamp_ms < sqlc.narg(before_ms))
    AND strpos(cause, sqlc.arg(cause)::text) > 0
    AND (NOT sqlc.arg(listed)::boolean OR (topic, partition, record_offset) IN (
        SELECT unnest(sqlc.arg(topics)::text[]), unnest(sqlc.arg(partitions)::integer[]), unnest(sqlc.arg(offsets)::bigint[])
    ))
ORDER BY CASE WHEN sqlc.arg(newest_first)::boolean THEN timestamp_ms END DESC, timestamp_ms, topic, partition, record_offset
LIMIT sqlc.arg(up_to);

-- name: CountDeadLetters :many
-- How many letters have which cause, the most frequent first, and how many there are in all, of how many causes. Numbers,
-- times and ids are left out of a cause: they would make every letter one of its own.
SELECT regexp_replace(cause, '0x[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![[:alpha:]-])[0-9]+([0-9:.TZhms-]*[0-9Zhms])?', '…', 'g')::text AS cause,
    count(*) AS letters, (sum(count(*)) OVER ())::bigint AS total, count(*) OVER () AS causes
FROM dead_letters
WHERE
    (sqlc.narg(topic)::text IS NULL OR topic = sqlc.narg(topic))
    AND (sqlc.narg(partition)::integer IS NULL OR partition = sqlc.narg(partition))
    AND (sqlc.narg(key)::bytea IS NULL OR key = sqlc.narg(key))
    AND (sqlc.narg(before_ms)::bigint IS NULL OR timestamp_ms < sqlc.narg(before_ms))
    AND strpos(cause, sqlc.arg(cause)::text) > 0
    AND (NOT sqlc.arg(listed)::boolean OR (topic, partition, record_offset) IN (
        SELECT unnest(sqlc.arg(topics)::text[]), unnest(sqlc.arg(partitions)::integer[]), unnest(sqlc.arg(offsets)::bigint[])
    ))
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT sqlc.arg(up_to);

-- name: PageDeadLetters :many
-- Where the letters after a position are, in the order in which everybody locks them, and how large each one is.
SELECT topic, partition, record_offset,
    (coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0) + octet_length(headers))::integer AS bytes
FROM dead_letters
WHERE (topic, partition, record_offset) > (sqlc.arg(after_topic)::text, sqlc.arg(after_partition)::integer, sqlc.arg(after_offset)::bigint)
    AND
    (sqlc.narg(topic)::text IS NULL OR topic = sqlc.narg(topic))
    AND (sqlc.narg(partition)::integer IS NULL OR partition = sqlc.narg(partition))
    AND (sqlc.narg(key)::bytea IS NULL OR key = sqlc.narg(key))
    AND (sqlc.narg(before_ms)::bigint IS NULL OR timestamp_ms < sqlc.narg(before_ms))
    AND strpos(cause, sqlc.arg(cause)::text) > 0
    AND (NOT sqlc.arg(listed)::boolean OR (topic, partition, record_offset) IN (
        SELECT unnest(sqlc.arg(topics)::text[]), unnest(sqlc.arg(partitions)::integer[]), unnest(sqlc.arg(offsets)::bigint[])
    ))
ORDER BY topic, partition, record_offset
LIMIT sqlc.arg(up_to);

-- name: DropDeadLetters :execrows
-- Locks them in the order in which everybody does before any of them is gone.
DELETE FROM dead_letters WHERE (topic, partition, record_offset) IN (
    SELECT topic, partition, record_offset FROM dead_letters
    WHERE
        (sqlc.narg(topic)::text IS NULL OR topic = sqlc.narg(topic))
        AND (sqlc.narg(partition)::integer IS NULL OR partition = sqlc.narg(partition))
        AND (sqlc.narg(key)::bytea IS NULL OR key = sqlc.narg(key))
        AND (sqlc.narg(before_ms)::bigint IS NULL OR timestamp_ms < sqlc.narg(before_ms))
        AND strpos(cause, sqlc.arg(cause)::text) > 0
        AND (NOT sqlc.arg(listed)::boolean OR (topic, partition, record_offset) IN (
            SELECT unnest(sqlc.arg(topics)::text[]), unnest(sqlc.arg(partitions)::integer[]), unnest(sqlc.arg(offsets)::bigint[])
        ))
    ORDER BY topic, partition, record_offset
    FOR UPDATE
);

-- name: ReadDeadLetters :many
SELECT topic, partition, record_offset, timestamp_ms, key, value, headers, cause, published, unpublishable FROM dead_letters
WHERE (topic, partition, record_offset) IN (
    SELECT unnest(@topics::text[]), unnest(@partitions::integer[]), unnest(@offsets::bigint[])
)
ORDER BY topic, partition, record_offset;

-- name: LockDeadLetters :many
-- Which of the letters are still there, locked for the transaction against publishers and others who retry.
SELECT topic, partition, record_offset FROM dead_letters
WHERE (topic, partition, record_offset) IN (
    SELECT unnest(@topics::text[]), unnest(@partitions::integer[]), unnest(@offsets::bigint[])
)
ORDER BY topic, partition, record_offset
FOR UPDATE;

-- name: DeleteDeadLetters :execrows
DELETE FROM dead_letters
WHERE (topic, partition, record_offset) IN (
    SELECT unnest(@topics::text[]), unnest(@partitions::integer[]), unnest(@offsets::bigint[])
);

-- name: ExplainDeadLetters :batchexec
UPDATE dead_letters SET cause = $4
WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND cause <> $4;
