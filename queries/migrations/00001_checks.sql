-- +goose Up

-- One row a slot, in a partition a day: an event id begins with the slot's time, so the day is a range of ids, the primary
-- key stays the id alone, and retention is dropping a partition. The columns are the fields of CheckCompleted.avsc. Widest first, so that no byte is lost to alignment;
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
) PARTITION BY RANGE (event_id);

-- The smallest id of a day (RFC 9562, UUID version 7: 48 bits of milliseconds since 1970 come first).
-- +goose StatementBegin
CREATE FUNCTION first_event_id(day date) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN rpad(lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
-- +goose StatementEnd

-- Makes a day's partition; true when it was not there. It is attached rather than created in place, because that waits
-- for no reader. With its owner's rights, so that whoever only writes checks can call it.
-- +goose StatementBegin
CREATE FUNCTION ensure_checks_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    name text := 'checks_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock('checks'::regclass::oid::bigint);
    -- Another may have made it meanwhile. A query sees that; to_regclass answers from a cache that a lock does not refresh.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE checks INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE checks ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first_event_id(day), first_event_id(day + 1));
    RETURN true;
END
$$;
-- +goose StatementEnd

-- Drops the partitions of all days before one; returns how many. Readers hold it up, so it gives up soon and is called again.
-- +goose StatementBegin
CREATE FUNCTION drop_checks_partitions(before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s'
AS $$
DECLARE
    partition regclass;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock('checks'::regclass::oid::bigint);
    FOR partition IN
        SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'checks'::regclass AND c.relname < 'checks_' || to_char(before, 'YYYYMMDD')
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
-- +goose StatementEnd

-- What runs with its owner's rights finds names in webcheck's own schema only, and not everybody may call it.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION ensure_checks_partition SET search_path = %I, pg_temp', current_schema);
    EXECUTE format('ALTER FUNCTION drop_checks_partitions SET search_path = %I, pg_temp', current_schema);
END
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION ensure_checks_partition, drop_checks_partitions FROM PUBLIC;

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
DROP FUNCTION drop_checks_partitions;
DROP FUNCTION ensure_checks_partition;
DROP FUNCTION first_event_id;
DROP TABLE checks;
