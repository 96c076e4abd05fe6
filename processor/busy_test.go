package processor

import (
	"testing"
	"time"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// A target that is checked every 100 ms fills a strip with 6,000 checks, and a backlog of it a batch with nothing else.
func TestABigBatchOfOneBusyTargetIsFolded(t *testing.T) {
	l := newLab(t)
	busy := randomDefinition(seed.Random(t), "busy", "aaaaaaaaaaaa", 100*time.Millisecond)
	define(t, l.store, busy)
	var all []delivery
	for i := range 20_000 {
		e := newEvent("busy", 0)
		e.DefinitionVersion = busy.DefinitionVersion
		e.Slot = firstSlot.Add(time.Duration(i) * 100 * time.Millisecond)
		e.StartedAt, e.Outcome = e.Slot, outcomes[i/50%len(outcomes)]
		e.EventID = schemas.EventID("busy", e.Location, e.Slot)
		all = append(all, delivery{CheckCompleted: e})
	}
	began := time.Now()
	l.write(all[1:]...)
	t.Logf("20,000 checks took %v", time.Since(began))
	began = time.Now()
	l.write(all[0])
	t.Logf("a late one %v", time.Since(began))
	checkOracle(t, l.pool, []event.TargetDefined{busy})
}
