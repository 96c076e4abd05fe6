package prober

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// relay is a location whose probers hand shares to one another, as their group would tell them to.
type relay struct {
	t           *testing.T
	rnd         *locked
	store       *recorder
	mu          sync.Mutex
	written     []*event.CheckCompleted
	definitions map[int32][]defined
	marks       map[int32]accounted // that were committed last
	owners      map[int32]*runner
	probers     int
}

// runner is a prober that runs.
type runner struct {
	*Prober
	killed *killable
	stop   func() error
}

func (r *relay) start() *runner {
	r.probers++
	k := &killable{recorder: r.store}
	c := Config{Name: fmt.Sprintf("prober-%d", r.probers), Emit: k, MaxInFlight: 1 + int(r.rnd.upTo(20)), CheckAtStart: r.rnd.upTo(2) == 0, OnCheck: r.onCheck}
	// It follows no topic; what the group would call is called by the test.
	c.Follow = &Follow{}
	p := newTestProber(r.t, c, func(ctx context.Context, target *Target) *event.CheckCompleted {
		return taking(time.Duration(r.rnd.upTo(int64(target.Timeout)+1)))(ctx, target)
	})
	p.follow = nil
	return &runner{Prober: p, killed: k, stop: run(r.t, p)}
}

func (r *relay) onCheck(e *event.CheckCompleted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written = append(r.written, e)
}

// take gives a prober a share, from how far the group knows it to be accounted for.
func (r *relay) take(p *runner, partition int32) {
	p.do(func() {
		p.shares[partition] = newShare(partition)
		p.takeOver(p.shares[partition], r.definitions[partition], r.marks[partition])
	})
	r.owners[partition] = p
	r.commit(partition)
}

// commit tells the group how far a share is accounted for.
func (r *relay) commit(partition int32) {
	p := r.owners[partition]
	p.do(func() {
		r.marks[partition] = r.kept(p.accountedFor(p.shares[partition])[partition])
	})
}

// kept is a after its way through the group's metadata.
func (r *relay) kept(a accounted) accounted {
	back, err := parseAccounted(a.String())
	if err != nil {
		r.t.Fatal(err)
	}
	return back
}

// handOver takes a share from its owner in good order.
func (r *relay) handOver(partition int32) {
	p := r.owners[partition]
	var s *share
	p.do(func() {
		s = p.shares[partition]
		p.lose(s)
	})
	select {
	case <-p.books.drained(s):
	case <-time.After(handOverPatience):
	}
	p.do(func() {
		r.marks[partition] = r.kept(p.accountedFor(s)[partition])
	})
}

// change gives a target another version, and pauses or resumes it.
func (r *relay) change(partition int32) {
	all := r.definitions[partition]
	i := int(r.rnd.upTo(int64(len(all))))
	t := *all[i].target
	t.Labels, t.Paused = map[string]string{"change": fmt.Sprint(r.rnd.upTo(1000))}, r.rnd.upTo(2) == 0
	all[i] = defined{target: &t, version: t.Version(), at: all[i].at}
	p := r.owners[partition]
	p.do(func() { p.define(p.shares[partition], all[i]) })
}

// Whoever has a share, and however it came to them: each slot of each target has an event, and no slot two that count.
func TestEverySlotHasAnEventThroughHandOversCrashesAndChanges(t *testing.T) {
	rnd := seed.Random(t)
	for i := range 40 {
		seed := rnd.Uint64()
		t.Run(fmt.Sprintf("relay %d", i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runRandomRelay(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func runRandomRelay(t *testing.T, rnd *rand.Rand) {
	r := &relay{
		t: t, rnd: &locked{rnd: rnd}, store: newRecorder(),
		definitions: make(map[int32][]defined), marks: make(map[int32]accounted), owners: make(map[int32]*runner),
	}
	wait(time.Duration(rnd.Int64N(int64(time.Hour))))
	full := errors.New("the disk is full")
	r.store.answer = func(*event.CheckCompleted) (time.Duration, error) {
		delay := time.Duration(r.rnd.upTo(int64(200 * time.Millisecond)))
		if r.rnd.upTo(50) == 0 {
			return delay, full
		}
		return delay, nil
	}
	partitions := int32(1 + rnd.IntN(4))
	began := make(map[string]Target)
	for p := range partitions {
		for i := range 1 + rnd.IntN(8) {
			target := every(fmt.Sprintf("t%d-%d", p, i), time.Duration(200+rnd.IntN(20_000))*time.Millisecond)
			began[target.ID] = target
			r.definitions[p] = append(r.definitions[p], defined{target: &target, version: target.Version(), at: time.Now().UnixMilli()})
		}
	}
	runners := []*runner{r.start(), r.start()}
	started := time.Now()
	for p := range partitions {
		r.take(runners[r.rnd.upTo(2)], p)
	}
	for range 5 + r.rnd.upTo(25) {
		wait(time.Duration(r.rnd.upTo(int64(8 * time.Second))))
		p := int32(r.rnd.upTo(int64(partitions)))
		switch r.rnd.upTo(5) {
		case 0:
			r.handOver(p)
			wait(time.Duration(r.rnd.upTo(int64(3 * time.Second))))
			r.take(runners[r.rnd.upTo(2)], p)
		case 1:
			runners = r.crash(runners, int(r.rnd.upTo(2)))
		case 2:
			r.change(p)
		default:
			r.commit(p)
		}
	}
	for p := range partitions {
		r.handOver(p)
	}
	for _, p := range runners {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
	r.check(began, started)
}

// crash ends a prober without a word; after a while the other ones have its shares, and a new prober is there.
func (r *relay) crash(runners []*runner, i int) []*runner {
	dead := runners[i]
	dead.killed.kill()
	_ = dead.stop()
	wait(time.Duration(r.rnd.upTo(int64(15 * time.Second))))
	fresh := r.start()
	runners = append(slices.Delete(slices.Clone(runners), i, i+1), fresh)
	for p, owner := range r.owners {
		if owner == dead {
			r.take(runners[r.rnd.upTo(2)], p)
		}
	}
	return runners
}

// check holds the events as the tables keep them against the promise: as far as the group knows the slots to be accounted for, each
// has an event.
func (r *relay) check(targets map[string]Target, started time.Time) {
	r.t.Helper()
	rows := make(map[string]map[time.Time]*event.CheckCompleted)
	for _, e := range r.written {
		if err := schemas.CheckEventID(e); err != nil {
			r.t.Error(err)
		}
		if rows[e.TargetID] == nil {
			rows[e.TargetID] = make(map[time.Time]*event.CheckCompleted)
		}
		rows[e.TargetID][e.Slot] = e
	}
	for id, target := range targets {
		seen := 0
		until := r.until(id)
		for slot := NextSlot(target, started); slot.UnixMilli() < until; slot = slot.Add(target.Interval) {
			if rows[id][slot] == nil {
				r.t.Errorf("%s: slot %v has no event", id, slot)
			}
			seen++
		}
		for slot := range rows[id] {
			if !slot.Equal(SlotAt(target, slot)) {
				r.t.Errorf("%s: slot %v is out of rhythm", id, slot)
			}
		}
		if len(rows[id]) < seen {
			r.t.Errorf("%s: %d slots have events, want %d", id, len(rows[id]), seen)
		}
	}
}

// until is the moment until which a target is accounted for.
func (r *relay) until(id string) int64 {
	for partition, all := range r.definitions {
		for _, d := range all {
			if d.target.ID == id {
				until, _ := r.marks[partition].of(id)
				return until
			}
		}
	}
	r.t.Fatalf("there is no %q", id)
	return 0
}

// A target owes slots under more than one definition when it changed while they were owed.
func TestAShareThatIsGivenUpLeavesEverySlotThatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestProber(t, Config{Emit: newRecorder(), Targets: []Target{every("one", time.Minute)}}, taking(0))
		p.released = p.now().UnixMilli()
		p.takeFixed()
		s := p.shares[fixed]
		w := s.targets["one"]
		first, last := w.slot-5*w.interval, w.slot-w.interval
		p.owe(w.definition(first), span{first, first + w.interval}, event.FailureNotRunning, "")
		changed := *w.target
		changed.Labels = map[string]string{"team": "shop"}
		p.define(s, defined{target: &changed, version: changed.Version()})
		p.owe(w.definition(last), span{last, last + w.interval}, event.FailureNotRunning, "")
		p.lose(s)
		if until, known := p.accountedFor(s)[fixed].of("one"); !known || until != first {
			t.Errorf("accounted for until %v, want the first slot that is owed, %v", moment(until), moment(first))
		}
	})
}
