package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lockWait is how long the swap waits for a lock that makes writers wait, and exchangeWait for one that makes readers wait who
	// come meanwhile. After that it lets everybody go on, and tries again.
	lockWait, exchangeWait = "2s", "500ms"
	// lockedFor bounds how long writers wait for the swap in all: shorter than a batch's timeout.
	lockedFor = batchTimeout / 2
)

// codeLockNotAvailable is what ends a statement that has waited for a lock for too long (PostgreSQL, Appendix A).
const codeLockNotAvailable = "55P03"

// compare brings the next schema to one moment of the live one, and compares both.
func (r *Rebuilder) compare(ctx context.Context) (all []TableComparison, err error) {
	atOneMoment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, r.pool, atOneMoment, func(live pgx.Tx) error {
		if err := r.catchUp(ctx, live, StageFollowing); err != nil {
			return err
		}
		return pgx.BeginTxFunc(ctx, r.nextPool, atOneMoment, func(next pgx.Tx) (err error) {
			all, err = compareSchemas(ctx, schemaView{live, r.live}, schemaView{next, r.next}, ListedDifferences)
			return err
		})
	})
	return all, err
}

// swap puts the next schema's tables in the place of the live one's, however often it takes.
func (r *Rebuilder) swap(ctx context.Context) error {
	return r.persist(ctx, func(ctx context.Context) error {
		conn, err := r.lock(ctx)
		if err != nil {
			return err
		}
		if there, err := r.ours(ctx, r.next); err != nil || !there { // an attempt whose end nobody saw was one
			return err
		}
		if err := r.follow(ctx); err != nil {
			return err
		}
		r.report(StageSwapping, 0, -1)
		limited, cancel := context.WithTimeout(ctx, lockedFor)
		defer cancel()
		err = pgx.BeginFunc(limited, conn, func(tx pgx.Tx) error { return r.exchange(limited, tx) })
		if sqlState(err) == codeLockNotAvailable {
			err = r.explainWait(ctx, err)
		}
		return err
	})
}

// exchange does the swap while writers wait.
func (r *Rebuilder) exchange(ctx context.Context, tx pgx.Tx) error {
	s := schemaSwap{live: r.live, next: r.next, kept: r.kept}
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockWait+"'"); err != nil {
		return err
	}
	if err := s.lock(ctx, tx); err != nil {
		return err
	}
	if err := r.catchUp(ctx, tx, StageSwapping); err != nil {
		return err
	}
	if err := r.handOver(ctx, tx); err != nil {
		return err
	}
	kept, next := pgx.Identifier{r.kept}.Sanitize(), pgx.Identifier{r.next}.Sanitize()
	if _, err := tx.Exec(ctx, fmt.Sprintf("DROP TABLE %s; CREATE SCHEMA %s; COMMENT ON SCHEMA %s IS '%s'; SET LOCAL lock_timeout = '%s'",
		r.progressTable(), kept, kept, rebuildMark, exchangeWait)); err != nil {
		return fmt.Errorf("making schema %q: %w", r.kept, err)
	}
	if err := s.exchange(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DROP SCHEMA "+next); err != nil {
		return fmt.Errorf("dropping schema %q, which is empty: %w", r.next, err)
	}
	return nil
}

// handOver copies into the next schema what is no fold, as it is now: what was told and is to be told, dead letters, replays,
// offsets, and partitions that are there already, which processors remember.
func (r *Rebuilder) handOver(ctx context.Context, tx pgx.Tx) error {
	next := pgx.Identifier{r.next}.Sanitize()
	for _, sql := range handOver {
		if _, err := tx.Exec(ctx, fmt.Sprintf(sql, next)); err != nil {
			return fmt.Errorf("handing over to schema %q: %w", r.next, err)
		}
	}
	for _, numbers := range []string{"outbox_number_seq", "replays_id_seq"} {
		sql := fmt.Sprintf("SELECT setval((quote_ident($1) || '.%[1]s')::regclass, last_value, is_called) FROM %[1]s", numbers)
		if _, err := tx.Exec(ctx, sql, r.next); err != nil {
			return fmt.Errorf("handing over numbers to schema %q: %w", r.next, err)
		}
	}
	return nil
}

// handOver is for the schema %[1]s. A dead letter that only a rebuild found was one before, and somebody dropped it, or its record was a row:
// it comes back without being published again.
var handOver = []string{
	`SELECT %[1]s.ensure_checks_partition(to_date(right(c.relname, 8), 'YYYYMMDD'))
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'checks'::regclass`,
	`SELECT %[1]s.ensure_strips_partition(to_date(right(c.relname, 8), 'YYYYMMDD'))
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'strips'::regclass`,
	"DELETE FROM %[1]s.replay_offsets",
	"DELETE FROM %[1]s.replays",
	"INSERT INTO %[1]s.replays OVERRIDING SYSTEM VALUE SELECT * FROM replays",
	"INSERT INTO %[1]s.replay_offsets SELECT * FROM replay_offsets",
	"DELETE FROM %[1]s.outbox",
	"INSERT INTO %[1]s.outbox OVERRIDING SYSTEM VALUE SELECT * FROM outbox",
	"DELETE FROM %[1]s.announcements",
	"INSERT INTO %[1]s.announcements SELECT * FROM announcements",
	"UPDATE %[1]s.dead_letters SET published = true WHERE NOT published",
	`INSERT INTO %[1]s.dead_letters SELECT * FROM dead_letters ON CONFLICT (topic, partition, record_offset)
	DO UPDATE SET cause = excluded.cause, published = excluded.published, unpublishable = excluded.unpublishable`,
	"DELETE FROM %[1]s.offsets",
	"INSERT INTO %[1]s.offsets SELECT * FROM offsets",
	"INSERT INTO %[1]s.target_states (target_id) SELECT target_id FROM target_states ON CONFLICT DO NOTHING",
}

// explainWait says for whom a lock was waited for in vain.
func (r *Rebuilder) explainWait(ctx context.Context, cause error) error {
	var pid int32
	var name string
	var since time.Time
	err := r.pool.QueryRow(ctx, `
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename, '?')::text, a.xact_start
FROM pg_stat_activity a WHERE a.pid IN (
	SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
	WHERE l.granted AND c.relnamespace = quote_ident($1)::regnamespace AND l.pid <> pg_backend_pid()
) AND a.xact_start IS NOT NULL ORDER BY a.xact_start LIMIT 1`, r.live).Scan(&pid, &name, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return cause
	}
	if err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("server process %d (%s) has been reading or writing the tables in one transaction since %s: %w",
		pid, name, since.UTC().Format(time.RFC3339), cause)
}

// beginRollback turns the kept schema into the next one. What a call before has begun it goes on with.
func (r *Rebuilder) beginRollback(ctx context.Context) error {
	return r.persist(ctx, func(ctx context.Context) error {
		if _, err := r.lock(ctx); err != nil {
			return err
		}
		kept, err := r.ours(ctx, r.kept)
		if err != nil {
			return err
		}
		stage, err := r.stage(ctx)
		switch {
		case err != nil:
			return err
		case !kept && stage == StageRollingBack:
			return nil
		case !kept:
			return &PermanentError{
				Err:  fmt.Errorf("there is no schema %q with tables that a rebuild replaced", r.kept),
				Next: "there is nothing to roll back",
			}
		}
		return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error { return r.recover(ctx, tx) })
	})
}

// recover renames the kept schema to the next one.
func (r *Rebuilder) recover(ctx context.Context, tx pgx.Tx) error {
	kept, next := pgx.Identifier{r.kept}.Sanitize(), pgx.Identifier{r.next}.Sanitize()
	for _, sql := range []string{
		"DROP SCHEMA IF EXISTS " + next + " CASCADE", // of a preparation that was stopped
		fmt.Sprintf("ALTER SCHEMA %s RENAME TO %s", kept, next),
		fmt.Sprintf(createProgress, r.progressTable()),
		fmt.Sprintf("INSERT INTO %s (stage) VALUES ('%s')", r.progressTable(), StageRollingBack),
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("taking up schema %q: %w", r.kept, err)
		}
	}
	if err := execEach(ctx, tx, listSearchPaths, r.next); err != nil {
		return fmt.Errorf("taking up schema %q: %w", r.kept, err)
	}
	return nil
}
