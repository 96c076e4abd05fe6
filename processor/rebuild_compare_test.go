package processor

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// compared compares the schemas of testSwap and gives what differs, a line a table that does.
func compared(t *testing.T, pool, shadow *pgxpool.Pool, limit int) (differing []string) {
	t.Helper()
	atOneMoment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	next, err := shadow.BeginTx(t.Context(), atOneMoment)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Rollback(t.Context()) }()
	err = pgx.BeginTxFunc(t.Context(), pool, atOneMoment, func(live pgx.Tx) error {
		all, err := compareSchemas(t.Context(), schemaView{live, testSwap.live}, schemaView{next, testSwap.next}, limit)
		for _, c := range all {
			if c.Differing() {
				differing = append(differing, fmt.Sprintf("%s: %d and %d rows, %d buckets, %v", c.Table, c.LiveRows, c.NextRows, c.DifferingBuckets, c.Differences))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return differing
}

func TestAComparisonNamesTheRowsThatDifferAndNoOthers(t *testing.T) {
	pool := migrated(t)
	shadow := shadowOf(t, pool)
	events := newEvents(40)
	for _, p := range []*pgxpool.Pool{pool, shadow} {
		storedOffset(t, p, 0)
	}
	writeAll(t, pool, events, func() int { return 40 })
	writeAll(t, shadow, events, func() int { return 7 })
	if differing := compared(t, pool, shadow, 10); differing != nil {
		t.Errorf("the same events: %q differ", differing)
	}
	missing, changed := newEvent("target-0", 7), newEvent("target-1", 8)
	for _, sql := range []string{
		fmt.Sprintf("DELETE FROM checks WHERE event_id = '%s'", missing.EventID),
		fmt.Sprintf("UPDATE checks SET attempts = 9 WHERE event_id = '%s'", changed.EventID),
		"UPDATE rollups SET up = up + 1 WHERE target_id = 'target-2' AND span = 'day'",
		"INSERT INTO target_states (target_id) VALUES ('extra')",
		"DELETE FROM location_states WHERE target_id = 'target-3'",
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	want := []string{
		fmt.Sprintf("checks: 39 and 40 rows, 1 buckets, [{(%s) next} {(%s) both}]", missing.EventID, changed.EventID),
		"location_states: 6 and 7 rows, 1 buckets, [{(target-3,here) next}]",
		"target_states: 8 and 7 rows, 1 buckets, [{(extra) live}]",
		fmt.Sprintf(`rollups: 14 and 14 rows, 1 buckets, [{(target-2,here,day,"%s") both}]`, query(t, pool,
			"SELECT starts_at::text FROM rollups WHERE target_id = 'target-2' AND span = 'day'")[0]),
	}
	if diff := cmp.Diff(want, compared(t, pool, shadow, 2)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
