package processor

import (
	"context"
	"path/filepath"
	"testing"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/port"
)

// A broker that is started anew is waited for. One that goes away: TestABrokerThatGoesAwayIsWaitedOut.

func TestABrokerThatIsStartedAnewGoesOnWhereItWas(t *testing.T) {
	dir := testservices.DataDir(t)
	port.Keep(t, filepath.Join(dir, "broker", "port"))
	start := func() *embedded.Broker {
		b, err := embedded.StartBroker(context.Background(), embedded.BrokerConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := start()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	p := newPipelineOn(t, &testservices.KafkaService{Brokers: []string{b.Addr()}}, testservices.Postgres(t).URL, 2)
	events := newEvents(300)
	p.produce(2, events[:150]...)
	r := p.start(func(c *Config) { c.BatchRecords = 50 })
	r.await(100)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	p.awaitLog("WARN waiting", "reaching Kafka")
	b = start()
	p.produce(2, events[150:]...)
	p.awaitEnd()
	r.finish()
	p.checkInvariants(events, 0)
}
