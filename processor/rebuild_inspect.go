package processor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// webcheckTables are all that a migrated schema has, without partitions, and webcheckViews the views on them.
var (
	webcheckTables = append([]string{migrationsTable}, lockedTables...)
	webcheckViews  = []string{"incidents", "rollup_minutes"}
)

// inspect finds the live schema and its owner, and says at once what would stand in the way of a swap hours later.
func (r *Rebuilder) inspect(ctx context.Context) (owner string, err error) {
	if err := checkMigrated(ctx, r.cfg.Pool); err != nil {
		return "", err
	}
	if err := r.checkNotNewer(ctx); err != nil {
		return "", err
	}
	err = r.cfg.Pool.QueryRow(ctx, `
SELECT nspname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = to_regclass('offsets')`).Scan(&r.live)
	if err != nil {
		return "", fmt.Errorf("looking for the schema of the tables: %w", err)
	}
	if owner, err = r.owner(ctx); err != nil {
		return "", err
	}
	if err := r.checkRights(ctx, owner); err != nil {
		return "", err
	}
	return owner, r.checkDependents(ctx)
}

// checkNotNewer refuses a database that a newer build has migrated: this one would make older tables.
func (r *Rebuilder) checkNotNewer(ctx context.Context) error {
	version, newest, err := compareMigrations(ctx, r.cfg.Pool)
	if err == nil && version > newest {
		err = &PermanentError{
			Err:  fmt.Errorf("the database is at migration %d and this build makes tables of migration %d", version, newest),
			Next: "rebuild with the newest build that processes this database",
		}
	}
	return err
}

// owner gives the one role that owns all tables and that this session can act as.
func (r *Rebuilder) owner(ctx context.Context) (string, error) {
	owners, err := listTexts(ctx, r.cfg.Pool, `
SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class
WHERE relnamespace = quote_ident($1)::regnamespace AND relname = ANY ($2) ORDER BY 1`, r.live, append(webcheckViews, webcheckTables...))
	if err != nil {
		return "", fmt.Errorf("looking for the owner of the tables: %w", err)
	}
	if len(owners) != 1 {
		return "", &PermanentError{
			Err:  fmt.Errorf("the tables of schema %q belong to %d roles: %s", r.live, len(owners), strings.Join(owners, ", ")),
			Next: "give all of them to one: ALTER TABLE … OWNER TO …",
		}
	}
	return owners[0], nil
}

// checkRights says what the session, or the owner that it acts as, is not allowed to do.
func (r *Rebuilder) checkRights(ctx context.Context, owner string) error {
	var user, database string
	var member, creates, places bool
	err := r.cfg.Pool.QueryRow(ctx, `
SELECT current_user::text, current_database()::text, pg_has_role($1, 'MEMBER'), has_database_privilege($1, current_database(), 'CREATE'),
	has_schema_privilege($1, quote_ident($2), 'CREATE')`, owner, r.live).Scan(&user, &database, &member, &creates, &places)
	if err != nil {
		return fmt.Errorf("looking at the rights on the database: %w", err)
	}
	quoted := func(name string) string { return pgx.Identifier{name}.Sanitize() }
	switch {
	case !member:
		return &PermanentError{
			Err:  fmt.Errorf("the tables of schema %q belong to %s, and this is %s", r.live, owner, user),
			Next: fmt.Sprintf("rebuild as %s, or GRANT %s TO %s", owner, quoted(owner), quoted(user)),
		}
	case !creates:
		return &PermanentError{
			Err:  fmt.Errorf("%s may not create a schema in the database %q", owner, database),
			Next: fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quoted(database), quoted(owner)),
		}
	case !places:
		return &PermanentError{
			Err:  fmt.Errorf("%s may not put tables into schema %q", owner, r.live),
			Next: fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s", quoted(r.live), quoted(owner)),
		}
	}
	return nil
}

// checkDependents refuses what somebody has built upon the tables themselves: it would stay with the old ones.
func (r *Rebuilder) checkDependents(ctx context.Context) error {
	dependents, err := listTexts(ctx, r.cfg.Pool, listDependents, r.live, webcheckTables, webcheckViews)
	if err != nil {
		return fmt.Errorf("looking for what depends on the tables: %w", err)
	}
	if len(dependents) == 0 {
		return nil
	}
	return &PermanentError{
		Err:  fmt.Errorf("on the tables of schema %q depend %s, which would stay with the old ones", r.live, strings.Join(dependents, ", ")),
		Next: "drop them, and make them again after the rebuild",
	}
}

// listDependents lists views, foreign keys, triggers and publications on webcheck's tables that are not webcheck's.
const listDependents = `
WITH ours AS (
	SELECT c.oid FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
	WHERE c.relnamespace = quote_ident($1)::regnamespace AND coalesce(parent.relname, c.relname) = ANY ($2::text[] || $3::text[])
)
SELECT DISTINCT 'view ' || v.oid::regclass AS dependent
FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
	AND d.refobjid IN (SELECT oid FROM ours) AND v.oid NOT IN (SELECT oid FROM ours)
UNION
SELECT 'foreign key of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND confrelid IN (SELECT oid FROM ours) AND conrelid NOT IN (SELECT oid FROM ours)
UNION
SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM ours)
UNION
SELECT 'publication ' || pubname FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE prrelid IN (SELECT oid FROM ours)
ORDER BY 1`

// rebuildMark is the comment on the schemas of a rebuild: no other one is ever dropped.
const rebuildMark = "tables of webcheck, made or replaced by a rebuild"

// ours says whether a schema is there, and that a rebuild made it; another one of its name is an error.
func (r *Rebuilder) ours(ctx context.Context, schema string) (bool, error) {
	var mark *string
	err := r.pool.QueryRow(ctx, "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", schema).Scan(&mark)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for schema %q: %w", schema, err)
	case mark == nil || *mark != rebuildMark:
		return false, &PermanentError{
			Err:  fmt.Errorf("there is a schema %q that no rebuild has made", schema),
			Next: "rename it: a rebuild needs its name",
		}
	}
	return true, nil
}

// Discard drops what rebuilds have left beside the tables in use, unfinished or kept, and names it.
func (r *Rebuilder) Discard(ctx context.Context) (dropped []string, err error) {
	if _, err := r.lock(ctx); err != nil {
		return nil, err
	}
	for _, schema := range []string{r.next, r.kept} {
		there, err := r.ours(ctx, schema)
		if err != nil {
			return dropped, err
		}
		if !there {
			continue
		}
		if err := r.drop(ctx, schema); err != nil {
			return dropped, err
		}
		dropped = append(dropped, schema)
	}
	return dropped, nil
}

func (r *Rebuilder) drop(ctx context.Context, schema string) error {
	if _, err := r.pool.Exec(ctx, fmt.Sprintf("DROP SCHEMA %s CASCADE", pgx.Identifier{schema}.Sanitize())); err != nil {
		return fmt.Errorf("dropping schema %q: %w", schema, err)
	}
	return nil
}
