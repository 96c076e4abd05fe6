-- +goose Up

-- Records that can never be applied, whole, recorded in the transaction that steps over them and published to
-- webcheck.dead from here. The timestamp is the record's own and may be absurd, so it is a number.
CREATE TABLE dead_letters (
    topic         text COLLATE "C" NOT NULL,
    partition     integer          NOT NULL,
    record_offset bigint           NOT NULL,
    timestamp_ms  bigint           NOT NULL,
    key           bytea,
    value         bytea,
    headers       bytea            NOT NULL, -- keys and values, each behind its length; see headers.go
    cause         text             NOT NULL,
    published     boolean          NOT NULL DEFAULT false,
    unpublishable text,                      -- why webcheck.dead will not have it; it stays here
    PRIMARY KEY (topic, partition, record_offset)
);
CREATE INDEX dead_letters_to_publish ON dead_letters (topic, partition, record_offset)
    WHERE NOT published AND unpublishable IS NULL;

-- +goose Down
DROP TABLE dead_letters;
