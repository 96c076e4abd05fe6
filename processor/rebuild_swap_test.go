package processor

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/event"
)

var testSwap = schemaSwap{live: "public", next: "shadow", kept: "kept"}

// shadowOf makes the schemas of testSwap and gives a pool on the shadow.
func shadowOf(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	if _, err := pool.Exec(t.Context(), "CREATE SCHEMA shadow; CREATE SCHEMA kept"); err != nil {
		t.Fatal(err)
	}
	cfg := pool.Config()
	cfg.ConnConfig.RuntimeParams["search_path"] = "shadow"
	shadow, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shadow.Close)
	if _, err := Migrate(t.Context(), shadow); err != nil {
		t.Fatal(err)
	}
	return shadow
}

// swap swaps as testSwap says; locked is called while writers wait.
func swap(t *testing.T, pool *pgxpool.Pool, s schemaSwap, locked func()) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := s.lock(t.Context(), tx); err != nil {
			return err
		}
		locked()
		return s.exchange(t.Context(), tx)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStoreThatWaitsForASwapWritesIntoTheNewTables(t *testing.T) {
	pool := migrated(t)
	shadow := shadowOf(t, pool)
	events := newEvents(40)
	s := newStore(pool)
	storedOffset(t, pool, 0)
	write := func(ctx context.Context, from, end int, expected int64) error {
		_, err := s.write(ctx, testBatch(events[from:end], expected))
		return err
	}
	for range 2 { // twice the same, so that the statements of a merge are prepared too
		if err := write(t.Context(), 0, 20, storedOffset(t, pool, 0)); err != nil {
			t.Fatal(err)
		}
	}
	storedOffset(t, shadow, 0)
	twice := append(append([]event.CheckCompleted(nil), events[:20]...), events[:20]...)
	writeAll(t, shadow, twice, func() int { return 20 })
	waited := make(chan error, 1)
	swap(t, pool, testSwap, func() {
		go func() { waited <- write(t.Context(), 10, 40, 40) }()
		for len(query(t, pool, "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")) == 0 {
		}
	})
	if err := <-waited; err != nil {
		t.Fatalf("the write that waited: %v", err)
	}
	if err := write(t.Context(), 0, 40, 70); err != nil {
		t.Fatalf("a merge after the swap: %v", err)
	}
	later := newEvent("later", 60*24)
	if _, err := s.write(t.Context(), testBatch([]event.CheckCompleted{later}, 110)); err != nil {
		t.Fatalf("a partition after the swap: %v", err)
	}
	if rows := len(dump(t, pool)); rows != 41 {
		t.Errorf("%d rows in the live schema, want all 41", rows)
	}
	if kept := query(t, pool, "SELECT count(*)::text FROM kept.checks"); kept[0] != "20" {
		t.Errorf("%s rows in the kept schema, want the 20 from before the swap", kept[0])
	}
	if left := query(t, pool, "SELECT relname::text FROM pg_class WHERE relnamespace = 'shadow'::regnamespace"); len(left) > 0 {
		t.Errorf("%q is left in the shadow", left)
	}
	checkFolds(t, pool)
}

func TestASwapAndItsRollbackLeaveNamesRightsAndForeignTablesAsTheyWere(t *testing.T) {
	pool := migrated(t)
	shadowOf(t, pool)
	for _, sql := range []string{
		"CREATE TABLE foreign_table (n integer)",
		"GRANT SELECT, INSERT ON checks, offsets TO pg_monitor",
		"GRANT USAGE ON SEQUENCE outbox_number_seq TO pg_monitor WITH GRANT OPTION",
		"GRANT EXECUTE ON FUNCTION ensure_checks_partition TO pg_monitor",
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	catalog := func() []string {
		return query(t, pool, `
SELECT relname || ' ' || relkind::text || ' ' || coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) AS a), '') AS line
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
UNION ALL
SELECT proname || ' ' || coalesce(proconfig::text, '') || ' ' || coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(proacl) AS a), '')
FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY line`)
	}
	want := catalog()
	swap(t, pool, testSwap, func() {})
	if diff := cmp.Diff(want, catalog()); diff != "" {
		t.Errorf("the live schema (-before +after the swap):\n%s", diff)
	}
	swap(t, pool, schemaSwap{live: "public", next: "kept", kept: "shadow"}, func() {})
	if diff := cmp.Diff(want, catalog()); diff != "" {
		t.Errorf("the live schema (-before +after the rollback):\n%s", diff)
	}
}
