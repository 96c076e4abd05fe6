-- +goose Up

-- The next offset of each partition that has not been folded yet. It changes in the transaction that writes the rows of
-- the offsets before it, by compare-and-set.
CREATE TABLE offsets (
    topic       text COLLATE "C" NOT NULL,
    partition   integer          NOT NULL,
    next_offset bigint           NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- +goose Down
DROP TABLE offsets;
