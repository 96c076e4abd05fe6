package processor

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// patience bounds a wait for something that is sure to happen.
const patience = 60 * time.Second

// pipeline is a topic with its dead letters, a registry and a database, and what a test does with them.
type pipeline struct {
	t           *testing.T
	kafka       *testservices.KafkaService
	client      *kgo.Client
	topic, dead string
	targets     string // topic of definitions
	transitions string
	registry    string // its URL
	encoder     *schemas.Encoder
	postgres    string // its URL
	pool        *pgxpool.Pool
	logs        *logLines
}

func newPipeline(t *testing.T, partitions int32) *pipeline {
	t.Helper()
	return newPipelineOn(t, testservices.Kafka(t), testservices.Postgres(t).URL, partitions)
}

// newPipelineOn is newPipeline on a Kafka and an empty database of the test's own.
func newPipelineOn(t *testing.T, kafka *testservices.KafkaService, postgres string, partitions int32) *pipeline {
	t.Helper()
	p := &pipeline{
		t: t, kafka: kafka, registry: testservices.Registry(t).URL, postgres: postgres,
		topic: kafka.Topic(t, "checks", partitions), dead: kafka.Topic(t, "dead", 1),
		targets: kafka.Topic(t, "targets", 1), transitions: kafka.Topic(t, "transitions", 1), logs: new(logLines),
	}
	p.pool = connect(t, p.postgres)
	if _, err := Migrate(t.Context(), p.pool); err != nil {
		t.Fatal(err)
	}
	p.reconnect()
	schema := schemas.CheckCompleted(p.topic)
	id, err := p.schemas().Register(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	p.encoder = schemas.NewEncoder(schema, id)
	return p
}

// reconnect gives the pipeline a Kafka client of its own, which asks for the partitions that there are now.
func (p *pipeline) reconnect() {
	p.t.Helper()
	client, err := kgo.NewClient(append(p.kafka.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(client.Close)
	p.client = client
}

// schemas gives a registry client that leaves no connection open behind it.
func (p *pipeline) schemas() *schemas.Registry {
	p.t.Helper()
	client, err := sr.NewClient(sr.URLs(p.registry), sr.HTTPClient(&http.Client{
		Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true},
	}))
	if err != nil {
		p.t.Fatal(err)
	}
	return schemas.NewRegistry(client)
}

func (p *pipeline) value(e event.CheckCompleted) []byte {
	p.t.Helper()
	value, err := p.encoder.AppendEncode(nil, &e)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

// produce writes events over the partitions in turn.
func (p *pipeline) produce(partitions int32, events ...event.CheckCompleted) {
	p.t.Helper()
	var records []*kgo.Record
	for i, e := range events {
		records = append(records, &kgo.Record{Topic: p.topic, Partition: int32(i) % partitions, Key: []byte(e.TargetID), Value: p.value(e)})
	}
	p.produceRecords(records...)
}

func (p *pipeline) produceRecords(records ...*kgo.Record) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// until asks again and again until it is so, or says what is instead.
func until(t *testing.T, ask func() (so bool, is string)) {
	t.Helper()
	ticker, timeout := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer ticker.Stop()
	for {
		so, is := ask()
		if so {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("after %v: %s", patience, is)
		}
	}
}

// running is a processor under test.
type running struct {
	t         *testing.T
	processor *Processor
	stop      context.CancelFunc
	done      chan error
	batches   chan Tally
	sum       Tally
}

// start runs a processor; change, which may be nil, adapts its configuration. It is stopped at the test's end.
func (p *pipeline) start(change func(*Config)) *running {
	p.t.Helper()
	// Room for every batch of any test: one that does not await them must not hold the processor up.
	r := &running{t: p.t, done: make(chan error, 1), batches: make(chan Tally, 1<<16)}
	cfg := Config{
		Topic: p.topic, DeadTopic: p.dead, TargetsTopic: p.targets, TransitionsTopic: p.transitions, AutoRegister: true, Group: p.topic, Kafka: p.kafka.Opts(), Registry: p.schemas(), Pool: p.pool,
		Logger: slog.New(p.logs), OnBatch: func(tally Tally) { r.batches <- tally },
	}
	if change != nil {
		change(&cfg)
	}
	processor, err := New(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(p.t.Context())
	r.processor, r.stop = processor, stop
	go func() { r.done <- processor.Run(ctx); close(r.done) }()
	p.t.Cleanup(func() {
		stop()
		<-r.done
	})
	return r
}

// await waits until n records in all have been processed.
func (r *running) await(n int) {
	r.t.Helper()
	timeout := time.After(patience)
	for r.sum.Records < n {
		select {
		case tally := <-r.batches:
			r.sum.Records += tally.Records
			r.sum.Inserted += tally.Inserted
			r.sum.Merged += tally.Merged
			r.sum.Dead += tally.Dead
		case err := <-r.done:
			r.t.Fatalf("the processor stopped after %d of %d records: %v", r.sum.Records, n, err)
		case <-timeout:
			r.t.Fatalf("only %d of %d records after %v", r.sum.Records, n, patience)
		}
	}
}

// finish stops the processor in good order.
func (r *running) finish() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("stopping: %v", err)
	}
}

// checkInvariants is how every scenario ends: each of the log's events is in the table once and as the rule wants it, the
// offsets are at the log's end, every other record is a dead letter, and the folds are what one clean pass makes.
func (p *pipeline) checkInvariants(events []event.CheckCompleted, letters int) {
	p.t.Helper()
	ids := make(map[string]bool)
	for _, e := range events {
		ids[e.EventID] = true
	}
	want := slices.Sorted(maps.Keys(ids))
	if got := query(p.t, p.pool, "SELECT event_id::text FROM checks ORDER BY event_id"); !slices.Equal(got, want) {
		p.t.Errorf("rows: got %d, want %d", len(got), len(want))
	}
	if got := query(p.t, p.pool, "SELECT cause FROM dead_letters"); len(got) != letters {
		p.t.Errorf("dead letters: got %q, want %d", got, letters)
	}
	ends, err := kadm.NewClient(p.client).ListEndOffsets(p.t.Context(), p.topic)
	if err != nil {
		p.t.Fatal(err)
	}
	stored := make(map[int32]int64)
	rows, err := p.pool.Query(p.t.Context(), "SELECT partition, next_offset FROM offsets WHERE topic = $1", p.topic)
	if err != nil {
		p.t.Fatal(err)
	}
	for rows.Next() {
		var partition int32
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			p.t.Fatal(err)
		}
		stored[partition] = next
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if stored[end.Partition] != end.Offset {
			p.t.Errorf("next offset of %s/%d: got %d, want the log's end %d", p.topic, end.Partition, stored[end.Partition], end.Offset)
		}
	})
	checkFolds(p.t, p.pool)
}

// logLines keeps what was logged at Info and above, a line a record: "WARN message key=value …".
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logLines) WithGroup(string) slog.Handler                    { return l }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

// forget drops what has been logged.
func (l *logLines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// with lists the lines that have all of parts.
func (l *logLines) with(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			found = append(found, line)
		}
	}
	return found
}
