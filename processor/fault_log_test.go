package processor

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A log that no longer has what is next is said, with what was lost, and never stepped over in silence. One that is truncated
// between two runs: TestRecordsThatExpiredAreSaidWithTheirNumber.

func TestALogThatIsTruncatedWhileItIsReadIsSaidWithWhatWasLost(t *testing.T) {
	p := newPipeline(t, 2)
	g := newGate(t, p.kafka.Brokers[0])
	events := newEvents(60)
	p.produce(2, events[:20]...)
	r := p.start(func(c *Config) { c.Kafka = append(c.Kafka, kgo.Dialer(g.dialInstead)) })
	r.await(20)
	g.close()
	p.produce(2, events[20:]...)
	var upTo kadm.Offsets
	upTo.Add(kadm.Offset{Topic: p.topic, Partition: 0, At: 25, LeaderEpoch: -1})
	if _, err := kadm.NewClient(p.client).DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	g.open()
	p.awaitEnd()
	r.finish()
	if said := p.logs.with("ERROR", "expired", p.topic+"/0@10", "records_lost=15"); len(said) != 1 {
		t.Errorf("said %q, want one line with the 15 records lost; all: %q", said, p.logs.with())
	}
	kept := events[:20:20]
	for i := 20; i < 60; i++ {
		if i%2 == 1 || i/2 >= 25 {
			kept = append(kept, events[i])
		}
	}
	p.checkInvariants(kept, 0)
}
