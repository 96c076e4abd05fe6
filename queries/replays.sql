-- name: InsertReplay :one
-- Begins a replay. No row: one of this topic is unfinished.
INSERT INTO replays (topic, from_bound, to_bound, partitions, target, records) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING id, run;

-- name: InsertReplayOffset :exec
INSERT INTO replay_offsets (replay, topic, partition, next_offset, end_offset) VALUES ($1, $2, $3, $4, $5);

-- name: UnfinishedReplay :one
-- The topic's unfinished replay and how many offsets it still has to go over.
SELECT r.id, r.from_bound, r.to_bound, r.partitions, r.target, r.records, r.created_at, (
    SELECT coalesce(sum(o.end_offset - o.next_offset), 0)::bigint FROM replay_offsets o WHERE o.replay = r.id
) AS records_left
FROM replays r WHERE r.topic = $1 AND r.state = 'unfinished';

-- name: TakeUpReplay :one
-- From now on nobody who took it up before can move it on. No row: it is not unfinished any more.
UPDATE replays SET run = run + 1 WHERE id = $1 AND state = 'unfinished' RETURNING run;

-- name: ReplayIsOurs :one
-- Whether nobody has abandoned the replay or taken it up after this run.
SELECT EXISTS (SELECT FROM replays WHERE id = $1 AND run = $2 AND state <> 'abandoned');

-- name: ListReplayOffsets :many
SELECT partition, next_offset, end_offset FROM replay_offsets WHERE replay = $1 AND topic = $2;

-- name: AdvanceReplayOffsets :batchone
-- Moves each partition on, from where this run believes it stands. No row: somebody else has moved it, or may now.
UPDATE replay_offsets AS o SET next_offset = @next
FROM replays AS r
WHERE o.replay = @replay AND o.topic = @topic AND o.partition = @partition AND o.next_offset = @expected
    AND r.id = o.replay AND r.run = @run AND r.state = 'unfinished'
RETURNING o.next_offset;

-- name: EndReplay :execrows
-- No row: it has ended in another way.
UPDATE replays SET state = @state, ended_at = now() WHERE id = @id AND state IN ('unfinished', @state);

-- name: DeleteReplayOffsets :exec
DELETE FROM replay_offsets WHERE replay = $1;
