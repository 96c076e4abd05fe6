-- +goose Up

-- One row a slot: the columns are the fields of CheckCompleted.avsc. Widest first, so that no byte is lost to alignment;
-- text compares by byte ("C"), so that check_precedes says the same on every server.
CREATE TABLE checks (
    event_id               uuid        NOT NULL PRIMARY KEY,
    slot                   timestamptz NOT NULL,
    started_at             timestamptz NOT NULL,
    certificate_expires_at timestamptz,
    attempts               integer     NOT NULL,
    status_code            integer,
    dns_us                 integer,
    connect_us             integer,
    tls_us                 integer,
    first_byte_us          integer,
    transfer_us            integer,
    total_us               integer,
    body_bytes             integer,
    body_truncated         boolean,
    regex_matched          boolean,
    target_id              text COLLATE "C" NOT NULL,
    location               text COLLATE "C" NOT NULL,
    outcome                text COLLATE "C" NOT NULL,
    failure                text COLLATE "C",
    definition_version     text COLLATE "C" NOT NULL,
    prober                 text COLLATE "C" NOT NULL,
    remote_address         text COLLATE "C",
    http_version           text COLLATE "C",
    assertion              text COLLATE "C",
    assertion_value        text COLLATE "C",
    failure_text           text COLLATE "C"
);

-- Which of two checks of one slot is kept, whoever came first: a measured one before a missed one, then the one that
-- started earlier, then the smaller row. Comparing whole rows as composites orders nulls too (PostgreSQL, "Composite
-- Type Comparison"), so any two different rows have an order.
-- +goose StatementBegin
CREATE FUNCTION check_precedes(a checks, b checks) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (a.outcome = 'missed') <> (b.outcome = 'missed') THEN b.outcome = 'missed'
    WHEN a.started_at <> b.started_at THEN a.started_at < b.started_at
    ELSE a < b
END;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION check_precedes;
DROP TABLE checks;
