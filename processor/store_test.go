package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/db"
	"webcheck/gen/event"
)

func newStore(pool *pgxpool.Pool) *store {
	partitions := &partitions{
		pool: pool, queries: db.New(), retention: DefaultRetention, rollupRetention: DefaultRollupRetention, logger: slog.New(slog.DiscardHandler), now: time.Now,
	}
	return &store{pool: pool, queries: db.New(), partitions: partitions, folder: newFolder(db.New(), false), days: make(map[time.Time]bool)}
}

// writeAll writes rows as records of partition 0 of "t", from its stored offset on, in batches of the given sizes.
func writeAll(t *testing.T, pool *pgxpool.Pool, events []event.CheckCompleted, size func() int) (Tally, []letter) {
	t.Helper()
	s := newStore(pool)
	var sum Tally
	var letters []letter
	expected := storedOffset(t, pool, 0)
	for len(events) > 0 {
		n := min(size(), len(events))
		b := testBatch(events[:n], expected)
		tally, err := s.write(t.Context(), b)
		if err != nil {
			t.Fatalf("writing a batch of %d: %v", n, err)
		}
		sum.Records += tally.Records
		sum.Inserted += tally.Inserted
		sum.Merged += tally.Merged
		sum.Dead += tally.Dead
		letters = append(letters, b.letters...)
		events, expected = events[n:], expected+int64(n)
	}
	return sum, letters
}

func testBatch(events []event.CheckCompleted, expected int64) *batch {
	b := &batch{topic: "t", advances: map[int32]advance{0: {expected: expected, next: expected + int64(len(events))}}}
	for i, e := range events {
		b.rows = append(b.rows, row(e))
		b.records = append(b.records, &kgo.Record{Topic: "t", Offset: expected + int64(i), Key: []byte(e.TargetID), Value: []byte("v")})
	}
	return b
}

func storedOffset(t *testing.T, pool *pgxpool.Pool, partition int32) int64 {
	t.Helper()
	q := db.New()
	if _, err := q.InsertOffset(t.Context(), pool, db.InsertOffsetParams{Topic: "t", Partition: partition}); err != nil {
		t.Fatal(err)
	}
	rows, err := q.ListOffsets(t.Context(), pool, db.ListOffsetsParams{Topic: "t", Partitions: []int32{partition}})
	if err != nil || len(rows) != 1 {
		t.Fatalf("reading the offset of %d: %v, %v", partition, rows, err)
	}
	return rows[0].NextOffset
}

// dump gives the checks table as text, a line a row, by id.
func dump(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return query(t, pool, "SELECT checks::text FROM checks ORDER BY event_id")
}

func query(t *testing.T, pool *pgxpool.Pool, sql string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestTheSameEventsGiveTheSameTableInAnyOrderAndAnyBatches(t *testing.T) {
	random := seed.Random(t)
	for run := range 8 {
		events := randomRivals(random, 300)
		clean, mixed := migrated(t), migrated(t)
		writeAll(t, clean, events, func() int { return len(events) })

		twice := append(slices.Clone(events), events...)
		random.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		writeAll(t, mixed, twice, func() int { return 1 + random.IntN(60) })

		if diff := cmp.Diff(dump(t, clean), dump(t, mixed)); diff != "" {
			t.Fatalf("run %d: the tables differ (-in one batch +mixed, in small ones):\n%s", run, diff)
		}
	}
}

// randomRivals gives events of which several have one id and differ in what the rule looks at, down to a null.
func randomRivals(random *rand.Rand, n int) []event.CheckCompleted {
	events := make([]event.CheckCompleted, n)
	for i := range events {
		e := newEvent(fmt.Sprintf("target-%d", random.IntN(n/6)), 0)
		e.StartedAt = e.Slot.Add(time.Duration(random.IntN(2)) * time.Second)
		e.Outcome = []string{event.OutcomeUp, event.OutcomeDown, event.OutcomeMissed}[random.IntN(3)]
		e.Prober = fmt.Sprintf("prober-%c", "äZa"[random.IntN(3)])
		if status := int32(200 + random.IntN(2)); random.IntN(3) > 0 {
			e.StatusCode = &status
		}
		events[i] = e
	}
	return events
}

func TestAMeasuredCheckIsKeptBeforeAMissedOneAndTheEarlierBeforeTheLater(t *testing.T) {
	missed, late, early := newEvent("a", 0), newEvent("a", 0), newEvent("a", 0)
	missed.Outcome, missed.StartedAt = event.OutcomeMissed, missed.Slot.Add(-time.Hour)
	late.StartedAt, late.Prober = late.Slot.Add(2*time.Second), "late"
	early.StartedAt, early.Prober = early.Slot.Add(time.Second), "early"
	pool := migrated(t)
	for i, step := range []struct {
		event event.CheckCompleted
		kept  string
	}{{missed, missed.Prober}, {late, "late"}, {early, "early"}, {missed, "early"}, {late, "early"}} {
		writeAll(t, pool, []event.CheckCompleted{step.event}, func() int { return 1 })
		if diff := cmp.Diff([]string{step.kept}, query(t, pool, "SELECT prober FROM checks")); diff != "" {
			t.Errorf("after step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestARedeliveryWritesAndLocksNoRowAgain(t *testing.T) {
	pool := migrated(t)
	events := newEvents(500)
	first, _ := writeAll(t, pool, events, func() int { return 100 })
	again, _ := writeAll(t, pool, events, func() int { return 100 })
	if diff := cmp.Diff(Tally{Records: 500, Inserted: 500}, first); diff != "" {
		t.Errorf("first time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Tally{Records: 500}, again); diff != "" {
		t.Errorf("second time (-want +got):\n%s", diff)
	}
	// A lock is written like a row.
	if locked := query(t, pool, "SELECT event_id::text FROM checks WHERE xmax <> 0"); len(locked) > 0 {
		t.Errorf("%d rows were locked", len(locked))
	}
	if got := storedOffset(t, pool, 0); got != 1000 {
		t.Errorf("next offset: got %d, want 1000", got)
	}
}

func TestRowsThatPostgreSQLRefusesBecomeLettersAndTheOthersStay(t *testing.T) {
	random := seed.Random(t)
	pool := migrated(t)
	events := newEvents(300)
	nul := "a\x00b"
	var bad []int64
	for i := range events {
		if random.IntN(40) == 0 {
			events[i].FailureText = &nul
			bad = append(bad, int64(i))
		}
	}
	events[7].EventID, bad = "not a uuid", append(bad, 7)
	slices.Sort(bad)
	bad = slices.Compact(bad)
	// One that is there already forces the merge.
	writeAll(t, pool, newEvents(1), func() int { return 1 })
	tally, letters := writeAll(t, pool, events, func() int { return 300 })

	var got []int64
	for _, l := range letters {
		got = append(got, l.RecordOffset-1)
	}
	if diff := cmp.Diff(bad, got); diff != "" {
		t.Errorf("offsets of dead letters (-want +got):\n%s", diff)
	}
	if tally.Dead != len(bad) || tally.Records != 300 {
		t.Errorf("tally: got %+v, want %d of 300 dead", tally, len(bad))
	}
	good := 300 - len(bad)
	if bad[0] == 0 {
		good++ // the row that was there before stays
	}
	if rows := len(dump(t, pool)); rows != good {
		t.Errorf("rows: got %d, want %d", rows, good)
	}
	if stored := query(t, pool, "SELECT cause FROM dead_letters"); len(stored) != len(bad) {
		t.Errorf("stored letters: got %d, want %d", len(stored), len(bad))
	}
}

func TestAStaleOwnerWritesNothing(t *testing.T) {
	pool := migrated(t)
	writeAll(t, pool, newEvents(10), func() int { return 10 })
	before := dump(t, pool)
	s := newStore(pool)
	for _, expected := range []int64{0, 9, 11} {
		_, err := s.write(t.Context(), testBatch(newEvents(20)[10:], expected))
		if !errors.Is(err, errStale) {
			t.Errorf("expecting offset %d: got %v, want errStale", expected, err)
		}
	}
	if diff := cmp.Diff(before, dump(t, pool)); diff != "" {
		t.Errorf("rows changed (-before +after):\n%s", diff)
	}
}

func TestACancelledBatchWritesNothingAtWhateverStatement(t *testing.T) {
	pool := migrated(t)
	storedOffset(t, pool, 0)
	s := newStore(pool)
	for cut := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		tracer.cancelAfter(cut, cancel)
		_, err := s.write(ctx, testBatch(newEvents(5), 0))
		tracer.cancelAfter(-1, nil)
		cancel()
		if err == nil {
			if cut < 3 {
				t.Errorf("cut at statement %d: not noticed", cut)
			}
			break
		}
		if rows, next := len(dump(t, pool)), storedOffset(t, pool, 0); rows != 0 || next != 0 {
			t.Fatalf("cut at statement %d: %d rows and offset %d after %v", cut, rows, next, err)
		}
		for table, rows := range dumpFolds(t, pool) {
			if len(rows) > 0 {
				t.Fatalf("cut at statement %d: %s has %q", cut, table, rows)
			}
		}
		if told := query(t, pool, "SELECT target_id FROM outbox UNION ALL SELECT target_id FROM announcements"); len(told) > 0 {
			t.Fatalf("cut at statement %d: announced %q", cut, told)
		}
	}
	if told := query(t, pool, "SELECT target_id FROM outbox"); len(told) != 5 {
		t.Errorf("uncut: announced %q, want all five", told)
	}
	if rows, next := len(dump(t, pool)), storedOffset(t, pool, 0); rows != 5 || next != 5 {
		t.Errorf("uncut: got %d rows and offset %d, want 5 and 5", rows, next)
	}
	checkFolds(t, pool)
}
