package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// seedMargin is how much younger than the first record that the log still has the slot of an event may be that has expired:
// a prober's clock may be ahead by as much and its event is a row.
const seedMargin = maxAhead

// createProgress makes the table that says how far a rebuild is. It is dropped with the swap.
const createProgress = `
CREATE TABLE %s (
	stage          text NOT NULL,
	first_day      timestamptz, -- the first day of which there are checks: what is older is taken over as it is
	from_slot      timestamptz, -- checks of slots before it are taken from the live table too, not from the log alone
	after_event_id uuid         -- of the last one that has been taken
)`

// progressTable is the quoted name of that table.
func (r *Rebuilder) progressTable() string { return pgx.Identifier{r.next, "rebuild"}.Sanitize() }

// begin finds out how far a rebuild is, or prepares one.
func (r *Rebuilder) begin(ctx context.Context) (stage RebuildStage, err error) {
	err = r.persist(ctx, func(ctx context.Context) (err error) {
		if _, err = r.lock(ctx); err != nil {
			return err
		}
		stage, err = r.stage(ctx)
		switch {
		case err != nil:
		case stage == "":
			stage, err = StageSeeding, r.prepare(ctx)
		case stage == StageRollingBack:
			err = &PermanentError{
				Err:  fmt.Errorf("a rollback to the tables of schema %q is unfinished", r.next),
				Next: `"webcheck replay --rebuild --rollback" goes on with it, "--discard" drops those tables`,
			}
		}
		return err
	})
	return stage, err
}

// stage gives the stage that a rebuild is in, nothing where there is none.
func (r *Rebuilder) stage(ctx context.Context) (stage RebuildStage, err error) {
	there, err := r.ours(ctx, r.next)
	if err != nil || !there {
		return "", err
	}
	err = r.pool.QueryRow(ctx, "SELECT stage FROM "+r.progressTable()).Scan(&stage)
	switch {
	case sqlState(err) == codeUndefinedTable || errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading how far the rebuild is: %w", err)
	}
	return stage, nil
}

// prepare makes the next schema anew, with what stands before the first check in it.
func (r *Rebuilder) prepare(ctx context.Context) error {
	kept, err := r.ours(ctx, r.kept)
	if err != nil {
		return err
	}
	if kept {
		return &PermanentError{
			Err:  fmt.Errorf("schema %q still has the tables that the last rebuild replaced", r.kept),
			Next: `"webcheck replay --rebuild --discard" drops them, "--rollback" brings them back`,
		}
	}
	err = pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		name := pgx.Identifier{r.next}.Sanitize()
		_, err := tx.Exec(ctx, fmt.Sprintf("DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s; COMMENT ON SCHEMA %s IS '%s'", name, name, name, rebuildMark))
		return err
	})
	if err != nil {
		return fmt.Errorf("making schema %q: %w", r.next, err)
	}
	if _, err := Migrate(ctx, r.nextPool); err != nil {
		return err
	}
	firstDay, err := firstDayOf(ctx, r.pool, "checks")
	if err != nil {
		return err
	}
	starts, fromSlot, err := r.oldestInLog(ctx)
	if err != nil {
		return err
	}
	return r.plant(ctx, firstDay, fromSlot, starts)
}

// firstDayOf gives the first day that a table has a partition of: today where it has none.
func firstDayOf(ctx context.Context, live db.DBTX, table string) (time.Time, error) {
	first := time.Now().UTC().Truncate(day)
	err := live.QueryRow(ctx, `
SELECT coalesce(min(to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'), $2)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::text::regclass`, table, first).Scan(&first)
	if err != nil {
		return first, fmt.Errorf("looking for the first partition of %s: %w", table, err)
	}
	return first.UTC(), nil
}

// oldestInLog gives where each partition that processors have begun starts now, and the slot from which on every event is in the log
// and in time.
func (r *Rebuilder) oldestInLog(ctx context.Context) (starts map[int32]int64, fromSlot time.Time, err error) {
	now := time.Now().UTC()
	fromSlot = now.Add(day - r.cfg.Retention).Truncate(day).Add(day)
	rows, err := r.shadow.queries.ListAllOffsets(ctx, r.pool, r.cfg.Topic)
	if err != nil {
		return nil, fromSlot, fmt.Errorf("reading stored offsets: %w", err)
	}
	client, err := kgo.NewClient(r.cfg.Kafka...)
	if err != nil {
		return nil, fromSlot, &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	defer client.Close()
	kafka := kadm.NewClient(client)
	partitions := make([]int32, len(rows))
	for i, row := range rows {
		partitions[i] = row.Partition
	}
	log, err := (&lister{topic: r.cfg.Topic, kafka: kafka}).readable(ctx, partitions)
	if err != nil {
		return nil, fromSlot, err
	}
	first, err := kafka.ListOffsetsAfterMilli(ctx, 0, r.cfg.Topic)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return nil, fromSlot, fmt.Errorf("listing the first records of %s: %w", r.cfg.Topic, err)
	}
	starts = make(map[int32]int64)
	for _, row := range rows {
		has := log[row.Partition]
		starts[row.Partition] = min(has.start, row.NextOffset)
		if has.start == 0 {
			continue
		}
		oldest := now // of a partition that has nothing, all may have expired
		if o, found := first.Lookup(r.cfg.Topic, row.Partition); found && o.Timestamp >= 0 && has.start < has.end {
			oldest = time.UnixMilli(o.Timestamp).UTC()
		}
		if oldest = oldest.Add(seedMargin); oldest.After(fromSlot) {
			fromSlot = oldest
		}
	}
	return starts, fromSlot, nil
}

// plant takes over, in one transaction, what was folded of the time before the first day, so that the checks of that day are folded
// onto it, and says where the log is to be read from.
func (r *Rebuilder) plant(ctx context.Context, firstDay, fromSlot time.Time, starts map[int32]int64) error {
	rows, err := r.pool.Query(ctx, "SELECT DISTINCT date_trunc('day', starts_at, 'UTC') FROM strips WHERE starts_at < $1", firstDay)
	if err != nil {
		return fmt.Errorf("looking for old strips: %w", err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return fmt.Errorf("looking for old strips: %w", err)
	}
	for i := range days {
		days[i] = days[i].UTC()
	}
	if err := r.shadow.partitions.ensure(ctx, days); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		for _, sql := range plantOld {
			if _, err := tx.Exec(ctx, fmt.Sprintf(sql, pgx.Identifier{r.next}.Sanitize()), firstDay); err != nil {
				return fmt.Errorf("taking over what is older than %s: %w", firstDay.Format(time.DateOnly), err)
			}
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(createProgress, r.progressTable())); err != nil {
			return fmt.Errorf("keeping how far the rebuild is: %w", err)
		}
		first := eventIDAt(firstDay)
		if _, err := tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s VALUES ($1, $2, $3, $4)", r.progressTable()), StageSeeding, firstDay, fromSlot, first); err != nil {
			return fmt.Errorf("keeping how far the rebuild is: %w", err)
		}
		for partition, start := range starts {
			sql := fmt.Sprintf("INSERT INTO %s VALUES ($1, $2, $3)", pgx.Identifier{r.next, "offsets"}.Sanitize())
			if _, err := tx.Exec(ctx, sql, r.cfg.Topic, partition, start); err != nil {
				return fmt.Errorf("storing where %s/%d begins: %w", r.cfg.Topic, partition, err)
			}
		}
		return nil
	})
}

// plantOld copies from the live schema to schema %s what was folded of the time before $1: transitions and strips; each
// target's state then, which its last transition tells; and each location's fold then, which its first strip since tells, or its row
// where it has none. What else such a row says of the last check is written over with the first one.
var plantOld = []string{
	"INSERT INTO %[1]s.transitions SELECT * FROM transitions WHERE slot < $1",
	"INSERT INTO %[1]s.strips SELECT * FROM strips WHERE starts_at < $1",
	`INSERT INTO %[1]s.target_states (target_id, state, since, event_id, flapping_until)
	SELECT t.target_id, coalesce(last.to_state, 'unknown'), last.slot, last.event_id, CASE WHEN t.since = last.slot THEN t.flapping_until END
	FROM target_states t LEFT JOIN LATERAL (
		SELECT to_state, slot, event_id FROM transitions WHERE target_id = t.target_id AND slot < $1 ORDER BY slot DESC LIMIT 1
	) AS last ON true`,
	`INSERT INTO %[1]s.location_states (target_id, location, state, since, last_slot, last_event_id, last_outcome, last_total_us, fold)
	SELECT l.target_id, l.location, (ARRAY['unknown', 'up', 'degraded', 'down'])[(start.fold[1] & 3) + 1],
		CASE WHEN start.fold[2] > 0 THEN to_timestamp(start.fold[2] / 1000.0) END, to_timestamp(start.fold[6] / 1000.0),
		l.last_event_id, l.last_outcome, l.last_total_us, start.fold
	FROM location_states l
	LEFT JOIN LATERAL (
		SELECT before FROM strips WHERE target_id = l.target_id AND location = l.location AND starts_at >= $1 ORDER BY starts_at LIMIT 1
	) AS first ON true
	CROSS JOIN LATERAL (SELECT coalesce(first.before, l.fold) AS fold) AS start
	WHERE start.fold[6] > 0 AND to_timestamp(start.fold[6] / 1000.0) < $1`,
}

// seed writes the checks that are older than what the log surely has, from the live table, and folds them.
func (r *Rebuilder) seed(ctx context.Context) error {
	if err := r.copyDefinitions(ctx, r.pool); err != nil {
		return err
	}
	var fromSlot time.Time
	var after string
	if err := r.pool.QueryRow(ctx, "SELECT from_slot, after_event_id::text FROM "+r.progressTable()).Scan(&fromSlot, &after); err != nil {
		return fmt.Errorf("reading how far the rebuild is: %w", err)
	}
	s := r.shadow.newStore(true)
	s.move = func(ctx context.Context, tx pgx.Tx, b *batch) error {
		_, err := tx.Exec(ctx, fmt.Sprintf("UPDATE %s SET after_event_id = $1", r.progressTable()), b.rows[len(b.rows)-1].EventID)
		return err
	}
	for done := int64(0); ; {
		n, last, err := r.seedSome(ctx, s, after, eventIDAt(fromSlot))
		if err != nil {
			return err
		}
		if n == 0 {
			return r.enter(ctx, r.pool, StageFolding)
		}
		done, after = done+int64(n), last
		r.report(StageSeeding, done, -1)
	}
}

// seedSome writes the next batch of checks; last is the id of the last of them.
func (r *Rebuilder) seedSome(ctx context.Context, s *store, after, before string) (n int, last string, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	rows, err := r.shadow.queries.PageChecks(ctx, r.pool, db.PageChecksParams{AfterID: after, UpTo: int32(r.cfg.BatchRecords)})
	if err != nil {
		return 0, "", fmt.Errorf("reading old checks: %w", err)
	}
	for len(rows) > 0 && rows[len(rows)-1].EventID >= before {
		rows = rows[:len(rows)-1]
	}
	if len(rows) == 0 {
		return 0, "", nil
	}
	b := &batch{topic: r.cfg.Topic, rows: make([]db.CopyChecksParams, len(rows)), records: make([]*kgo.Record, len(rows))}
	old := &kgo.Record{Topic: r.cfg.Topic, Timestamp: time.UnixMilli(math.MaxInt32)} // whether it was late makes no difference here
	for i, row := range rows {
		b.rows[i], b.records[i] = db.CopyChecksParams(row), old
	}
	if _, err := s.write(ctx, b); err != nil {
		return 0, "", fmt.Errorf("taking over old checks: %w", err)
	}
	return len(rows), rows[len(rows)-1].EventID, nil
}

// enter notes that a stage has begun.
func (r *Rebuilder) enter(ctx context.Context, in db.DBTX, stage RebuildStage) error {
	if _, err := in.Exec(ctx, fmt.Sprintf("UPDATE %s SET stage = $1", r.progressTable()), stage); err != nil {
		return fmt.Errorf("keeping how far the rebuild is: %w", err)
	}
	return nil
}
