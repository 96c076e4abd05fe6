-- name: CopyChecks :copyfrom
-- Writes new checks at full speed. One id that is already there fails the whole COPY (23505): see MergeIncomingChecks.
INSERT INTO checks (
    event_id, target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26
);

-- name: CopyIncomingChecks :copyfrom
-- Fills the temporary table of queries/temporary, in which an id may repeat.
INSERT INTO incoming_checks (
    event_id, target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26
);

-- name: MergeIncomingChecks :many
-- Keeps, of all checks with one id, incoming or stored, the one that check_precedes puts first, whatever the order in
-- which they came. A row that stays the same is not written again, nor locked, which ON CONFLICT does and which writes as much:
-- those are left out first, looked up one by one, because a join of all may read all partitions. The ORDER BY is check_precedes
-- as a sort key. It gives what was written.
INSERT INTO checks AS kept (
    event_id, target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
)
SELECT DISTINCT ON (event_id)
    event_id, target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
FROM incoming_checks AS incoming
WHERE (
    SELECT check_precedes(ROW(incoming.*)::checks, stored) FROM checks AS stored WHERE stored.event_id = incoming.event_id
) IS NOT FALSE
ORDER BY incoming.event_id, incoming.outcome = 'missed', incoming.started_at, (incoming.failure = 'unknown') IS TRUE, incoming
ON CONFLICT (event_id) DO UPDATE SET (
    target_id, location, slot, started_at, outcome, failure, failure_text, assertion, assertion_value,
    attempts, status_code, remote_address, http_version, dns_us, connect_us, tls_us, first_byte_us, transfer_us,
    total_us, body_bytes, body_truncated, regex_matched, certificate_expires_at, definition_version, prober
) = (
    excluded.target_id, excluded.location, excluded.slot, excluded.started_at, excluded.outcome, excluded.failure,
    excluded.failure_text, excluded.assertion, excluded.assertion_value, excluded.attempts, excluded.status_code,
    excluded.remote_address, excluded.http_version, excluded.dns_us, excluded.connect_us, excluded.tls_us,
    excluded.first_byte_us, excluded.transfer_us, excluded.total_us, excluded.body_bytes, excluded.body_truncated,
    excluded.regex_matched, excluded.certificate_expires_at, excluded.definition_version, excluded.prober
)
WHERE check_precedes(excluded, kept)
RETURNING event_id, target_id, location, slot, outcome, total_us, definition_version;

-- name: HasAnyCheck :one
-- Whether any of the given ids is there already.
SELECT EXISTS (SELECT FROM checks WHERE event_id = ANY (@event_ids::uuid[]));
