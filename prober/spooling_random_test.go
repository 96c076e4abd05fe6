package prober

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"webcheck/embedded/testservices/seed"
)

// world is an emitter in a life that goes wrong.
type world struct {
	t       *testing.T
	random  *rand.Rand
	broker  *broker
	config  SpoolConfig
	emitter *SpoolEmitter
	ledger  *ledger
	refuses atomic.Bool // the disk
	next    int         // number of the next event
}

// TestEventsThatAreSafeReachTheTopicInOrder lets Kafka and the disk go away and come back, the prober stop, crash and
// start, and the spool run full, in any order. What was said to be safe is in the topic in the end.
func TestEventsThatAreSafeReachTheTopicInOrder(t *testing.T) {
	random := seed.Random(t)
	for run := range seed.Runs(t, 4) {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			w := &world{t: t, random: random, broker: anyBroker(t), ledger: newLedger(), next: 1}
			w.config = w.broker.config(t)
			w.config.After = time.Duration(5+random.IntN(40)) * time.Millisecond
			w.config.MaxBytes = 20_000 + random.Int64N(200_000)
			w.start()
			for range 60 {
				w.happen()
			}
			w.refuses.Store(false)
			w.broker.line.mend()
			untilEmpty(t, w.emitter)
			w.ledger.check(t, w.broker)
		})
	}
}

func (w *world) start() {
	w.config.Client = w.broker.client(w.t)
	small := func(k *SpoolEmitter) { k.maxHeld, k.maxQueued = 300, 500 }
	w.emitter = startEmitter(w.t, w.config, small, failingDisk(func() error {
		if w.refuses.Load() {
			return syscall.ENOSPC
		}
		return nil
	}))
}

// happen is one thing that can happen.
func (w *world) happen() {
	switch w.random.IntN(12) {
	case 0, 1, 2, 3:
		for range 1 + w.random.IntN(200) {
			w.ledger.emit(w.emitter, fmt.Sprint("target-", w.random.IntN(5)), w.next)
			w.next++
		}
	case 4, 5:
		w.broker.line.cut()
	case 6, 7:
		w.broker.line.mend()
	case 8:
		w.refuses.Store(w.random.IntN(3) == 0)
	case 9:
		w.await()
	case 10: // a stop, which waits for a while
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(1+w.random.IntN(200))*time.Millisecond)
		_ = w.emitter.Flush(ctx) // whether it was in time is in the ledger
		cancel()
		w.restart()
	case 11: // a crash: nothing goes to the disk any more, and what was not answered is not
		w.refuses.Store(true)
		w.restart()
		w.refuses.Store(false)
	}
}

func (w *world) restart() {
	if err := w.emitter.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.config.Client.Close()
	w.start()
}

// await lets time pass until a few more events are answered, or none waits for an answer.
func (w *world) await() {
	safe, lost := w.ledger.counts()
	patience := time.After(300 * time.Millisecond)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.emitter.State().Unanswered > 0 {
		if s, l := w.ledger.counts(); s+l > safe+lost+100 {
			return
		}
		select {
		case <-tick.C:
		case <-patience:
			return
		}
	}
}

// TestFullDiskUnderAnEmitterLosesNothingThatIsSafe spools to a disk of its own that runs full.
func TestFullDiskUnderAnEmitterLosesNothingThatIsSafe(t *testing.T) {
	b, l := newBroker(t), newLedger()
	b.line.cut()
	config := b.config(t)
	config.Dir = smallDisk(t, 1<<20)
	k := startEmitter(t, config, func(k *SpoolEmitter) { k.maxHeld, k.maxQueued = 100, 1000 })
	n := 1
	for ; n <= 9000; n++ {
		l.emit(k, fmt.Sprint("target-", n%5), n)
		if n%1000 == 0 { // give the disk its turn, and Emit the answer
			untilSafeOrFull(t, k, l, n)
		}
	}
	if _, lost := l.counts(); lost == 0 {
		t.Error("nothing was given up")
	}
	b.line.mend()
	untilMode(t, k, SpoolIdle)
	l.emit(k, "target-0", n)
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.check(t, b)
	untilEmpty(t, k)
}

func untilSafeOrFull(t *testing.T, k *SpoolEmitter, l *ledger, n int) {
	t.Helper()
	until(t, "an answer of the disk", func() bool {
		safe, lost := l.counts()
		k.mu.Lock()
		defer k.mu.Unlock()
		return safe+lost == n || k.diskErr != nil
	})
}
