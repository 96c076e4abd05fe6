package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// comparedTable says how a table is compared, in SQL about its row t.
type comparedTable struct {
	name   string
	bucket string // the bucket that a row is hashed in, a bigint
	within string // the condition for being in bucket $1
	key    string // what tells rows apart, in order
}

const (
	bucketOfTarget = "hashtextextended(t.target_id, 0) & 1023"
	inTargetBucket = bucketOfTarget + " = $1::bigint"
)

// comparedTables are the tables that the log and the definitions decide. Checks and strips have a bucket a day, the others 1,024.
// Dead letters are not among them: what became of them, by people too, the log does not tell.
var comparedTables = []comparedTable{
	{
		"checks", "floor(extract(epoch FROM t.slot) / 86400)::bigint",
		"t.event_id >= first_event_id(date '1970-01-01' + $1::integer) AND t.event_id < first_event_id(date '1970-01-02' + $1::integer)", "t.event_id",
	},
	{
		"strips", "floor(extract(epoch FROM t.starts_at) / 86400)::bigint",
		"t.starts_at >= to_timestamp($1::bigint * 86400) AND t.starts_at < to_timestamp(($1::bigint + 1) * 86400)", "t.target_id, t.location, t.starts_at, t.definition_version",
	},
	{"location_states", bucketOfTarget, inTargetBucket, "t.target_id, t.location"},
	{"target_states", bucketOfTarget, inTargetBucket, "t.target_id"},
	{"transitions", bucketOfTarget, inTargetBucket, "t.target_id, t.slot"},
	{"rollups", bucketOfTarget, inTargetBucket, "t.target_id, t.location, t.span, t.starts_at"},
}

// TableComparison is what comparing one table of two schemas came to.
type TableComparison struct {
	Table string `json:"table"`
	// LiveRows are those of the table in use, NextRows those of the new one.
	LiveRows int64 `json:"live_rows"`
	NextRows int64 `json:"next_rows"`
	// Buckets are the parts that the rows were counted and hashed in, DifferingBuckets those that are not the same.
	Buckets          int `json:"buckets"`
	DifferingBuckets int `json:"differing_buckets"`
	// Differences are the first rows that differ.
	Differences []RowDifference `json:"differences,omitempty"`
}

// Differing says whether the two are not the same.
func (c TableComparison) Differing() bool { return c.DifferingBuckets > 0 }

// RowDifference is one row that is not the same in both schemas.
type RowDifference struct {
	Key string `json:"key"`
	In  string `json:"in"` // "live" or "next", which alone has it, or "both", with different contents
}

// ListedDifferences is how many differing rows of a table are named at most.
const ListedDifferences = 10

// schemaView is a schema in a transaction that is REPEATABLE READ, so that all of it is of one moment.
type schemaView struct {
	tx     pgx.Tx
	schema string
}

// compareSchemas compares the folds of two schemas: rows are counted and hashed by buckets, and those buckets that differ are gone
// through for at most limit rows a table. The two may lie in transactions of different moments, as long as both
// are at the same offsets of the log.
func compareSchemas(ctx context.Context, live, next schemaView, limit int) ([]TableComparison, error) {
	var all []TableComparison
	for _, table := range comparedTables {
		c, err := table.compare(ctx, live, next, limit)
		if err != nil {
			return nil, fmt.Errorf("comparing %s of schemas %q and %q: %w", table.name, live.schema, next.schema, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// bucketHash is a bucket's number of rows and the sum of their hashes, which does not depend on their order.
type bucketHash struct {
	rows int64
	hash string
}

func (t comparedTable) compare(ctx context.Context, live, next schemaView, limit int) (TableComparison, error) {
	c := TableComparison{Table: t.name}
	liveHashes, err := t.hashes(ctx, live)
	if err != nil {
		return c, err
	}
	nextHashes, err := t.hashes(ctx, next)
	if err != nil {
		return c, err
	}
	var differing []int64
	for bucket, hash := range liveHashes {
		c.LiveRows += hash.rows
		if nextHashes[bucket] != hash {
			differing = append(differing, bucket)
		}
	}
	c.Buckets = len(liveHashes)
	for bucket, hash := range nextHashes {
		c.NextRows += hash.rows
		if _, there := liveHashes[bucket]; !there {
			c.Buckets++
			differing = append(differing, bucket)
		}
	}
	slices.Sort(differing)
	c.DifferingBuckets = len(differing)
	for _, bucket := range differing {
		if len(c.Differences) == limit {
			break
		}
		if err := t.differences(ctx, live, next, bucket, limit, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// hashes gives what a table has by bucket.
func (t comparedTable) hashes(ctx context.Context, in schemaView) (map[int64]bucketHash, error) {
	rows, err := in.tx.Query(ctx, fmt.Sprintf("SELECT %s, count(*), sum(hashtextextended(t::text, 0))::text FROM %s AS t GROUP BY 1",
		t.bucket, pgx.Identifier{in.schema, t.name}.Sanitize()))
	if err != nil {
		return nil, err
	}
	all := make(map[int64]bucketHash)
	var bucket int64
	var hash bucketHash
	_, err = pgx.ForEachRow(rows, []any{&bucket, &hash.rows, &hash.hash}, func() error {
		all[bucket] = hash
		return nil
	})
	return all, err
}

// differences adds the rows of a bucket that are not the same in both schemas, by key, up to limit in all. Both sides come in the order
// of keys, and of each only the row at hand is in memory.
func (t comparedTable) differences(ctx context.Context, live, next schemaView, bucket int64, limit int, c *TableComparison) error {
	liveRows, err := t.contents(ctx, live, bucket)
	if err != nil {
		return err
	}
	defer liveRows.Close()
	nextRows, err := t.contents(ctx, next, bucket)
	if err != nil {
		return err
	}
	defer nextRows.Close()
	liveRows.advance()
	nextRows.advance()
	for (liveRows.more || nextRows.more) && len(c.Differences) < limit {
		switch order := liveRows.compare(nextRows); {
		case order < 0:
			c.Differences = append(c.Differences, RowDifference{Key: liveRows.key, In: "live"})
			liveRows.advance()
		case order > 0:
			c.Differences = append(c.Differences, RowDifference{Key: nextRows.key, In: "next"})
			nextRows.advance()
		default:
			if liveRows.hash != nextRows.hash {
				c.Differences = append(c.Differences, RowDifference{Key: liveRows.key, In: "both"})
			}
			liveRows.advance()
			nextRows.advance()
		}
	}
	liveRows.Close()
	nextRows.Close()
	return errors.Join(liveRows.err, nextRows.err, liveRows.Err(), nextRows.Err())
}

// contents gives a bucket's rows in the order of their keys.
func (t comparedTable) contents(ctx context.Context, in schemaView, bucket int64) (*contentRows, error) {
	rows, err := in.tx.Query(ctx, fmt.Sprintf(`SELECT ROW(%s)::text COLLATE "C" AS key, hashtextextended(t::text, 0) FROM %s AS t WHERE %s ORDER BY 1`,
		t.key, pgx.Identifier{in.schema, t.name}.Sanitize(), t.within), bucket)
	return &contentRows{Rows: rows}, err
}

// contentRows goes through rows of which only key and hash are read.
type contentRows struct {
	pgx.Rows
	more bool // there is one at hand
	key  string
	hash int64
	err  error
}

func (r *contentRows) advance() {
	if r.more = r.Next(); r.more {
		r.err = r.Scan(&r.key, &r.hash)
		r.more = r.err == nil
	}
}

// compare tells whose key comes first, or which of the two has one at all.
func (r *contentRows) compare(other *contentRows) int {
	switch {
	case !r.more:
		return 1
	case !other.more:
		return -1
	}
	return strings.Compare(r.key, other.key)
}
