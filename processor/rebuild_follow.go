package processor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
)

// foldFirst folds the log as far as it is processed, and then takes over the rollups of before the first day: the first checks of a
// location count the gap before them, which those rollups have already.
func (r *Rebuilder) foldFirst(ctx context.Context) error {
	if err := r.catchUp(ctx, r.pool, StageFolding); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		for _, sql := range takeOverRollups {
			if _, err := tx.Exec(ctx, fmt.Sprintf(sql, pgx.Identifier{r.next}.Sanitize())); err != nil {
				return fmt.Errorf("taking over old rollups: %w", err)
			}
		}
		return r.enter(ctx, tx, StageFollowing)
	})
}

// takeOverRollups is for the schema %[1]s.
var takeOverRollups = []string{
	"DELETE FROM %[1]s.rollups WHERE starts_at < (SELECT first_day FROM %[1]s.rebuild)",
	"INSERT INTO %[1]s.rollups SELECT * FROM rollups WHERE starts_at < (SELECT first_day FROM %[1]s.rebuild)",
}

// follow catches up with processors until little is left.
func (r *Rebuilder) follow(ctx context.Context) error {
	for {
		left, err := r.left(ctx)
		if err != nil || left <= int64(r.cfg.BatchRecords) {
			return err
		}
		if err := r.persist(ctx, func(ctx context.Context) error { return r.catchUp(ctx, r.pool, StageFollowing) }); err != nil {
			return err
		}
	}
}

// left is how many offsets processors are ahead.
func (r *Rebuilder) left(ctx context.Context) (left int64, err error) {
	err = r.persist(ctx, func(ctx context.Context) error {
		return r.pool.QueryRow(ctx, fmt.Sprintf(`
SELECT coalesce(sum(greatest(l.next_offset - coalesce(n.next_offset, 0), 0)), 0)::bigint
FROM offsets l LEFT JOIN %s n USING (topic, partition) WHERE topic = $1`, pgx.Identifier{r.next, "offsets"}.Sanitize()), r.cfg.Topic).Scan(&left)
	})
	return left, err
}

// catchUp brings the next schema to where the live one is as live sees it, and never further: definitions, days, and the log up to the
// stored offsets.
func (r *Rebuilder) catchUp(ctx context.Context, live db.DBTX, stage RebuildStage) error {
	if err := r.copyDefinitions(ctx, live); err != nil {
		return err
	}
	if err := r.dropDays(ctx, live); err != nil {
		return err
	}
	rows, err := r.shadow.queries.ListAllOffsets(ctx, live, r.cfg.Topic)
	if err != nil {
		return fmt.Errorf("reading stored offsets: %w", err)
	}
	at := &rebuildBookmark{Rebuilder: r, ends: make(map[int32]int64)}
	for _, row := range rows {
		at.ends[row.Partition] = row.NextOffset
	}
	if err := r.addPartitions(ctx, at); err != nil {
		return err
	}
	again := &rereading{
		Processor: r.shadow, at: at, report: func(p ReplayProgress) { r.report(stage, int64(p.Records+p.TooOld), p.Left) },
		lost: r.outrun, giveUp: `"webcheck replay --rebuild --discard" gives the rebuild up`,
	}
	return again.run(ctx)
}

// dropDays drops the partitions of days that have passed out of the retention meanwhile.
func (r *Rebuilder) dropDays(ctx context.Context, live db.DBTX) error {
	for table, drop := range map[string]func(context.Context, db.DBTX, time.Time) (int32, error){
		"checks": r.shadow.queries.DropChecksPartitions, "strips": r.shadow.queries.DropStripsPartitions,
	} {
		first, err := firstDayOf(ctx, live, table)
		if err != nil {
			return err
		}
		if _, err := drop(ctx, r.nextPool, first); err != nil {
			return fmt.Errorf("dropping partitions of %s before %s: %w", table, first.Format(time.DateOnly), err)
		}
	}
	return nil
}

// addPartitions stores where partitions begin that processors have begun since.
func (r *Rebuilder) addPartitions(ctx context.Context, at *rebuildBookmark) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	rows, err := r.shadow.queries.ListAllOffsets(ctx, r.nextPool, r.cfg.Topic)
	if err != nil {
		return fmt.Errorf("reading the offsets of schema %q: %w", r.next, err)
	}
	added := maps.Clone(at.ends)
	for _, row := range rows {
		delete(added, row.Partition)
	}
	if len(added) == 0 {
		return nil
	}
	client, err := kgo.NewClient(r.cfg.Kafka...)
	if err != nil {
		return &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	defer client.Close()
	log, err := (&lister{topic: r.cfg.Topic, kafka: kadm.NewClient(client)}).readable(ctx, slices.Collect(maps.Keys(added)))
	if err != nil {
		return err
	}
	for partition, end := range added {
		arg := db.InsertOffsetParams{Topic: r.cfg.Topic, Partition: partition, NextOffset: min(log[partition].start, end)}
		if _, err := r.shadow.queries.InsertOffset(ctx, r.nextPool, arg); err != nil {
			return fmt.Errorf("storing where %s/%d begins: %w", r.cfg.Topic, partition, err)
		}
	}
	return nil
}

// outrun says that the log has lost what was still to be read, which the tables in use have.
func (r *Rebuilder) outrun(records int64) error {
	return &PermanentError{
		Err:  fmt.Errorf("%d records expired from %s before they were folded into schema %q; the tables in use have them", records, r.cfg.Topic, r.next),
		Next: `"webcheck replay --rebuild --discard" drops that schema; then rebuild from what there is`,
	}
}

// copyDefinitions stores what the live schema has learnt of definitions, by the code that processors do it with.
func (r *Rebuilder) copyDefinitions(ctx context.Context, live db.DBTX) error {
	s := r.shadow.newStore(true)
	var target, version string
	for {
		limited, cancel := bounded(ctx)
		page, err := r.definitionsAfter(limited, live, target, version)
		if err == nil && len(page) > 0 {
			_, err = s.define(limited, page)
		}
		cancel()
		if err != nil {
			return fmt.Errorf("taking over definitions: %w", err)
		}
		if len(page) < definitionsPerTransaction {
			return nil
		}
		last := page[len(page)-1]
		target, version = last.TargetID, last.DefinitionVersion
	}
}

// definitionsAfter gives the next definitions that the next schema does not have, or not as early.
func (r *Rebuilder) definitionsAfter(ctx context.Context, live db.DBTX, target, version string) ([]event.TargetDefined, error) {
	rows, err := live.Query(ctx, fmt.Sprintf(`
SELECT target_id, definition_version, defined_at, url, interval_ms, timeout_ms, down_after, down_of, up_after, up_of, quorum,
	flap_transitions, flap_window_s, silent_after, definition
FROM definitions AS d
WHERE (target_id, definition_version) > ($1, $2) AND NOT EXISTS (
	SELECT FROM %s AS k WHERE k.target_id = d.target_id AND k.definition_version = d.definition_version AND k.defined_at <= d.defined_at
)
ORDER BY target_id, definition_version LIMIT $3`, pgx.Identifier{r.next, "definitions"}.Sanitize()), target, version, definitionsPerTransaction)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (event.TargetDefined, error) {
		params, err := pgx.RowToStructByPos[db.InsertDefinitionParams](row)
		return event.TargetDefined(params), err
	})
}

// rebuildBookmark is that of a rebuild: the offsets that the next schema has stored, up to those of the live one.
type rebuildBookmark struct {
	*Rebuilder
	ends map[int32]int64
}

func (b *rebuildBookmark) left(ctx context.Context) (map[int32]span, error) {
	rows, err := b.shadow.queries.ListAllOffsets(ctx, b.nextPool, b.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of schema %q: %w", b.next, err)
	}
	left := make(map[int32]span)
	for _, row := range rows {
		if end := b.ends[row.Partition]; row.NextOffset < end {
			left[row.Partition] = span{next: row.NextOffset, end: end}
		}
	}
	return left, nil
}

func (b *rebuildBookmark) move(ctx context.Context, tx pgx.Tx, read *batch) error {
	return (&store{queries: b.shadow.queries}).advance(ctx, tx, read)
}

// finish has nothing to do: the offsets are those of the tables.
func (b *rebuildBookmark) finish(context.Context) error { return nil }
