package processor

import "testing"

// An owner that does not know yet that its partition is another's writes nothing.

func TestAnOwnerThatWakesUpAfterARebalanceWritesNothing(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(30)
	p.produce(1, events[:20]...)
	pool, h := p.holding(advancing)
	named := func(c *Config) { c.Name, c.BatchRecords = "one", 5; quickly(c) }
	asleep := p.start(func(c *Config) { named(c); c.Pool = pool })
	<-h.reached
	// One of the same name puts the sleeper out of the group, which it does not hear of while it holds its batch.
	owner := p.start(named)
	p.awaitEnd()
	p.logs.forget()
	close(h.release)
	p.awaitLog("WARN waiting", errStale.Error())
	asleep.stop()
	<-asleep.done
	if n := len(asleep.batches); n > 0 {
		t.Errorf("the sleeper wrote %d batches, want none", n)
	}
	p.produce(1, events[20:]...)
	p.awaitEnd()
	owner.finish()
	p.checkInvariants(events, 0)
}
