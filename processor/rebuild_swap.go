package processor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
)

// schemaSwap puts one schema's webcheck in the place of another's. Whatever else the live schema has stays where it is.
type schemaSwap struct {
	live string // the schema whose names everybody uses
	next string // the schema that takes its place; it has webcheck's objects and no others
	kept string // the empty schema that live's objects go to
}

// lockedTables are what processors write, in the order in which a batch comes to them: a writer that waits for the first one
// holds none of the others, so it can't deadlock with the swap.
var lockedTables = []string{
	"offsets", "replays", "replay_offsets", "target_states", "checks", "strips", "location_states", "rollups", "transitions",
	"announcements", "outbox", "dead_letters", "definitions",
}

// lock makes writers of the live schema wait until the transaction ends; readers go on. Partitions that are being made, and
// transitions that are being published, are waited for first, because who does so locks the table last.
func (s schemaSwap) lock(ctx context.Context, tx pgx.Tx) error {
	for _, table := range []string{"outbox", "checks", "strips"} {
		name := pgx.Identifier{s.live, table}.Sanitize()
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::text::regclass::oid::bigint)", name); err != nil {
			return fmt.Errorf("waiting for who works on %s: %w", table, err)
		}
	}
	for _, table := range lockedTables {
		if _, err := tx.Exec(ctx, "LOCK TABLE "+pgx.Identifier{s.live, table}.Sanitize()+" IN EXCLUSIVE MODE"); err != nil {
			return fmt.Errorf("locking %s: %w", table, err)
		}
	}
	return nil
}

// exchange moves the live schema's objects to the kept one and the next one's to the live one, with the rights that were
// granted on the live ones. It waits for readers that are in the middle of a transaction: set lock_timeout before.
func (s schemaSwap) exchange(ctx context.Context, tx pgx.Tx) error {
	steps := []struct {
		doing, list string
		args        []any
	}{
		{"granting what was granted", listGrants, []any{s.live, s.next}},
		{"keeping the live schema", listMoves, []any{s.live, s.next, s.kept}},
		{"moving the next one in", listMoves, []any{s.next, s.next, s.live}},
		{"setting search paths", listSearchPaths, []any{s.live}},
		{"setting search paths", listSearchPaths, []any{s.kept}},
	}
	for _, step := range steps {
		if err := execEach(ctx, tx, step.list, step.args...); err != nil {
			return fmt.Errorf("swapping schemas %q and %q: %s: %w", s.live, s.next, step.doing, err)
		}
	}
	return nil
}

// execEach executes each statement that a query lists.
func execEach(ctx context.Context, tx pgx.Tx, list string, args ...any) error {
	statements, err := listTexts(ctx, tx, list, args...)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// listTexts gives what a query of one column of text gives.
func listTexts(ctx context.Context, in db.DBTX, sql string, args ...any) ([]string, error) {
	rows, err := in.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

const (
	// listMoves lists what moves the objects of schema $1 that schema $2 has too, and all partitions of such tables, to schema $3.
	// Functions come first: the types in their signatures are still where they were. What a table owns follows it.
	listMoves = `
SELECT statement FROM (
	SELECT 1 AS step, p.proname::text AS name, format('ALTER FUNCTION %s SET SCHEMA %I', p.oid::regprocedure, $3::text) AS statement
	FROM pg_proc p WHERE p.pronamespace = quote_ident($1::text)::regnamespace
		AND p.proname IN (SELECT proname FROM pg_proc WHERE pronamespace = quote_ident($2::text)::regnamespace)
	UNION ALL
	SELECT 2, c.relname, format('ALTER %s %I.%I SET SCHEMA %I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, $1::text, c.relname, $3::text)
	FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
	WHERE c.relnamespace = quote_ident($1::text)::regnamespace AND c.relkind IN ('r', 'p', 'v')
		AND coalesce(parent.relname, c.relname) IN (SELECT relname FROM pg_class WHERE relnamespace = quote_ident($2::text)::regnamespace)
) AS moves ORDER BY step, name`

	// listSearchPaths lists what makes the functions of schema $1 that have a search path look into it.
	listSearchPaths = `
SELECT format('ALTER FUNCTION %s SET search_path = %I, pg_temp', oid::regprocedure, $1::text) FROM pg_proc
WHERE pronamespace = quote_ident($1::text)::regnamespace AND EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=%')`

	// listGrants lists what grants on the objects of schema $2 that which is granted on those of schema $1 with the same names.
	listGrants = `
SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, object, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
	CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM (
	SELECT format('%s %I.%I', CASE new.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, $2::text, new.relname) AS object, old.relacl AS acl, old.relowner AS owner
	FROM pg_class old JOIN pg_class new USING (relname)
	WHERE old.relnamespace = quote_ident($1::text)::regnamespace AND new.relnamespace = quote_ident($2::text)::regnamespace
	UNION ALL
	SELECT format('FUNCTION %s', new.oid::regprocedure), old.proacl, old.proowner
	FROM pg_proc old JOIN pg_proc new USING (proname)
	WHERE old.pronamespace = quote_ident($1::text)::regnamespace AND new.pronamespace = quote_ident($2::text)::regnamespace
) AS granted, aclexplode(acl) AS a WHERE a.grantee <> owner`
)
