package processor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// poolLike gives a pool on the pipeline's database with a changed configuration.
func (p *pipeline) poolLike(change func(*pgxpool.Config)) *pgxpool.Pool {
	p.t.Helper()
	cfg := p.pool.Config().Copy()
	change(cfg)
	pool, err := pgxpool.NewWithConfig(p.t.Context(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(pool.Close)
	return pool
}

func TestARivalsLastCommitDuringAssignmentIsNoReasonToStop(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(9)
	p.produce(1, events[:5]...)
	first := p.start(nil)
	first.await(5)
	first.finish()
	// The old owner, put out of the group, finishes its batch of three new records while the new one is assigned.
	done := false
	rival := before("name: ListOffsets", func(context.Context, *pgx.Conn) {
		if done {
			return
		}
		done = true
		p.produce(1, events[5:8]...)
		b := testBatch(events[5:8], 5)
		b.topic = p.topic
		if _, err := newStore(p.pool).write(t.Context(), b); err != nil {
			t.Error(err)
		}
	})
	p.logs = new(logLines)
	second := p.start(func(c *Config) {
		c.Pool = p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = rival })
	})
	p.awaitLog("partitions assigned")
	p.produce(1, events[8])
	second.await(1)
	second.finish()
	p.checkInvariants(events, 0)
}

func TestManyBadRecordsAmongRedeliveredOnesHoldNothingUp(t *testing.T) {
	p := newPipeline(t, 1)
	events, again := newEvents(5000), newEvents(5000)
	nul := "a\x00b"
	for i := range again {
		if i%10 == 0 {
			again[i].FailureText = &nul
		}
	}
	p.produce(1, events...)
	p.produce(1, again...)
	r := p.start(nil)
	r.await(10_000)
	r.finish()
	p.checkInvariants(events, 500)
}

func TestTroubleOfOnePartitionDoesNotHoldTheOthers(t *testing.T) {
	p := newPipeline(t, 2)
	processor, err := New(Config{Topic: p.topic, Kafka: p.kafka.Opts(), Registry: p.schemas(), Pool: p.pool})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.pool.Exec(t.Context(), "INSERT INTO offsets VALUES ($1, 0, 0)", p.topic); err != nil {
		t.Fatal(err)
	}
	s := &session{Processor: processor, client: p.client, lanes: []*lane{{store: newStore(p.pool)}}, next: map[int32]int64{0: 0, 1: 0}}
	record := &kgo.Record{Topic: p.topic, Value: p.value(newEvent("a", 1))}
	wrote, err := s.turn(t.Context(), kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: p.topic, Partitions: []kgo.FetchPartition{
		{Partition: 0, Records: []*kgo.Record{record}},
		{Partition: 1, Err: errors.New("corrupt batch")},
	}}}}}, stopwatch{})
	if wrote {
		t.Error("wrote before it was launched")
	}
	wrote, failure := s.land()
	if !wrote || failure != nil || err == nil || !strings.Contains(err.Error(), "/1: corrupt batch") {
		t.Errorf("wrote %v, error %v; want partition 0 written and partition 1 named", wrote, err)
	}
}

func TestADatabaseThatReadsAndDoesNotWriteIsSaidOnce(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(5)...)
	first := p.start(nil)
	first.await(5)
	first.finish()
	p.produce(1, newEvents(10)[5:]...)
	assigned := make(chan struct{}, 100)
	r := p.start(func(c *Config) {
		c.Pool = p.poolLike(func(cfg *pgxpool.Config) {
			cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
			cfg.ConnConfig.Tracer = before("name: ListOffsets", func(context.Context, *pgx.Conn) { assigned <- struct{}{} })
		})
	})
	for range 4 { // sessions
		<-assigned
	}
	r.finish()
	waiting, goingOn := p.logs.with("WARN waiting", "doing=processing"), p.logs.with("going on", "doing=processing")
	if len(waiting) != 1 || len(goingOn) != 0 {
		t.Errorf("said %q and %q, want one that it waits and none that it goes on", waiting, goingOn)
	}
}

func TestAStopLeavesTheLettersThatThereIsNoTimeFor(t *testing.T) {
	p := newPipeline(t, 1)
	if _, err := p.pool.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, timestamp_ms, value, headers, cause)
		SELECT 'x', 0, i, 0, 'v', '', 'c' FROM generate_series(1, 40000) i`); err != nil {
		t.Fatal(err)
	}
	r := p.start(nil)
	p.readDead(1)
	r.finish()
	if left := query(t, p.pool, "SELECT count(*)::text FROM dead_letters WHERE NOT published"); left[0] == "0" {
		t.Error("the stop waited for all letters")
	}
}

func TestTheMigrationsAreFoundOnTheSearchPathAndNotMadeAgain(t *testing.T) {
	p := newPipeline(t, 1)
	if _, err := p.pool.Exec(t.Context(), "CREATE SCHEMA tenant"); err != nil {
		t.Fatal(err)
	}
	pool := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.RuntimeParams["search_path"] = "tenant, public" })
	if err := checkMigrated(t.Context(), pool); err != nil {
		t.Error(err)
	}
	if tables := query(t, p.pool, "SELECT schemaname FROM pg_tables WHERE tablename = 'webcheck_migrations'"); len(tables) != 1 {
		t.Errorf("tables of migrations in %q, want one", tables)
	}
}

func TestABatchThatTakesTooLongComesBackSmallerAndGrowsAgain(t *testing.T) {
	p := &Processor{cfg: Config{BatchRecords: 100}, batchRecords: 100}
	late := errors.Join(errBatch, context.DeadlineExceeded)
	for _, step := range []struct {
		wrote bool
		err   error
		want  int
	}{{false, late, 50}, {false, late, 25}, {false, errors.New("cut"), 25}, {true, nil, 50}, {true, nil, 100}, {true, nil, 100}} {
		p.fitBatch(step.wrote, step.err)
		if p.batchRecords != step.want {
			t.Errorf("after %v, %v: %d records, want %d", step.wrote, step.err, p.batchRecords, step.want)
		}
	}
	for range 10 {
		p.fitBatch(false, late)
	}
	if p.batchRecords != 1 {
		t.Errorf("at last: %d records, want 1", p.batchRecords)
	}
}
