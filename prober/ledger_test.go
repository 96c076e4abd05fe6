package prober

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// numbered is the n-th event of a target: the same bytes in every process.
func numbered(target string, n int) *event.CheckCompleted {
	slot := time.UnixMilli(1_700_000_000_000 + int64(n)*1000).UTC()
	total := int32(n)
	return &event.CheckCompleted{
		EventID: schemas.EventID(target, "here", slot), TargetID: target, Location: "here", Slot: slot, StartedAt: slot,
		Outcome: event.OutcomeUp, Attempts: 1, TotalUs: &total, DefinitionVersion: "0123456789ab", Prober: "prober-1",
	}
}

// ledger is what an emitter was given, and what it said about each.
type ledger struct {
	mu    sync.Mutex
	safe  map[string]map[int]bool // by target and number
	lost  []error
	given int
}

func newLedger() *ledger { return &ledger{safe: make(map[string]map[int]bool)} }

func (l *ledger) emit(k Emitter, target string, n int) {
	l.mu.Lock()
	l.given++
	l.mu.Unlock()
	k.Emit(numbered(target, n), func(err error) { l.answer(target, n, err) })
}

func (l *ledger) answer(target string, n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.lost = append(l.lost, err)
		return
	}
	if l.safe[target] == nil {
		l.safe[target] = make(map[int]bool)
	}
	l.safe[target][n] = true
}

// counts are the events that are safe, and those that are lost.
func (l *ledger) counts() (safe, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, numbers := range l.safe {
		safe += len(numbers)
	}
	return safe, len(l.lost)
}

// check reads the topic until every safe event was there, and holds that no target's event came before an older one.
func (l *ledger) check(t *testing.T, b *broker) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	type place struct {
		target string
		n      int
	}
	want, encoder := make(map[string]place), checksEncoder()
	for target, numbers := range l.safe {
		for n := range numbers {
			value, err := encoder.AppendEncode(nil, numbered(target, n))
			if err != nil {
				t.Fatal(err)
			}
			want[string(value)] = place{target, n}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.seeds...), kgo.ConsumeTopics(b.topic), kgo.MetadataMinAge(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	newest, repeated, total := make(map[string]int), 0, len(want)
	seen := make(map[place]bool)
	for len(seen) < total {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatalf("%d of %d events that were said to be safe are in the topic: %v", len(seen), total, err)
		}
		for _, record := range fetched.Records() {
			at, known := want[string(record.Value)]
			switch {
			case !known:
			case seen[at]:
				repeated++
			case at.n <= newest[at.target]:
				t.Errorf("event %d of %q came after event %d", at.n, at.target, newest[at.target])
				seen[at] = true
			default:
				seen[at], newest[at.target] = true, at.n
			}
		}
	}
	t.Logf("%d events given, %d safe and in the topic, %d of them repeated, %d given up", l.given, total, repeated, len(l.lost))
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	tooLong := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-tooLong:
			t.Fatalf("waited 30s for %s", what)
		}
	}
}

func untilMode(t testing.TB, k *SpoolEmitter, mode SpoolMode) {
	t.Helper()
	until(t, "mode "+string(mode), func() bool { return k.State().Mode == mode })
}

// untilEmpty waits until Kafka has every event, and the disk none.
func untilEmpty(t testing.TB, k *SpoolEmitter) {
	t.Helper()
	until(t, "an empty spool", func() bool {
		state := k.State()
		return state.Mode == SpoolIdle && state.Records == 0 && state.Unanswered == 0
	})
}

func untilSafe(t testing.TB, l *ledger, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d safe events", n), func() bool { safe, _ := l.counts(); return safe >= n })
}
