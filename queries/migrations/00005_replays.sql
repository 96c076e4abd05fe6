-- +goose Up

-- Readings of the log once more: one row each, which stays when it has ended, because who looks at the tables later wants to
-- know what wrote them. Of a topic one at most is unfinished, so that "go on" needs no number.
CREATE TABLE replays (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text COLLATE "C" NOT NULL,
    from_bound text        NOT NULL,            -- what was asked: start, an offset, or a time
    to_bound   text        NOT NULL,            -- the same, or end
    partitions integer[],                       -- null: all
    target     text COLLATE "C",                -- null: all
    records    bigint      NOT NULL,            -- offsets that it goes over
    run        integer     NOT NULL DEFAULT 1,  -- how often it was taken up; only the last one to do so may move it on
    state      text        NOT NULL DEFAULT 'unfinished' CHECK (state IN ('unfinished', 'finished', 'abandoned')),
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);
CREATE UNIQUE INDEX replays_unfinished ON replays (topic) WHERE state = 'unfinished';

-- How far an unfinished replay is, moved on in the transaction that writes the rows of the offsets before.
CREATE TABLE replay_offsets (
    replay      bigint           NOT NULL REFERENCES replays,
    topic       text COLLATE "C" NOT NULL,
    partition   integer          NOT NULL,
    next_offset bigint           NOT NULL,
    end_offset  bigint           NOT NULL, -- the first that is not read
    PRIMARY KEY (replay, topic, partition)
);

-- +goose Down
DROP TABLE replay_offsets;
DROP TABLE replays;
