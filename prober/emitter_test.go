package prober

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// line is a client's way to the broker that a test can cut.
type line struct {
	mu   sync.Mutex
	down bool
	open map[net.Conn]bool
}

func newLine() *line { return &line{open: make(map[net.Conn]bool)} }

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		l.open[conn] = true
	}
	return conn, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for conn := range l.open {
		conn.Close()
	}
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// broker is a Kafka with a topic of checks.
type broker struct {
	cluster *kfake.Cluster // nil when it is a real one
	seeds   []string
	topic   string
	line    *line
}

// newBroker returns a Kafka in the process.
func newBroker(t testing.TB) *broker {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicChecks))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &broker{cluster: cluster, seeds: cluster.ListenAddrs(), topic: schemas.TopicChecks, line: newLine()}
}

// anyBroker returns the real Kafka where the environment names one, and else one in the process.
func anyBroker(t testing.TB) *broker {
	t.Helper()
	if os.Getenv("WEBCHECK_TEST_KAFKA") == "" {
		return newBroker(t)
	}
	service := testservices.Kafka(t)
	return &broker{seeds: service.Brokers, topic: service.Topic(t, schemas.TopicChecks, 3), line: newLine()}
}

// clientOpts are the emitter's, with the patience of a test.
func clientOpts(seeds []string, l *line) []kgo.Opt {
	return append(KafkaOpts(), kgo.SeedBrokers(seeds...), kgo.Dialer(l.dial),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20*time.Millisecond))
}

func (b *broker) client(t testing.TB) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(clientOpts(b.seeds, b.line)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func checksEncoder() *schemas.Encoder {
	return schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 7)
}

// config is that of an emitter that turns to a directory of the test's soon.
func (b *broker) config(t testing.TB) SpoolConfig {
	t.Helper()
	return SpoolConfig{Client: b.client(t), Topic: b.topic, Encoder: checksEncoder(), Dir: t.TempDir(), After: 50 * time.Millisecond}
}

func (b *broker) emitter(t testing.TB) *SpoolEmitter {
	t.Helper()
	return startEmitter(t, b.config(t))
}

// startEmitter runs an emitter of c, changed before it begins.
func startEmitter(t testing.TB, c SpoolConfig, change ...func(*SpoolEmitter)) *SpoolEmitter {
	t.Helper()
	c = c.withDefaults()
	disk, err := openSpool(c.Dir, c.Logger)
	if err != nil {
		t.Fatal(err)
	}
	k := newSpoolEmitter(c, disk)
	for _, change := range change {
		change(k)
	}
	go k.run()
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// records reads n records of the topic.
func (b *broker) records(t testing.TB, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.seeds...), kgo.ConsumeTopics(b.topic), kgo.MetadataMinAge(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < n {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetched.Records()...)
	}
	return records
}

// result is an event that is ready to be emitted.
func result(id string) *event.CheckCompleted {
	target := every(id, time.Second)
	e := up(&target)
	e.Location, e.Prober, e.DefinitionVersion, e.Slot = "here", "prober-1", target.Version(), SlotAt(target, time.Now())
	e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
	return e
}

// emit emits e and returns what done is given.
func emit(k *SpoolEmitter, e *event.CheckCompleted) <-chan error {
	answer := make(chan error, 1)
	k.Emit(e, func(err error) { answer <- err })
	return answer
}

func TestEmittedEventIsARecordUnderItsTarget(t *testing.T) {
	b := newBroker(t)
	e := result("home")
	if err := <-emit(b.emitter(t), e); err != nil {
		t.Fatal(err)
	}
	record := b.records(t, 1)[0]
	want, err := schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 7).AppendEncode(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, record.Value); diff != "" || string(record.Key) != "home" || len(record.Headers) != 0 {
		t.Errorf("key %q, headers %v, value:\n%s", record.Key, record.Headers, diff)
	}
}

func TestEventIsDoneOnlyWhenTheBrokerHasAcknowledgedItByAll(t *testing.T) {
	b := newBroker(t)
	arrived, release := make(chan int16, 1), make(chan struct{})
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		arrived <- req.(*kmsg.ProduceRequest).Acks
		b.cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	config := b.config(t)
	config.After = time.Minute // a slow machine must not turn to the disk by itself
	answer := emit(startEmitter(t, config), result("home"))
	if acks := <-arrived; acks != -1 {
		t.Errorf("acks %d, want all", acks)
	}
	select {
	case err := <-answer:
		t.Errorf("done before the acknowledgement: %v", err)
	default:
	}
	close(release)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

func TestEventThatCannotBeEncodedIsGivenUp(t *testing.T) {
	b := newBroker(t)
	e := result("home")
	e.TargetID = "\xff"
	k := b.emitter(t)
	if err := <-emit(k, e); err == nil || !strings.Contains(err.Error(), "encoding") {
		t.Errorf("got %v", err)
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFlushEndsAfterEveryEventIsDone(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	k := b.emitter(t)
	var done, givenUp atomic.Int64
	for range 500 {
		k.Emit(result("home"), func(err error) {
			done.Add(1)
			if err != nil {
				givenUp.Add(1)
			}
		})
	}
	b.line.mend()
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done.Load() != 500 || givenUp.Load() > 0 {
		t.Errorf("%d of 500 were done, %d given up", done.Load(), givenUp.Load())
	}
}

// probing is a prober of a few quick targets on a broker.
type probing struct {
	store  *counting
	acked  chan *event.CheckCompleted
	cancel context.CancelFunc
	ended  chan error
}

// counting is the emitter of the room with a count of what it was given.
type counting struct {
	Emitter
	mu     sync.Mutex
	events []*event.CheckCompleted
	given  chan struct{}
}

func (c *counting) Emit(e *event.CheckCompleted, done func(error)) {
	c.mu.Lock()
	c.events = append(c.events, e)
	c.mu.Unlock()
	c.Emitter.Emit(e, done)
	c.given <- struct{}{}
}

func startProbing(t *testing.T, k Emitter, shutdown time.Duration) *probing {
	t.Helper()
	run := &probing{store: &counting{Emitter: k, given: make(chan struct{}, 10_000)}, acked: make(chan *event.CheckCompleted, 10_000), ended: make(chan error, 1)}
	var targets []Target
	for _, id := range []string{"a", "b", "c", "d"} {
		targets = append(targets, every(id, MinInterval))
	}
	p := newTestProber(t, Config{Emit: run.store, Targets: targets, CheckAtStart: true, ShutdownTimeout: shutdown, OnCheck: func(e *event.CheckCompleted) { run.acked <- e }}, taking(time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	run.cancel = cancel
	go func() { run.ended <- p.Run(ctx) }()
	return run
}

// checkAllStored holds the topic's records against the events that the emitter was given: each once.
func (r *probing) checkAllStored(t *testing.T, b *broker) {
	t.Helper()
	want := make(map[string]bool)
	for _, e := range r.store.events {
		value, err := schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 7).AppendEncode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		want[string(value)] = true
	}
	got := make(map[string]bool)
	for n := len(want); len(got) < len(want); { // one may be there twice
		records := b.records(t, n)
		for _, record := range records {
			got[string(record.Value)] = true
		}
		n = len(records) + 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events given (-) and stored (+):\n%s", diff)
	}
	if len(r.acked) != len(want) {
		t.Errorf("%d of %d events were said to be written", len(r.acked), len(want))
	}
}

func TestBrokerThatGoesAwayAndComesBackLosesNothing(t *testing.T) {
	b := newBroker(t)
	r := startProbing(t, b.emitter(t), time.Minute)
	for range 3 {
		<-r.acked
		b.line.cut()
		for range 12 {
			<-r.store.given
		}
		b.line.mend()
	}
	acked := 3
	for ; acked < 40; acked++ {
		<-r.acked
	}
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	for range acked { // they were taken out above
		r.acked <- nil
	}
	r.checkAllStored(t, b)
}

func TestInterruptWithoutABrokerWritesAllOnceItIsBack(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	r := startProbing(t, b.emitter(t), time.Minute)
	for range 12 {
		<-r.store.given
	}
	r.cancel()
	b.line.mend()
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	r.checkAllStored(t, b)
}

func TestInterruptWithoutABrokerEndsInTimeWithAllOnDisk(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	config := b.config(t)
	config.After = time.Minute // the stop must not wait for it
	k := startEmitter(t, config)
	r := startProbing(t, k, 10*time.Second) // half of it is Kafka's, the rest enough for any disk
	for range 12 {
		<-r.store.given
	}
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	config.Client.Close()
	config.Client = b.client(t)
	b.line.mend()
	startEmitter(t, config)
	r.checkAllStored(t, b)
}

func TestInterruptWithoutABrokerAndWithoutADiskSaysWhatIsNotWritten(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	k := startEmitter(t, b.config(t), failingDisk(func() error { return syscall.ENOSPC }))
	r := startProbing(t, k, 300*time.Millisecond)
	for range 12 {
		<-r.store.given
	}
	r.cancel()
	err := <-r.ended
	if err == nil || !strings.Contains(err.Error(), "events were not written") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if len(r.acked) > 0 {
		t.Errorf("%d events were said to be written", len(r.acked))
	}
}
