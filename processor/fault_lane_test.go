package processor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// Two batches are written side by side: of different partitions, and each as if it were alone.

// writing is a tracer that knows which partitions' batches are between their first statement and their commit.
type writing struct {
	statements
	mu      sync.Mutex
	by      map[*pgx.Conn][]int32
	most    int           // at once
	full    chan struct{} // closed when all lanes have written at once
	clashes []int32       // partitions of which two were
}

func newWriting() *writing {
	w := &writing{by: make(map[*pgx.Conn][]int32), full: make(chan struct{})}
	w.statements = func(ctx context.Context, conn *pgx.Conn, sql string) {
		if sql != "commit" && sql != "rollback" {
			return
		}
		if w.flies(conn) {
			select { // so that two meet on a slow machine as well: a lane's next batch waits behind it, the other lane's does not
			case <-w.full:
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.by, conn)
	}
	return w
}

func (w *writing) flies(conn *pgx.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.by[conn] != nil
}

// TraceBatchStart is part of pgx.BatchTracer.
func (w *writing) TraceBatchStart(ctx context.Context, conn *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	if !strings.Contains(d.Batch.QueuedQueries[0].SQL, advancing) {
		return w.statements.TraceBatchStart(ctx, conn, d)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var partitions []int32
	for _, q := range d.Batch.QueuedQueries {
		partition := q.Arguments[1].(int32)
		if slices.Contains(slices.Concat(slices.Collect(maps.Values(w.by))...), partition) {
			w.clashes = append(w.clashes, partition)
		}
		partitions = append(partitions, partition)
	}
	w.by[conn] = partitions
	if len(w.by) == laneCount && w.most < laneCount {
		close(w.full)
	}
	w.most = max(w.most, len(w.by))
	return ctx
}

func TestTwoBatchesAreInFlightAndNeverTwoOfOnePartition(t *testing.T) {
	p := newPipeline(t, 5)
	events := newEvents(3000)
	p.produce(5, events...)
	w := newWriting()
	pool := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = w })
	records := 10 + seed.Random(t).IntN(60)
	r := p.start(func(c *Config) { c.Pool, c.BatchRecords = pool, records })
	r.await(len(events))
	r.finish()
	if w.most != laneCount || len(w.clashes) > 0 {
		t.Errorf("%d batches were in flight at once, want %d; two of each of the partitions %v, want none", w.most, laneCount, w.clashes)
	}
	p.checkInvariants(events, 0)
}

func TestOneBatchThatHangsDoesNotHoldTheOtherOneUp(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(10)
	p.produce(2, events...)
	pool, h := p.holding(advancing)
	r := p.start(func(c *Config) { c.Pool = pool })
	<-h.reached
	r.await(5)
	close(h.release)
	r.await(10)
	r.finish()
	p.checkInvariants(events, 0)
}

func TestThePartsOfAPollGoBehindWhatIsInFlightOrWhereThereIsLeast(t *testing.T) {
	over := make(chan struct{})
	close(over)
	still := make(chan struct{})
	flying := func(landed chan struct{}, records int, partitions ...int32) *lane {
		f := &flight{advances: make(map[int32]advance), records: records, landed: landed}
		for _, p := range partitions {
			f.advances[p] = advance{}
		}
		return &lane{flight: f}
	}
	for name, c := range map[string]struct {
		lanes []*lane
		poll  []int // records of the partitions 0, 1, …
		want  [][]int32
	}{
		"nothing in flight":      {[]*lane{{}, {}}, []int{5, 4, 3}, [][]int32{{0}, {1, 2}}},
		"one partition":          {[]*lane{{}, {}}, []int{5}, [][]int32{{0}, nil}},
		"one lane flies":         {[]*lane{flying(still, 9, 7), {}}, []int{5, 3}, [][]int32{nil, {0, 1}}},
		"its partition comes":    {[]*lane{flying(still, 9, 0), {}}, []int{5, 3}, [][]int32{{0}, {1}}},
		"it has landed, untaken": {[]*lane{flying(over, 9, 1), flying(still, 1, 0)}, []int{1, 9, 2, 2}, [][]int32{{1}, {0, 2, 3}}},
	} {
		s := &session{lanes: c.lanes}
		var topic kgo.FetchTopic
		for p, n := range c.poll {
			part := kgo.FetchPartition{Partition: int32(p)}
			for range n {
				part.Records = append(part.Records, &kgo.Record{Partition: int32(p)})
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		for i, records := range s.deal(kgo.Fetches{{Topics: []kgo.FetchTopic{topic}}}) {
			var got []int32
			for _, r := range records {
				got = append(got, r.Partition)
			}
			if got = slices.Compact(got); !slices.Equal(got, c.want[i]) {
				t.Errorf("%s: lane %d has partitions %v, want %v", name, i, got, c.want[i])
			}
		}
	}
}

func TestBatchesGrowOnlyWhenEveryLaneHasWritten(t *testing.T) {
	slow, quick := &lane{flight: new(flight)}, &lane{flight: new(flight), wrote: true}
	s := &session{lanes: []*lane{slow, quick}}
	if s.proven() {
		t.Error("proven while one lane's batch has not come to its end")
	}
	slow.wrote = true
	if !s.proven() {
		t.Error("not proven when both have written")
	}
	if quick.wrote = true; s.proven() {
		t.Error("proven once more by one of them")
	}
	if slow.flight = nil; !s.proven() {
		t.Error("not proven by the one that is in use")
	}
}

func TestAPollTakesFewerRecordsWhenTheyAreLong(t *testing.T) {
	s := &session{Processor: &Processor{batchRecords: 20_000}}
	for _, c := range []struct{ bytes, want int }{{-1, 20_000}, {180, 20_000}, {1024, 8192}, {16 << 20, 1}, {0, 20_000}} {
		if c.bytes >= 0 {
			part := kgo.FetchPartition{Records: []*kgo.Record{{Value: make([]byte, c.bytes)}}}
			s.measure(kgo.Fetches{{Topics: []kgo.FetchTopic{{Partitions: []kgo.FetchPartition{part}}}}})
		}
		s.measure(nil) // a poll that brings nothing tells nothing
		if got := s.pollRecords(); got != c.want {
			t.Errorf("after records of %d bytes: %d, want %d", c.bytes, got, c.want)
		}
	}
}

func TestARevocationWaitsForTheBatchesOfBothLanes(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(10)
	p.produce(2, events...)
	var holds [laneCount]hold
	for i := range holds {
		holds[i] = hold{reached: make(chan struct{}), release: make(chan struct{})}
	}
	var begun atomic.Int32
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = before(advancing, func(ctx context.Context, _ *pgx.Conn) {
			if n := int(begun.Add(1)) - 1; n < len(holds) {
				close(holds[n].reached)
				select {
				case <-holds[n].release:
				case <-ctx.Done():
				}
			}
		})
	})
	first := p.start(func(c *Config) { c.Pool = pool; quickly(c) })
	for i := range holds {
		<-holds[i].reached
	}
	second := p.start(quickly)
	p.awaitGroup("PreparingRebalance", 2)
	for i := range holds {
		if released := p.logs.with("partitions released"); len(released) > 0 {
			t.Errorf("said %q with %d batches in flight", released, len(holds)-i)
		}
		close(holds[i].release)
		first.await(5 * (i + 1))
	}
	p.awaitLog("partitions released")
	p.awaitEnd()
	first.finish()
	second.finish()
	if troubles := p.logs.with("WARN"); len(troubles) > 0 {
		t.Errorf("a rebalance is no trouble; said %q", troubles)
	}
	p.checkInvariants(events, 0)
}

// closed is a hook of the Kafka client that is called when one is closed, which is the last thing that a session does.
type closed func()

// OnClientClosed is part of kgo.HookClientClosed.
func (f closed) OnClientClosed(*kgo.Client) { f() }

var _ kgo.HookClientClosed = closed(nil)

func TestAFailureInOneLaneWaitsForTheOtherBeforeTheNextSession(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(10)
	p.produce(2, events...)
	var begun atomic.Int32
	var early atomic.Bool
	over := make(chan struct{}, 100)
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = before(advancing, func(_ context.Context, conn *pgx.Conn) {
			switch begun.Add(1) {
			case 1: // flies on when the other one has failed, and longer than the pause after it
				select {
				case <-over:
					early.Store(true)
				case <-time.After(10 * firstPause):
				}
			case 2:
				_ = conn.PgConn().Conn().Close()
			}
		})
	})
	r := p.start(func(c *Config) {
		c.Pool = pool
		c.Kafka = append(c.Kafka, kgo.WithHooks(closed(func() { over <- struct{}{} })))
	})
	r.await(10)
	r.finish()
	if early.Load() {
		t.Error("the session ended beside a batch of its own")
	}
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 0)
}

// A writer of its own may key its records otherwise, and so spread a target over the partitions.
func TestATargetSpreadOverTheLanesIsFoldedAsInOneBatchAfterTheOther(t *testing.T) {
	random := seed.Random(t)
	one := newLab(t)
	for run := range seed.Runs(t, 3) {
		p := newPipeline(t, 4)
		c := randomFoldCase(random)
		one.clear()
		var events []event.CheckCompleted
		for _, d := range c.deliveries(random) {
			events = append(events, d.CheckCompleted)
		}
		define(t, newStore(p.pool), c.definitions...)
		define(t, one.store, c.definitions...)
		p.produce(4, events...)
		records := 20 + random.IntN(100)
		r := p.start(func(cfg *Config) { cfg.BatchRecords = records })
		r.await(len(events))
		r.finish()
		for batch := range slices.Chunk(inTime(events), 50) {
			one.write(batch...)
		}
		if diff := cmp.Diff(dumpFolds(t, one.pool), dumpFolds(t, p.pool)); diff != "" {
			t.Fatalf("run %d: one lane (-) gives something else than two (+):\n%s", run, diff)
		}
		checkOracle(t, p.pool, c.definitions)
		p.checkInvariants(events, 0)
	}
}
