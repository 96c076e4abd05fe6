package processor

import (
	"testing"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/seed"
)

// A connection that is cut in the midst of a COPY leaves nothing of its batch.

func TestAConnectionThatIsCutInTheMidstOfACopyLeavesNothing(t *testing.T) {
	database := testservices.Postgres(t).URL
	g, pool := gated(t, database)
	if _, err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	direct := connect(t, database)
	storedOffset(t, direct, 0)
	s := newStore(pool)
	all := newEvents(2501)
	before := g.passed.Load()
	if _, err := s.write(t.Context(), testBatch(all[:1], 0)); err != nil {
		t.Fatal(err)
	}
	cuts := 0
	for limit := g.passed.Load() - before; ; limit += 40_000 {
		g.cutAfter(limit)
		_, err := s.write(t.Context(), testBatch(all[1:], 1))
		g.cutAfter(-1)
		if err == nil {
			break
		}
		cuts++
		if rows, next := len(dump(t, direct)), storedOffset(t, direct, 0); rows != 1 || next != 1 || isPermanent(err) || refusesRow(err) {
			t.Fatalf("cut after %d bytes: %d rows and offset %d, want what was there; the error is %v", limit, rows, next, err)
		}
	}
	if cuts < 8 {
		t.Errorf("only %d cuts", cuts)
	}
	if rows, next := len(dump(t, direct)), storedOffset(t, direct, 0); rows != 2501 || next != 2501 {
		t.Errorf("at last: %d rows and offset %d, want 2501", rows, next)
	}
	checkFolds(t, direct)
}

func TestCutsInTheMidstOfBatchesAreWaitedOut(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 2)
	g, pool := gated(t, p.postgres)
	events := newEvents(3000)
	r := p.start(func(c *Config) { c.Pool = pool })
	for first := 0; first < len(events); first += 500 {
		g.cutAfter(random.Int64N(90_000))
		p.produce(2, events[first:first+500]...)
		p.awaitEnd()
	}
	r.finish()
	if said := p.logs.with("WARN waiting", "doing=processing"); len(said) == 0 {
		t.Error("no cut met a batch")
	}
	p.checkInvariants(events, 0)
}
