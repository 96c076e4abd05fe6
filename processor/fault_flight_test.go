package processor

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch is written while the next one is read: whatever comes meanwhile waits for it, or does without it.

// hold stops the first statement that has a text until it is let go or its context ends.
type hold struct {
	taken   atomic.Bool
	reached chan struct{} // closed when the statement is held
	release chan struct{} // closed to let it go
}

// advancing is in the statement with which every batch begins.
const advancing = "name: AdvanceOffsets"

// holding gives a pool like the pipeline's whose first statement with a text is held.
func (p *pipeline) holding(text string) (*pgxpool.Pool, *hold) {
	p.t.Helper()
	h := &hold{reached: make(chan struct{}), release: make(chan struct{})}
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = before(text, func(ctx context.Context, _ *pgx.Conn) {
			if !h.taken.CompareAndSwap(false, true) {
				return
			}
			close(h.reached)
			select {
			case <-h.release:
			case <-ctx.Done():
			}
		})
	})
	return pool, h
}

// quickly makes members of a group hear of a rebalance at once, which they do with a heartbeat.
func quickly(c *Config) { c.Kafka = append(c.Kafka, kgo.HeartbeatInterval(50*time.Millisecond)) }

func TestAStopWaitsForTheBatchInFlightAndTheOneBehindIt(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(15)...)
	pool, h := p.holding(advancing)
	taken := make(chan struct{}, 15)
	r := p.start(func(c *Config) {
		c.Pool, c.BatchRecords = pool, 5
		c.Kafka = append(c.Kafka, kgo.WithHooks(polled(func() { taken <- struct{}{} })))
	})
	<-h.reached
	for range 10 {
		<-taken
	}
	r.stop()
	select {
	case err := <-r.done:
		t.Fatalf("stopped before its batch was written: %v", err)
	default:
	}
	close(h.release)
	r.finish()
	if rows, next := len(dump(t, p.pool)), query(t, p.pool, "SELECT next_offset::text FROM offsets"); rows != 10 || next[0] != "10" {
		t.Errorf("after the stop: %d rows and offset %s, want the 10 of both batches", rows, next)
	}
}

func TestAStopGivesUpABatchThatHangs(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(15)
	p.produce(1, events...)
	pool, h := p.holding(advancing)
	r := p.start(func(c *Config) { c.Pool, c.BatchRecords, c.StopTimeout = pool, 5, 200*time.Millisecond })
	<-h.reached
	r.finish() // nobody lets the batch go
	if rows := len(dump(t, p.pool)); rows != 0 {
		t.Errorf("%d rows are there after the stop, want none", rows)
	}
	next := p.start(nil)
	next.await(15)
	next.finish()
	p.checkInvariants(events, 0)
}

func TestNothingIsWrittenAfterRunHasReturned(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(600)
	var returned atomic.Bool
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = statements(func(_ context.Context, _ *pgx.Conn, sql string) {
			if returned.Load() {
				t.Errorf("sent after the end: %s", sql)
			}
		})
	})
	for i := range 6 {
		p.produce(1, events[100*i:100*(i+1)]...)
		returned.Store(false)
		r := p.start(func(c *Config) {
			c.Pool, c.BatchRecords = pool, 10
			report := c.OnBatch
			c.OnBatch = func(tally Tally) {
				if returned.Load() {
					t.Error("a batch was told of after the end")
				}
				report(tally)
			}
		})
		r.await(10)
		r.finish()
		returned.Store(true)
	}
	returned.Store(false)
	r := p.start(func(c *Config) { c.Pool = pool })
	p.awaitEnd()
	r.finish()
	p.checkInvariants(events, 0)
}

func TestARebalanceWaitsForTheBatchInFlight(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(40)
	p.produce(2, events...)
	pool, h := p.holding(advancing)
	first := p.start(func(c *Config) { c.Pool, c.BatchRecords = pool, 5; quickly(c) })
	<-h.reached
	second := p.start(quickly)
	p.awaitGroup("PreparingRebalance", 2)
	if released := p.logs.with("partitions released"); len(released) > 0 {
		t.Errorf("said %q with the batch in flight", released)
	}
	close(h.release)
	p.awaitEnd()
	p.awaitLog("partitions released")
	first.finish()
	second.finish()
	if troubles := p.logs.with("WARN"); len(troubles) > 0 {
		t.Errorf("a rebalance is no trouble; said %q", troubles)
	}
	p.checkInvariants(events, 0)
}

func TestABatchThatFailsIsNoticedWhileNothingElseComes(t *testing.T) {
	p := newPipeline(t, 1)
	var once sync.Once
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = before(advancing, func(_ context.Context, conn *pgx.Conn) {
			once.Do(func() { _ = conn.PgConn().Conn().Close() })
		})
	})
	events := newEvents(5)
	p.produce(1, events...)
	r := p.start(func(c *Config) { c.Pool = pool })
	r.await(5)
	r.finish()
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 0)
}

func TestPartitionsThatAreLostAndComeBackGoOnBehindTheBatchInFlight(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(20)
	p.produce(1, events...)
	pool, h := p.holding(advancing)
	processor, err := New(Config{Topic: p.topic, Kafka: p.kafka.Opts(), Registry: p.schemas(), Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	made := make(chan struct{})
	close(made)
	s := &session{
		Processor: processor, client: p.client, made: made, fail: fail, lanes: processor.newLanes(), next: make(map[int32]int64),
		offsets: &offsets{topic: p.topic, pool: p.pool, queries: processor.queries, logger: processor.logger},
	}
	assign := func() int64 {
		fetched, err := s.assigned(ctx, map[string]map[int32]kgo.Offset{p.topic: {0: kgo.NewOffset()}})
		if err != nil {
			t.Error(err)
		}
		return fetched[p.topic][0].EpochOffset().Offset
	}
	assign()
	b := testBatch(events, 0)
	b.topic = p.topic
	s.launch(ctx, s.lanes[0], b)
	<-h.reached
	s.lost(ctx, p.client, map[string][]int32{p.topic: {0}})
	back := make(chan int64)
	go func() { back <- assign() }()
	close(h.release)
	if next := <-back; next != 20 {
		t.Errorf("goes on at %d, want 20, behind what was in flight", next)
	}
	if wrote, err := s.land(); !wrote || err != nil {
		t.Errorf("the batch: %v, %v", wrote, err)
	}
	p.checkInvariants(events, 0)
}

func TestARebalanceIsShorterThanItsTimeoutWhateverHangs(t *testing.T) {
	// A batch that is decoded when it begins, its writing, and the farewell.
	if longest := 2*batchTimeout + leaveTimeout; longest > rebalanceTimeout*3/4 {
		t.Errorf("two batches and a farewell take up to %v of %v", longest, rebalanceTimeout)
	}
}

func TestNoMoreThanABatchALaneAndOneMoreAreInHandWhateverTheBacklog(t *testing.T) {
	p := newPipeline(t, 3)
	events := newEvents(900)
	p.produce(3, events...)
	var taken, most, written int
	var mu sync.Mutex
	r := p.start(func(c *Config) {
		c.BatchRecords = 20
		report := c.OnBatch
		c.OnBatch = func(tally Tally) {
			mu.Lock()
			written += tally.Records
			mu.Unlock()
			report(tally)
		}
		c.Kafka = append(c.Kafka, kgo.WithHooks(polled(func() {
			mu.Lock()
			defer mu.Unlock()
			taken++
			most = max(most, taken-written)
		})))
	})
	r.await(900)
	r.finish()
	mu.Lock()
	defer mu.Unlock()
	// Those that are written, one that is decoded.
	if most > 20*(laneCount+1) || taken < 900 {
		t.Errorf("%d records were taken and up to %d in hand, want 900 and no more than %d batches of 20", taken, most, laneCount+1)
	}
	p.checkInvariants(events, 0)
}

// polled is a hook of the Kafka client that is called with each record that a poll takes.
type polled func()

// OnFetchRecordUnbuffered is part of kgo.HookFetchRecordUnbuffered.
func (f polled) OnFetchRecordUnbuffered(_ *kgo.Record, polled bool) {
	if polled {
		f()
	}
}

var _ kgo.HookFetchRecordUnbuffered = polled(nil)
