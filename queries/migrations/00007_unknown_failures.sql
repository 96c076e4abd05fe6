-- +goose Up

-- Which of two checks of one slot is kept, whoever came first: a measured one before a missed one, then the one that
-- started earlier, then one whose failure is known, then the smaller row. An older processor reads "unknown" where it does not
-- know the symbol, and a replay by a newer one puts the failure in its place.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION check_precedes(a checks, b checks) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (a.outcome = 'missed') <> (b.outcome = 'missed') THEN b.outcome = 'missed'
    WHEN a.started_at <> b.started_at THEN a.started_at < b.started_at
    WHEN ((a.failure = 'unknown') IS TRUE) <> ((b.failure = 'unknown') IS TRUE) THEN (b.failure = 'unknown') IS TRUE
    ELSE a < b
END;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION check_precedes(a checks, b checks) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (a.outcome = 'missed') <> (b.outcome = 'missed') THEN b.outcome = 'missed'
    WHEN a.started_at <> b.started_at THEN a.started_at < b.started_at
    ELSE a < b
END;
-- +goose StatementEnd
