package processor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

func partitionNames(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return query(t, pool, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'checks'::regclass ORDER BY 1")
}

func partitionName(d time.Time) string { return "checks_" + d.Format("20060102") }

// at gives an event whose slot is that moment.
func at(slot time.Time) event.CheckCompleted {
	e := newEvent("a", 0)
	e.Slot, e.StartedAt, e.EventID = slot, slot, schemas.EventID("a", e.Location, slot)
	return e
}

func TestARowLiesInThePartitionOfItsDay(t *testing.T) {
	pool := migrated(t)
	events := []event.CheckCompleted{
		at(firstSlot), at(firstSlot.Add(day - time.Millisecond)), at(firstSlot.Add(day)), at(firstSlot.Add(2*day - time.Millisecond)),
	}
	writeAll(t, pool, events, func() int { return 4 })
	first, second := partitionName(firstSlot), partitionName(firstSlot.Add(day))
	want := []string{first, first, second, second}
	if diff := cmp.Diff(want, query(t, pool, "SELECT tableoid::regclass::text FROM checks ORDER BY event_id")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASlotFromAnAbsurdTimeIsADeadLetterAndNoPartition(t *testing.T) {
	p := newPipeline(t, 1)
	now := time.Now().UTC().Truncate(time.Millisecond)
	good := []event.CheckCompleted{at(now.Add(-DefaultRetention + time.Hour)), at(now), at(now.Add(maxAhead - time.Hour))}
	p.produce(1, good...)
	p.produce(1, at(now.Add(-DefaultRetention-time.Hour)), at(now.Add(maxAhead+time.Hour)), at(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
	r := p.start(nil)
	r.await(6)
	r.finish()
	p.checkInvariants(good, 3)
	for _, name := range partitionNames(t, p.pool) {
		if name < partitionName(now.Add(-DefaultRetention)) || name > partitionName(now.Add(daysAhead*day)) {
			t.Errorf("partition %s was made", name)
		}
	}
}

func TestTidyMakesPartitionsAheadAndDropsThoseOutOfTheRetention(t *testing.T) {
	pool := migrated(t)
	writeAll(t, pool, []event.CheckCompleted{at(firstSlot), at(firstSlot.Add(day))}, func() int { return 2 })
	p := newStore(pool).partitions
	p.retention = 10 * day
	// The first day is out of the retention, and a day more, at the twelfth's midnight.
	today := firstSlot.Add(12 * day)
	p.now = func() time.Time { return today.Add(-time.Millisecond) }
	if err := p.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := len(dump(t, pool)); rows != 2 {
		t.Errorf("a moment before: %d rows, want both", rows)
	}
	p.now = func() time.Time { return today }
	if err := p.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{partitionName(firstSlot.Add(day))}
	for n := -1; n <= daysAhead; n++ {
		want = append(want, partitionName(today.Add(time.Duration(n)*day)))
	}
	if diff := cmp.Diff(want, partitionNames(t, pool)); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
	if rows := len(dump(t, pool)); rows != 1 {
		t.Errorf("%d rows, want that of the second day", rows)
	}
	if strips := query(t, pool, "SELECT starts_at::text FROM strips"); len(strips) != 1 {
		t.Errorf("strips from %q, want that of the second day", strips)
	}
}

func TestTidyDropsOldRollupsOfHoursAndKeepsThoseOfDays(t *testing.T) {
	pool := migrated(t)
	writeAll(t, pool, []event.CheckCompleted{at(firstSlot.Add(time.Hour)), at(firstSlot.Add(time.Hour + day))}, func() int { return 2 })
	p := newStore(pool).partitions
	p.retention, p.rollupRetention = day, 10*day
	p.now = func() time.Time { return firstSlot.Add(11 * day) }
	if err := p.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"day 0", "day 1", "hour 1"}
	got := query(t, pool, fmt.Sprintf("SELECT span || ' ' || extract(day FROM starts_at - '%s'::timestamptz) FROM rollups ORDER BY 1", firstSlot.Format(time.RFC3339)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rollups by span and day (-want +got):\n%s", diff)
	}
}

func TestAPartitionThatIsGoneIsNotTheRowsFault(t *testing.T) {
	pool := migrated(t)
	s := newStore(pool)
	storedOffset(t, pool, 0)
	if _, err := s.write(t.Context(), testBatch(newEvents(1), 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "DROP TABLE "+partitionName(firstSlot)); err != nil {
		t.Fatal(err)
	}
	b := testBatch(newEvents(2), 1)
	if _, err := s.write(t.Context(), b); err == nil || isPermanent(err) || len(b.letters) > 0 {
		t.Errorf("got %v and %d letters, want an error that passes", err, len(b.letters))
	}
	if _, err := newStore(pool).write(t.Context(), testBatch(newEvents(2), 1)); err != nil {
		t.Errorf("the next session: %v", err)
	}
}

func TestManyAtOnceMakeOnePartition(t *testing.T) {
	pool := migrated(t)
	var group errgroup.Group
	for range 8 {
		group.Go(func() error { return newStore(pool).partitions.ensure(t.Context(), []time.Time{firstSlot}) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{partitionName(firstSlot)}, partitionNames(t, pool)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyWhoIsGrantedItMakesAndDropsPartitions(t *testing.T) {
	pool := migrated(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "SET ROLE pg_monitor"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(t.Context(), "RESET ROLE"); err != nil {
			t.Error(err)
		}
	}()
	q := db.New()
	_, ensureErr := q.EnsureChecksPartition(t.Context(), conn, firstSlot)
	_, dropErr := q.DropChecksPartitions(t.Context(), conn, firstSlot)
	_, ensureStripsErr := q.EnsureStripsPartition(t.Context(), conn, firstSlot)
	_, dropStripsErr := q.DropStripsPartitions(t.Context(), conn, firstSlot)
	for _, err := range []error{ensureErr, dropErr, ensureStripsErr, dropStripsErr} {
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("got %v, want permission denied", err)
		}
	}
}
