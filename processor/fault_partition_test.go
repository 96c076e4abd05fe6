package processor

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
)

// A partition that is added to the topic moves keys: checks of one target are then in several partitions, of several owners.

func TestPartitionsThatAreAddedAreReadAndTheFoldsOfTheirTargetsStayOne(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	c := randomFoldCase(random)
	random.Shuffle(len(c.events), func(i, j int) { c.events[i], c.events[j] = c.events[j], c.events[i] })
	half := len(c.events) / 2
	for _, d := range c.definitions {
		p.defineTarget(d)
	}
	p.produce(1, c.events[:half]...)
	// A client looks for new partitions every few minutes.
	watchful := func(c *Config) {
		quickly(c)
		c.BatchRecords = 20
		c.Kafka = append(c.Kafka, kgo.MetadataMinAge(50*time.Millisecond), kgo.MetadataMaxAge(100*time.Millisecond))
	}
	first, second := p.start(watchful), p.start(watchful)
	p.awaitLog("partitions assigned")
	if _, err := kadm.NewClient(p.client).CreatePartitions(t.Context(), 2, p.topic); err != nil {
		t.Fatal(err)
	}
	p.awaitPartitions(3)
	p.reconnect() // a client that knows the new ones
	p.produce(3, c.events[half:]...)
	p.awaitEnd()
	p.await("SELECT count(*) FROM definitions", len(c.definitions))
	first.finish()
	second.finish()
	if read := query(t, p.pool, "SELECT partition::text FROM offsets WHERE next_offset > 0"); len(read) != 3 {
		t.Errorf("read %q, want three partitions", read)
	}
	p.checkInvariants(c.events, 0)
}

// awaitPartitions waits until the broker shows so many partitions of the topic, which Kafka's controller knows before it.
func (p *pipeline) awaitPartitions(n int) {
	p.t.Helper()
	until(p.t, func() (bool, string) {
		topics, err := kadm.NewClient(p.client).ListTopics(p.t.Context(), p.topic)
		if err != nil {
			p.t.Fatal(err)
		}
		there := len(topics[p.topic].Partitions)
		return there == n, fmt.Sprintf("the topic has %d partitions, want %d", there, n)
	})
}
