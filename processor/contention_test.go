package processor

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

const codeDeadlock = "40P01"

// persist does what a session does with trouble that passes: all of it again.
func persist(do func() error) error {
	for {
		if err := do(); sqlState(err) != codeDeadlock {
			return err
		}
	}
}

// writePartition writes deliveries of a partition that begins, in the given sizes.
func writePartition(ctx context.Context, s *store, partition int32, deliveries []delivery, sizes []int) error {
	var next int64
	for i := 0; len(deliveries) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(deliveries))
		err := persist(func() error {
			b := batchOf(deliveries[:n], next)
			b.advances = map[int32]advance{partition: {expected: next, next: next + int64(n)}}
			_, err := s.write(ctx, b)
			return err
		})
		if err != nil {
			return err
		}
		deliveries, next = deliveries[n:], next+int64(n)
	}
	return nil
}

func randomSizes(random *rand.Rand) []int {
	sizes := make([]int, 16)
	for i := range sizes {
		sizes[i] = 1 + random.IntN(100)
	}
	return sizes
}

// A partition that is added moves targets to it while the old one still has their checks.
func TestTwoOwnersOfATargetAndItsDefinitionsEndInTheSameFolds(t *testing.T) {
	random := seed.Random(t)
	mixed, clean := newLab(t), newLab(t)
	storedOffset(t, mixed.pool, 1)
	for run := range seed.Runs(t, 8) {
		mixed.clear()
		clean.clear()
		if _, err := mixed.pool.Exec(t.Context(), "UPDATE offsets SET next_offset = 0"); err != nil {
			t.Fatal(err)
		}
		c := randomFoldCase(random)
		var parts [2][]delivery
		for _, d := range c.deliveries(random) {
			at := random.IntN(3) // of rivals one in each, or both events in both
			if at < 2 {
				parts[at] = append(parts[at], d)
				continue
			}
			parts[0], parts[1] = append(parts[0], d), append(parts[1], d)
		}
		group, ctx := errgroup.WithContext(t.Context())
		for partition := range parts {
			sizes := randomSizes(random)
			group.Go(func() error {
				return writePartition(ctx, newStore(mixed.pool), int32(partition), parts[partition], sizes)
			})
		}
		group.Go(func() error {
			s := newStore(mixed.pool)
			for _, d := range c.definitions {
				if err := persist(func() error { _, err := s.define(ctx, []event.TargetDefined{d}); return err }); err != nil {
					return err
				}
			}
			return nil
		})
		if err := group.Wait(); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		clean.repeat(mixed.pool)
		if diff := cmp.Diff(dumpFolds(t, clean.pool), dumpFolds(t, mixed.pool)); diff != "" {
			t.Fatalf("run %d: a clean pass (-) gives something else than what is there (+):\n%s", run, diff)
		}
		checkOracle(t, mixed.pool, c.definitions)
		mixed.checkTold()
	}
}

func TestRivalsOnBothSidesOfARefusedRowAreFoldedOnce(t *testing.T) {
	l := newLab(t)
	first := seenFrom("here", 0, up, down, down, up)
	second := seenFrom("here", 0, down, up, up, down)
	for i := range first {
		first[i].StartedAt = first[i].Slot.Add(2 * time.Second)
		second[i].StartedAt = second[i].Slot.Add(time.Second)
	}
	bad := seenFrom("here", 50, up)
	bad[0].EventID = "not a uuid"
	l.write(append(append(first, bad...), second...)...)
	checkOracle(t, l.pool, nil)
	checkFolds(t, l.pool)
	if n := l.number("SELECT count(*) FROM dead_letters"); n != 1 {
		t.Errorf("%v dead letters, want 1", n)
	}
}

func TestADefinitionThatWasNotStoredLeavesNoRulesBehind(t *testing.T) {
	l := newLab(t)
	c := foldCase{}
	c.addLocation(rand.New(rand.NewPCG(1, 1)), "target", "here", []string{"aaaaaaaaaaaa"}, []time.Duration{time.Minute}, firstSlot, 60)
	l.write(inTime(c.events[:40])...)
	d := randomDefinition(rand.New(rand.NewPCG(2, 2)), "target", "aaaaaaaaaaaa", time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := l.pool.Config()
	cfg.ConnConfig.Tracer = before("UpsertStrips", func(context.Context, *pgx.Conn) { cancel() })
	s := newStore((&pipeline{t: t, pool: l.pool}).poolLike(func(like *pgxpool.Config) { like.ConnConfig.Tracer = cfg.ConnConfig.Tracer }))
	if _, err := s.define(ctx, []event.TargetDefined{d}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cancelled", err)
	}
	l.store.folder.known = s.folder.known
	l.write(inTime(c.events[40:])...)
	checkOracle(t, l.pool, nil)
	define(t, l.store, d)
	checkOracle(t, l.pool, []event.TargetDefined{d})
}

func TestTextsTooLongForAnIndexAreRefused(t *testing.T) {
	long := strings.Repeat("ä", 128)
	for name, change := range map[string]func(*event.CheckCompleted){
		"target":   func(e *event.CheckCompleted) { e.TargetID = long },
		"location": func(e *event.CheckCompleted) { e.Location = long },
		"version":  func(e *event.CheckCompleted) { e.DefinitionVersion = long },
	} {
		e := newEvent("target", 0)
		change(&e)
		if err := checkText(&e); err == nil || !strings.Contains(err.Error(), "256 bytes") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := checkDefinition(&event.TargetDefined{TargetID: long, DefinitionVersion: "v"}); err == nil {
		t.Error("a definition with a long id is taken")
	}
	// The longest that are taken fit, random as they are.
	random := seed.Random(t)
	text := make([]byte, maxKeyBytes)
	for i := range text {
		text[i] = byte('!' + random.IntN(90))
	}
	e := newEvent(string(text), 0)
	e.Location, e.DefinitionVersion = string(text), string(text)
	e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
	if err := checkText(&e); err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	l.write(inTime([]event.CheckCompleted{e})...)
	checkOracle(t, l.pool, nil)
}

// A rival takes the last transition back, and the one before it was judged by a version that no check since then has.
func TestATransitionThatIsLastAgainIsJudgedByItsOwnVersion(t *testing.T) {
	l := newLab(t)
	var definitions []event.TargetDefined
	for _, version := range []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb"} {
		definitions = append(definitions, event.TargetDefined{
			TargetID: "site", DefinitionVersion: version, DefinedAt: firstSlot, URL: "http://localhost/", IntervalMs: 60_000, TimeoutMs: 1000,
			DownAfter: 1, DownOf: 1, UpAfter: 1, UpOf: 1, FlapTransitions: 2, FlapWindowS: 86_400, SilentAfter: 3, Definition: "{}",
		})
	}
	define(t, l.store, definitions...)
	before, after, rival := seenFrom("here", 0, up, down), seenFrom("here", 20, up, down), seenFrom("here", 20, down)
	for _, deliveries := range [][]delivery{after, rival} {
		for i := range deliveries {
			deliveries[i].DefinitionVersion = "bbbbbbbbbbbb"
		}
	}
	for i := range before {
		before[i].DefinitionVersion = "aaaaaaaaaaaa"
	}
	rival[0].StartedAt = rival[0].Slot
	l.write(before...)
	l.write(after...)
	clear(l.store.folder.known) // as another processor
	l.write(rival...)
	checkOracle(t, l.pool, definitions)
}
