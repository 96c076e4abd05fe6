package processor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
)

// Whatever is cut and whoever owns, the same events end in the same tables. With real processes:
// cli.TestProcessesKilledAndRebalancedAtRandomMomentsEndInTheTablesOfOneCleanPass.

// turmoil delivers a case over several partitions by two owners that are cut, killed and put out at any statement.
type turmoil struct {
	t      *testing.T
	lab    *lab
	random *rand.Rand
	first  int32         // its partitions are numbered from here on
	parts  [3][]delivery // what is still to come
	next   [3]int64
	owners [2]*store
}

func newTurmoil(l *lab, random *rand.Rand, c *foldCase, first int32) *turmoil {
	x := &turmoil{t: l.t, lab: l, random: random, first: first, owners: [2]*store{newStore(l.pool), newStore(l.pool)}}
	for _, d := range c.deliveries(random) {
		p := random.IntN(len(x.parts))
		x.parts[p] = append(x.parts[p], d)
	}
	for p := range x.parts {
		x.next[p] = storedOffset(x.t, l.pool, first+int32(p))
	}
	return x
}

// step lets one owner write a batch of one partition, and says whether there is more. What it leaves undone comes again, from the
// offset that is stored.
func (x *turmoil) step() bool {
	x.t.Helper()
	p := x.random.IntN(len(x.parts))
	for n := 0; len(x.parts[p]) == 0; n++ {
		if n == len(x.parts) {
			return false
		}
		p = (p + 1) % len(x.parts)
	}
	o := x.random.IntN(len(x.owners))
	if x.random.IntN(5) == 0 {
		x.owners[o] = newStore(x.lab.pool) // it was killed: what it knew is gone
	}
	n := min(1+x.random.IntN(100), len(x.parts[p]))
	write := func(ctx context.Context, s *store) error {
		b := batchOf(x.parts[p][:n], x.next[p])
		b.advances = map[int32]advance{x.first + int32(p): {expected: x.next[p], next: x.next[p] + int64(n)}}
		_, err := s.write(ctx, b)
		return err
	}
	wrote := x.disturbed(x.owners[o], x.owners[1-o], write)
	switch stored := storedOffset(x.t, x.lab.pool, x.first+int32(p)); {
	case wrote > 1:
		x.t.Fatalf("%d owners wrote the same batch", wrote)
	case stored == x.next[p]+int64(n):
		x.parts[p], x.next[p] = x.parts[p][n:], stored
	case stored != x.next[p] || wrote > 0:
		x.t.Fatalf("offset %d after %d writes of %d from %d", stored, wrote, n, x.next[p])
	}
	return true
}

// disturbed lets an owner write, undisturbed, cut at some statement, or with the other taking over at one. It gives the number of
// those that were told that they have written.
func (x *turmoil) disturbed(owner, other *store, write func(context.Context, *store) error) (wrote int) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	results := make(chan error, 2)
	writers := 1
	switch x.random.IntN(4) {
	case 0, 1:
		tracer.cancelAfter(x.random.IntN(50), cancel)
	case 2:
		var once sync.Once
		tracer.cancelAfter(x.random.IntN(50), func() {
			once.Do(func() { writers++; go func() { results <- write(x.t.Context(), other) }() })
		})
	}
	results <- write(ctx, owner)
	tracer.cancelAfter(-1, nil)
	for range writers {
		err := <-results
		switch {
		case err == nil:
			wrote++
		case !errors.Is(err, errStale) && !errors.Is(err, context.Canceled) && sqlState(err) != codeDeadlock:
			x.t.Fatal(err)
		}
	}
	return wrote
}

func TestTheSameEventsEndInTheSameTablesWhateverIsCutAndWhoeverOwns(t *testing.T) {
	random := seed.Random(t)
	mixed, clean := newLab(t), newLab(t)
	for run := range seed.Runs(t, 40) {
		mixed.clear()
		clean.clear()
		c := randomFoldCase(random)
		define(t, clean.store, c.definitions...)
		clean.write(inTime(c.events)...)

		x := newTurmoil(mixed, random, &c, 1+3*int32(run))
		definitions := c.definitions
		for x.step() {
			if len(definitions) > 0 && random.IntN(4) == 0 {
				define(t, x.owners[random.IntN(2)], definitions[0])
				definitions = definitions[1:]
			}
		}
		define(t, x.owners[0], definitions...)
		diff := cmp.Diff(dump(t, clean.pool), dump(t, mixed.pool)) + cmp.Diff(dumpFolds(t, clean.pool), dumpFolds(t, mixed.pool))
		if diff != "" {
			t.Fatalf("run %d: one clean pass (-) gives something else than what is there (+):\n%s", run, diff)
		}
	}
}
