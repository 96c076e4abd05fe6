-- +goose Up

-- Every version of a target's definition that was ever seen, with the rules that its checks are folded by. The columns are
-- the fields of TargetDefined.avsc. A version is a hash of its content, so two rows of one differ in when they were
-- defined only, and the earlier is kept.
CREATE TABLE definitions (
    defined_at         timestamptz      NOT NULL,
    interval_ms        integer          NOT NULL,
    timeout_ms         integer          NOT NULL,
    down_after         integer          NOT NULL,
    down_of            integer          NOT NULL,
    up_after           integer          NOT NULL,
    up_of              integer          NOT NULL,
    quorum             integer          NOT NULL,
    flap_transitions   integer          NOT NULL,
    flap_window_s      integer          NOT NULL,
    silent_after       integer          NOT NULL,
    target_id          text COLLATE "C" NOT NULL,
    definition_version text COLLATE "C" NOT NULL,
    url                text COLLATE "C" NOT NULL,
    definition         text COLLATE "C" NOT NULL,
    PRIMARY KEY (target_id, definition_version)
);

-- What was observed of a target at a location in ten minutes under one version of its definition: a strip. Each element of
-- checks is one check, in the order of their slots: milliseconds since starts_at << 34 | outcome << 32 | total_us + 1, where
-- outcome is 0 up, 1 degraded, 2 down, 3 missed, and a last part of 0 says that there is no total. before is the state of
-- the location's fold before the strip's first check (processor/location.go), so that late checks are folded from here on and
-- not from the beginning; interval_ms is the interval that the fold went by, 0 when it knew none.
CREATE TABLE strips (
    starts_at          timestamptz      NOT NULL,
    interval_ms        integer          NOT NULL,
    target_id          text COLLATE "C" NOT NULL,
    location           text COLLATE "C" NOT NULL,
    definition_version text COLLATE "C" NOT NULL,
    checks             bigint[]         NOT NULL,
    before             bigint[]         NOT NULL,
    PRIMARY KEY (target_id, location, starts_at, definition_version)
) PARTITION BY RANGE (starts_at);

-- The state of each target at each location, and its last check, which has the row event_id in checks. fold is what the
-- next check is folded onto.
CREATE TABLE location_states (
    since         timestamptz, -- null while the state is unknown
    last_slot     timestamptz      NOT NULL,
    last_event_id uuid             NOT NULL,
    last_total_us integer,
    target_id     text COLLATE "C" NOT NULL,
    location      text COLLATE "C" NOT NULL,
    state         text COLLATE "C" NOT NULL,
    last_outcome  text COLLATE "C" NOT NULL,
    fold          bigint[]         NOT NULL,
    PRIMARY KEY (target_id, location)
) WITH (fillfactor = 50);

-- The state of each target over all its locations. Its row is also what folds of one target wait for one another at.
CREATE TABLE target_states (
    since              timestamptz,
    flapping_until     timestamptz,
    event_id           uuid, -- of the check that brought the state about
    target_id          text COLLATE "C" NOT NULL PRIMARY KEY,
    state              text COLLATE "C" NOT NULL DEFAULT 'unknown'
) WITH (fillfactor = 70);

-- Every change of a target's state: at most one a slot.
CREATE TABLE transitions (
    slot                timestamptz      NOT NULL,
    incident_opened_at  timestamptz,      -- slot with which the incident began that this opens or closes
    event_id            uuid             NOT NULL, -- of the check that caused it
    locations_down      integer          NOT NULL,
    locations_reporting integer          NOT NULL,
    flapping            boolean          NOT NULL,
    target_id           text COLLATE "C" NOT NULL,
    location            text COLLATE "C" NOT NULL, -- of that check
    definition_version  text COLLATE "C" NOT NULL,
    from_state          text COLLATE "C" NOT NULL,
    to_state            text COLLATE "C" NOT NULL,
    PRIMARY KEY (target_id, slot)
);

-- From going down to being up again. A transition away from down is the one after it.
CREATE VIEW incidents AS
SELECT opened.target_id, opened.slot AS opened_at, opened.event_id AS opened_by, opened.location AS opened_from,
    closed.slot AS closed_at, closed.event_id AS closed_by
FROM transitions AS opened
LEFT JOIN LATERAL (
    SELECT slot, event_id FROM transitions AS later
    WHERE later.target_id = opened.target_id AND later.slot > opened.slot
    ORDER BY later.slot LIMIT 1
) AS closed ON true
WHERE opened.to_state = 'down';

-- Checks by hour and by day (UTC), which span tells. gaps are slots that nobody accounts for, found when a later check
-- comes. latency has the total times of checks that are up or degraded: each element is bucket << 32 | count, in the order of
-- buckets (see latency_bucket_us).
CREATE TABLE rollups (
    starts_at timestamptz      NOT NULL,
    up        integer          NOT NULL,
    degraded  integer          NOT NULL,
    down      integer          NOT NULL,
    missed    integer          NOT NULL,
    gaps      integer          NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    location  text COLLATE "C" NOT NULL,
    span      text COLLATE "C" NOT NULL, -- hour or day
    latency   bigint[]         NOT NULL,
    PRIMARY KEY (target_id, location, span, starts_at)
) WITH (fillfactor = 80);
-- For dropping what is old: rows come about in the order of time, so a few pages of index tell where it ends.
CREATE INDEX rollups_by_time ON rollups USING brin (starts_at) WITH (autosummarize = on);

-- The middle of a bucket of latencies, in microseconds, at most 4.8 % from anything in it: bucket b holds what is above
-- 1.1^(b-1) and at most 1.1^b, and bucket 0 what is at most 1 (DDSketch, Masson and others, 2019, section 2).
-- +goose StatementBegin
CREATE FUNCTION latency_bucket_us(bucket bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN bucket = 0 THEN 1 ELSE 2 * 1.1::double precision ^ bucket / 2.1 END;
-- +goose StatementEnd

-- The latency in microseconds that the given share of checks, from 0 to 1, did not exceed; null when there are none.
-- Histograms are merged by concatenating them.
-- +goose StatementBegin
CREATE FUNCTION latency_us(histogram bigint[], share double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT latency_bucket_us(bucket) FROM (
        SELECT bucket, sum(count) OVER (ORDER BY bucket) AS running, sum(count) OVER () AS total
        FROM (
            SELECT element >> 32 AS bucket, sum(element & 4294967295) AS count FROM unnest(histogram) AS element GROUP BY 1
        ) AS buckets
    ) AS cumulative
    WHERE running >= ceil(share * total) ORDER BY bucket LIMIT 1
);
-- +goose StatementEnd

-- Checks by minute, out of the strips: exact.
CREATE VIEW rollup_minutes AS
SELECT target_id, location, date_trunc('minute', starts_at + (element >> 34) * interval '1 millisecond', 'UTC') AS starts_at,
    count(*) FILTER (WHERE (element >> 32) & 3 = 0)::integer AS up,
    count(*) FILTER (WHERE (element >> 32) & 3 = 1)::integer AS degraded,
    count(*) FILTER (WHERE (element >> 32) & 3 = 2)::integer AS down,
    count(*) FILTER (WHERE (element >> 32) & 3 = 3)::integer AS missed,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY (element & 4294967295) - 1)
        FILTER (WHERE (element >> 32) & 3 < 2 AND element & 4294967295 > 0) AS p50_us,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY (element & 4294967295) - 1)
        FILTER (WHERE (element >> 32) & 3 < 2 AND element & 4294967295 > 0) AS p95_us,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY (element & 4294967295) - 1)
        FILTER (WHERE (element >> 32) & 3 < 2 AND element & 4294967295 > 0) AS p99_us
FROM strips, unnest(checks) AS element
GROUP BY 1, 2, 3;

-- What was told of a target last. It depends on what came when, so it is no fold and no replay touches it.
CREATE TABLE announcements (
    slot      timestamptz      NOT NULL,
    target_id text COLLATE "C" NOT NULL PRIMARY KEY,
    state     text COLLATE "C" NOT NULL
);

-- Transitions on their way to webcheck.transitions, written in the transaction that finds them and published from here in
-- the order of their numbers. The columns behind number are the fields of TargetTransitioned.avsc.
CREATE TABLE outbox (
    number              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id            uuid    NOT NULL,
    target_id           text    NOT NULL,
    definition_version  text    NOT NULL,
    slot                timestamptz NOT NULL,
    "from"              text    NOT NULL,
    "to"                text    NOT NULL,
    cause_event_id      uuid    NOT NULL,
    cause_location      text    NOT NULL,
    failure             text,
    failure_text        text,
    flapping            boolean NOT NULL,
    locations_down      integer NOT NULL,
    locations_reporting integer NOT NULL,
    kind                text    NOT NULL,
    incident_opened_at  timestamptz
);

-- Makes the partition of strips for a day, as ensure_checks_partition does for checks.
-- +goose StatementBegin
CREATE FUNCTION ensure_strips_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    name text := 'strips_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock('strips'::regclass::oid::bigint);
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE strips INCLUDING ALL) WITH (fillfactor = 80)', name);
    EXECUTE format('ALTER TABLE strips ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    RETURN true;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION drop_strips_partitions(before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s'
AS $$
DECLARE
    partition regclass;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock('strips'::regclass::oid::bigint);
    FOR partition IN
        SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'strips'::regclass AND c.relname < 'strips_' || to_char(before, 'YYYYMMDD')
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION ensure_strips_partition SET search_path = %I, pg_temp', current_schema);
    EXECUTE format('ALTER FUNCTION drop_strips_partitions SET search_path = %I, pg_temp', current_schema);
END
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION ensure_strips_partition, drop_strips_partitions FROM PUBLIC;

-- +goose Down
DROP FUNCTION drop_strips_partitions;
DROP FUNCTION ensure_strips_partition;
DROP TABLE outbox;
DROP TABLE announcements;
DROP VIEW rollup_minutes;
DROP FUNCTION latency_us;
DROP FUNCTION latency_bucket_us;
DROP TABLE rollups;
DROP VIEW incidents;
DROP TABLE transitions;
DROP TABLE target_states;
DROP TABLE location_states;
DROP TABLE strips;
DROP TABLE definitions;
