package processor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// comparedTable says how a table is compared, in SQL about its row t.
type comparedTable struct {
	name   string
	bucket string // the bucket that a row is hashed in, a bigint
	key    string // what tells rows apart, in order
	row    string // what is to be equal, and the key
}

// comparedTables are the tables that the log and the definitions decide. Checks and strips have a bucket a
// day, dead letters one every 65,536 offsets, the others 1,024. What became of a dead letter, and what is said of it, is no fold.
var comparedTables = []comparedTable{
	{"checks", "floor(extract(epoch FROM t.slot) / 86400)::bigint", "t.event_id", "t"},
	{"strips", "floor(extract(epoch FROM t.starts_at) / 86400)::bigint", "t.target_id, t.location, t.starts_at, t.definition_version", "t"},
	{"definitions", "hashtextextended(t.target_id, 0) & 1023", "t.target_id, t.definition_version", "t"},
	{"location_states", "hashtextextended(t.target_id, 0) & 1023", "t.target_id, t.location", "t"},
	{"target_states", "hashtextextended(t.target_id, 0) & 1023", "t.target_id", "t"},
	{"transitions", "hashtextextended(t.target_id, 0) & 1023", "t.target_id, t.slot", "t"},
	{"rollups", "hashtextextended(t.target_id, 0) & 1023", "t.target_id, t.location, t.span, t.starts_at", "t"},
	{
		"dead_letters", "t.record_offset >> 16", "t.topic, t.partition, t.record_offset",
		"ROW(t.topic, t.partition, t.record_offset, t.timestamp_ms, t.key, t.value, t.headers)",
	},
}

// tableComparison is what comparing one table of two schemas came to.
type tableComparison struct {
	table            string
	liveRows, rows   int64
	differingBuckets int
	differences      []rowDifference // the first ones
}

// rowDifference is one row that is not the same in both schemas.
type rowDifference struct {
	key string
	in  string // live, next, or both with different contents
}

// compareSchemas compares the folds of two schemas: rows are counted and hashed by buckets, and those that differ are gone through
// for at most limit differences a table. tx is to be REPEATABLE READ, so that all is of one moment.
func compareSchemas(ctx context.Context, tx pgx.Tx, live, next string, limit int) ([]tableComparison, error) {
	var all []tableComparison
	for _, table := range comparedTables {
		c, err := table.compare(ctx, tx, live, next, limit)
		if err != nil {
			return nil, fmt.Errorf("comparing %s of schemas %q and %q: %w", table.name, live, next, err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (t comparedTable) compare(ctx context.Context, tx pgx.Tx, live, next string, limit int) (tableComparison, error) {
	c := tableComparison{table: t.name}
	rows, err := tx.Query(ctx, fmt.Sprintf(`
SELECT coalesce(l.bucket, n.bucket), coalesce(l.rows, 0), coalesce(n.rows, 0), l.hash IS DISTINCT FROM n.hash OR l.rows IS DISTINCT FROM n.rows
FROM (%s) AS l FULL JOIN (%s) AS n USING (bucket) ORDER BY 1`, t.hashes(live), t.hashes(next)))
	if err != nil {
		return c, err
	}
	var differing []int64
	var bucket, liveRows, nextRows int64
	var differs bool
	_, err = pgx.ForEachRow(rows, []any{&bucket, &liveRows, &nextRows, &differs}, func() error {
		c.liveRows += liveRows
		c.rows += nextRows
		if differs {
			differing = append(differing, bucket)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	c.differingBuckets = len(differing)
	for _, bucket := range differing {
		if len(c.differences) >= limit {
			break
		}
		found, err := t.differences(ctx, tx, live, next, bucket, limit-len(c.differences))
		if err != nil {
			return c, err
		}
		c.differences = append(c.differences, found...)
	}
	return c, nil
}

// hashes gives the query of a schema's buckets. The sum of hashes does not depend on the order of rows.
func (t comparedTable) hashes(schema string) string {
	return fmt.Sprintf("SELECT %s AS bucket, count(*) AS rows, sum(hashtextextended((%s)::text, 0)) AS hash FROM %s AS t GROUP BY 1",
		t.bucket, t.row, pgx.Identifier{schema, t.name}.Sanitize())
}

// differences gives the first limit rows of a bucket that are not the same in both schemas, by key.
func (t comparedTable) differences(ctx context.Context, tx pgx.Tx, live, next string, bucket int64, limit int) ([]rowDifference, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(`
SELECT key, CASE WHEN n.content IS NULL THEN 'live' WHEN l.content IS NULL THEN 'next' ELSE 'both' END
FROM (%s) AS l FULL JOIN (%s) AS n USING (key) WHERE l.content IS DISTINCT FROM n.content ORDER BY key LIMIT $2`,
		t.contents(live), t.contents(next)), bucket, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d rowDifference, err error) {
		err = row.Scan(&d.key, &d.in)
		return d, err
	})
}

// contents gives the query of a bucket's rows as text, by key.
func (t comparedTable) contents(schema string) string {
	return fmt.Sprintf("SELECT ROW(%s)::text AS key, (%s)::text AS content FROM %s AS t WHERE %s = $1",
		t.key, t.row, pgx.Identifier{schema, t.name}.Sanitize(), t.bucket)
}
