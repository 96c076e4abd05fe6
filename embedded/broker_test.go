package embedded

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"webcheck/embedded/testservices/port"
)

const testReserve = 1 << 20

func startTestBroker(t *testing.T, dir string) *Broker {
	t.Helper()
	b, err := StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: testReserve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func testClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, cl *kgo.Client, topic string, configs map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 2, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
}

func produce(t *testing.T, cl *kgo.Client, topic string, n int) int64 {
	t.Helper()
	var last int64
	for i := range n {
		r, err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(strconv.Itoa(i))}).First()
		if err != nil {
			t.Fatal(err)
		}
		last = r.Offset
	}
	return last
}

// logOf reads a partition from its start to its end.
func logOf(t *testing.T, addr, topic string, partition int32) map[int64]string {
	t.Helper()
	cl := testClient(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, partition)
	if !ok || end.Err != nil {
		t.Fatal("no end offset", end.Err)
	}
	found := map[int64]string{}
	for next := int64(0); next < end.Offset; {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			t.Fatalf("reading %s/%d at %d of %d: %v", topic, partition, next, end.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { found[r.Offset] = string(r.Value); next = r.Offset + 1 })
	}
	return found
}

func TestBrokerKeepsItsPortAndTakesAnotherWhenItIsGone(t *testing.T) {
	dir := dataDir(t)
	port.Keep(t, filepath.Join(dir, "broker", "port"))
	b, err := StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: testReserve})
	if err != nil {
		t.Fatal(err)
	}
	first := b.Addr()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: testReserve}); err != nil {
		t.Fatal(err)
	}
	if b.Addr() != first {
		t.Errorf("restarted at %s, was at %s", b.Addr(), first)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp4", first)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if again := startTestBroker(t, dir).Addr(); again == first {
		t.Errorf("listens at %s, which is taken", again)
	}
}

func TestTopicsAreNotCreatedByAskingForThem(t *testing.T) {
	b := startTestBroker(t, dataDir(t))
	cl := testClient(t, b.Addr(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
	err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "typo", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Fatalf("got %v, want an unknown topic", err)
	}
}

func TestFullDiskHoldsProducersUntilThereIsSpace(t *testing.T) {
	dir := smallDisk(t, 8<<20)
	b := startTestBroker(t, dir)
	cl := testClient(t, b.Addr(), kgo.RecordRetries(3))
	createTopic(t, cl, "checks", nil)
	produce(t, cl, "checks", 1)
	free := fill(t, dir, testReserve/2)
	err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "checks", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.KafkaStorageError) || !kerr.IsRetriable(kerr.KafkaStorageError) {
		t.Fatalf("got %v, want an error that is retried", err)
	}
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "more"); !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("creating a topic: got %v", err)
	}
	free()
	produce(t, testClient(t, b.Addr()), "checks", 1)
	if n := len(logOf(t, b.Addr(), "checks", 0)); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// A disk that is full between the look and the write: the reserve is one byte, so that only the write finds out.
func TestFailedWriteIsNeverAcknowledged(t *testing.T) {
	dir := smallDisk(t, 8<<20)
	b, err := StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cl := testClient(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	createTopic(t, cl, "checks", nil)
	produce(t, cl, "checks", 3)
	free := fill(t, dir, 4096)
	err = cl.ProduceSync(t.Context(), &kgo.Record{Topic: "checks", Value: make([]byte, 100<<10)}).FirstErr()
	if err == nil {
		t.Fatal("acknowledged, with no space to write it to")
	}
	if !b.failed.Load() {
		t.Fatal("the broker did not notice")
	}
	free()
	last := produce(t, testClient(t, b.Addr()), "checks", 2) // waits for the log to be opened anew
	if last != 4 {
		t.Errorf("the last offset is %d, want 4", last)
	}
	if got := logOf(t, b.Addr(), "checks", 0); len(got) != 5 {
		t.Errorf("the log holds %d records, want 5", len(got))
	}
}

func TestBrokerDoesNotStartOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 4<<20)
	fill(t, dir, testReserve/2)
	_, err := StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: testReserve})
	wantFault(t, err, "MiB needed", "free some space")
}

func TestOffsetsGoOnAfterRetentionEmptiedAPartition(t *testing.T) {
	for _, how := range []string{"closed", "killed"} {
		t.Run(how, func(t *testing.T) {
			dir := dataDir(t)
			b, err := StartBroker(t.Context(), BrokerConfig{Dir: dir, ReserveBytes: testReserve})
			if err != nil {
				t.Fatal(err)
			}
			cl := testClient(t, b.Addr())
			createTopic(t, cl, "checks", map[string]*string{"retention.ms": kmsg.StringPtr("0")})
			produce(t, cl, "checks", 7)
			if err := b.retain(); err != nil {
				t.Fatal(err)
			}
			copied := dataDir(t)
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil { // the disk as a kill leaves it
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if how == "killed" {
				dir = copied
			}
			b = startTestBroker(t, dir)
			if last := produce(t, testClient(t, b.Addr()), "checks", 1); last != 7 {
				t.Errorf("the next record has offset %d, want 7", last)
			}
			if got := logOf(t, b.Addr(), "checks", 0); len(got) != 1 || got[7] != "0" {
				t.Errorf("the log holds %v, want the record at 7", got)
			}
		})
	}
}

func TestTornStateLogIsCutBeforeItIsContinued(t *testing.T) {
	dir := dataDir(t)
	b := startTestBroker(t, dir)
	cl := testClient(t, b.Addr())
	createTopic(t, cl, "checks", nil)
	commit := func(cl *kgo.Client, at int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		offsets.AddOffset("checks", 0, at, -1)
		if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "group", offsets); err != nil {
			t.Fatal(err)
		}
	}
	commit(cl, 1)
	torn := dataDir(t)
	if err := os.CopyFS(torn, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(torn, "broker", "groups.log")
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte{60, 0, 0, 0, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b = startTestBroker(t, torn)
	commit(testClient(t, b.Addr()), 2)
	again := dataDir(t)
	if err := os.CopyFS(again, os.DirFS(torn)); err != nil {
		t.Fatal(err)
	}
	b = startTestBroker(t, again)
	got, err := kadm.NewClient(testClient(t, b.Addr())).FetchOffsets(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := got.Lookup("checks", 0); !ok || o.At != 2 {
		t.Errorf("committed offset %d (%v), want 2", o.At, ok)
	}
}

func TestBrokerOutlivesWhatIsNotKafka(t *testing.T) {
	b := startTestBroker(t, dataDir(t))
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"\x00\x00\x00\x10\x7f\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", // a kind of request that there is not
		"\xff\xff\xff\xff\x00\x00",
		"\x00\x00\x00\x00\x00\x00\x00",
	} {
		conn, err := net.Dial("tcp4", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: not hung up on: %v", garbage, err)
		}
		conn.Close()
	}
	cl := testClient(t, b.Addr())
	createTopic(t, cl, "checks", nil)
	produce(t, cl, "checks", 1)
}

func TestBrokerFilesArePrivate(t *testing.T) {
	dir := dataDir(t)
	startTestBroker(t, dir)
	info, err := os.Stat(filepath.Join(dir, "broker"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&fs.FileMode(0o077) != 0 {
		t.Errorf("broker/ has mode %o", info.Mode().Perm())
	}
}
