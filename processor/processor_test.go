package processor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestEventsOfAllPartitionsBecomeRows(t *testing.T) {
	p := newPipeline(t, 3)
	events := newEvents(700)
	p.produce(3, events...)
	r := p.start(func(c *Config) { c.BatchRecords = 100 })
	r.await(700)
	r.finish()
	if r.sum.Inserted != 700 {
		t.Errorf("inserted: got %d, want 700", r.sum.Inserted)
	}
	p.checkInvariants(events, 0)
}

func TestABadRecordIsKeptWholeAndTheRestGoesOn(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(20)
	forged := newEvent("forged", 5)
	forged.EventID = events[3].EventID
	valid := p.value(events[5])
	bad := map[string]*kgo.Record{
		"garbage":      {Key: []byte("k1"), Value: []byte("no avro at all"), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("1")}, {Key: "null"}}},
		"tombstone":    {Key: []byte("k2")},
		"empty":        {Value: []byte{}},
		"cut":          {Key: []byte("k3"), Value: valid[:len(valid)-1]},
		"padded":       {Key: []byte("k4"), Value: append(append([]byte{}, valid...), 0)},
		"forged id":    {Key: []byte("k5"), Value: p.value(forged)},
		"unknown id":   {Key: []byte("k6"), Value: append([]byte{0, 0x7f, 0, 0, 1}, valid[5:]...)},
		"early moment": {Key: []byte("k7"), Value: []byte{1}, Timestamp: time.UnixMilli(1)},
	}
	p.produce(1, events[:10]...)
	var order []string
	for name, record := range bad {
		record.Topic = p.topic
		order = append(order, name)
		p.produceRecords(record)
	}
	p.produce(1, events[10:]...)
	r := p.start(nil)
	r.await(20 + len(bad))
	letters := p.readDead(len(bad))
	r.finish()
	p.checkInvariants(events, len(bad))
	for i, letter := range letters {
		want := bad[order[i]]
		if !cmp.Equal(want.Key, letter.Key) || !cmp.Equal(want.Value, letter.Value) {
			t.Errorf("%s: got %q: %q, want %q: %q", order[i], letter.Key, letter.Value, want.Key, want.Value)
		}
		if n := len(want.Headers); !cmp.Equal(want.Headers, letter.Headers[:n:n]) && n > 0 {
			t.Errorf("%s: headers: got %v, want %v first", order[i], letter.Headers, want.Headers)
		}
		headers := make(map[string]string)
		for _, h := range letter.Headers {
			headers[h.Key] = string(h.Value)
		}
		at := Position{Topic: p.topic, Offset: int64(10 + i)}
		got := headers[HeaderTopic] + "/" + headers[HeaderPartition] + "@" + headers[HeaderOffset]
		if got != at.String() || headers[HeaderCause] == "" || headers[HeaderTimestampMs] == "" {
			t.Errorf("%s: origin: got %v, want %v", order[i], headers, at)
		}
	}
}

// readDead reads n records of the topic of dead letters.
func (p *pipeline) readDead(n int) []*kgo.Record {
	p.t.Helper()
	client, err := kgo.NewClient(append(p.kafka.Opts(), kgo.ConsumeTopics(p.dead))...)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			p.t.Fatalf("reading %s after %d of %d: %v", p.dead, len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestTheStoredOffsetDecidesWhereItStartsAndKafkasDoesNot(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(30)
	p.produce(1, events...)
	first := p.start(nil)
	first.await(30)
	first.finish()
	p.awaitGroup("Empty", 0)

	var committed kadm.Offsets
	committed.Add(kadm.Offset{Topic: p.topic, Partition: 0, At: 3, LeaderEpoch: -1})
	if err := kadm.NewClient(p.client).CommitAllOffsets(t.Context(), p.topic, committed); err != nil {
		t.Fatal(err)
	}
	more := newEvents(35)[30:]
	p.produce(1, more...)
	second := p.start(func(c *Config) { c.Kafka = append(c.Kafka, kgo.AutoCommitInterval(100*time.Millisecond)) })
	second.await(5)
	p.awaitCommitted(35)
	second.finish()
	if second.sum.Records != 5 {
		t.Errorf("the second run took %d records, want the 5 new ones", second.sum.Records)
	}
	p.checkInvariants(append(events, more...), 0)
}

// awaitCommitted waits until Kafka's committed offset has followed.
func (p *pipeline) awaitCommitted(offset int64) {
	p.t.Helper()
	until(p.t, func() (bool, string) {
		offsets, err := kadm.NewClient(p.client).FetchOffsets(p.t.Context(), p.topic)
		if err != nil {
			p.t.Fatal(err)
		}
		at, _ := offsets.Lookup(p.topic, 0)
		return at.At == offset, fmt.Sprintf("Kafka's committed offset: got %d, want it to follow to %d", at.At, offset)
	})
}

func TestTwoProcessorsShareThePartitionsAndWriteEachEventOnce(t *testing.T) {
	p := newPipeline(t, 4)
	events := newEvents(2000)
	a := p.start(func(c *Config) { c.BatchRecords = 20 })
	p.produce(4, events[:1000]...)
	a.await(200)
	b := p.start(func(c *Config) { c.BatchRecords = 20 })
	p.produce(4, events[1000:]...)
	// Either may take any share: wait for both together by the offsets.
	p.awaitEnd()
	a.finish()
	b.finish()
	p.checkInvariants(events, 0)
}

// awaitEnd waits until the stored offsets are at the log's end.
func (p *pipeline) awaitEnd() {
	p.t.Helper()
	ends, err := kadm.NewClient(p.client).ListEndOffsets(p.t.Context(), p.topic)
	if err != nil {
		p.t.Fatal(err)
	}
	var want int
	ends.Each(func(o kadm.ListedOffset) { want += int(o.Offset) })
	p.await("SELECT coalesce(sum(next_offset), 0)::bigint FROM offsets", want)
}

func TestRecordsThatExpiredAreSaidWithTheirNumber(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(50)
	p.produce(1, events[:10]...)
	first := p.start(nil)
	first.await(10)
	first.finish()
	p.produce(1, events[10:]...)
	var upTo kadm.Offsets
	upTo.Add(kadm.Offset{Topic: p.topic, Partition: 0, At: 37, LeaderEpoch: -1})
	if _, err := kadm.NewClient(p.client).DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	second := p.start(nil)
	second.await(13)
	second.finish()
	if said := p.logs.with("ERROR", "expired", p.topic+"/0@10", "records_lost=27"); len(said) != 1 {
		t.Errorf("said %q, want one line with the 27 records lost; all: %q", said, p.logs.with())
	}
	p.checkInvariants(append(events[:10:10], events[37:]...), 0)
}

func TestALogThatEndsBeforeTheStoredOffsetStopsTheProcessor(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(5)...)
	first := p.start(nil)
	first.await(5)
	first.finish()
	if _, err := p.pool.Exec(t.Context(), "UPDATE offsets SET next_offset = 6"); err != nil {
		t.Fatal(err)
	}
	second := p.start(nil)
	err := <-second.done
	var permanent *PermanentError
	if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "/0@6: the log ends at 5") || permanent.Hint() == "" {
		t.Errorf("got %v, want a PermanentError that names offset 6 and the end 5, with a hint", err)
	}
}

func TestADatabaseThatIsNotMigratedStopsTheProcessorWithAHint(t *testing.T) {
	p := newPipeline(t, 1)
	if err := Drop(t.Context(), p.pool); err != nil {
		t.Fatal(err)
	}
	r := p.start(nil)
	err := <-r.done
	var permanent *PermanentError
	if !errors.As(err, &permanent) || !strings.Contains(permanent.Hint(), "webcheck db migrate") {
		t.Errorf("got %v, want a PermanentError with the command to run", err)
	}
}

func TestStoppingFinishesTheBatchInHand(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(10)
	p.produce(1, events...)
	var r *running
	ready := make(chan struct{})
	first := true
	r = p.start(func(c *Config) {
		c.BatchRecords = 5
		report := c.OnBatch
		c.OnBatch = func(tally Tally) {
			report(tally)
			if first {
				first = false
				<-ready
				r.stop()
			}
		}
	})
	r.await(5)
	close(ready)
	if err := <-r.done; err != nil {
		t.Errorf("stopping: %v", err)
	}
	rows := len(dump(t, p.pool))
	var next int
	if err := p.pool.QueryRow(t.Context(), "SELECT next_offset FROM offsets").Scan(&next); err != nil {
		t.Fatal(err)
	}
	if rows != next || rows%5 != 0 || rows == 0 {
		t.Errorf("after the stop: %d rows and offset %d, want the same whole number of batches", rows, next)
	}
}
