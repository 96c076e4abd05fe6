package processor

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// retry retries letters of the pipeline's topic; change, which may be nil, adapts the configuration.
func (p *pipeline) retry(f LetterFilter, change func(*RetryConfig)) (Retried, map[int64]string) {
	p.t.Helper()
	still := make(map[int64]string)
	cfg := RetryConfig{Topic: p.topic, Registry: p.schemas(), Pool: p.pool, OnDead: func(at Position, cause string) { still[at.Offset] = cause }}
	if change != nil {
		change(&cfg)
	}
	sum, err := RetryDeadLetters(p.t.Context(), cfg, f)
	if err != nil {
		p.t.Fatal(err)
	}
	return sum, still
}

// bury records the events as dead letters of partition 0, at the offsets from first on.
func (p *pipeline) bury(first int64, events ...event.CheckCompleted) {
	p.t.Helper()
	var letters []letter
	for i, e := range events {
		record := &kgo.Record{Topic: p.topic, Offset: first + int64(i), Key: []byte(e.TargetID), Value: p.value(e), Timestamp: e.Slot}
		letters = append(letters, newLetter(record, fmt.Errorf("buried %d", first+int64(i))))
	}
	putLetters(p.t, p.pool, letters...)
}

// newer gives a schema as a later build may have it, with a field more, and the value of e written with it under id.
func (p *pipeline) newer(subject string) *schemas.Schema {
	p.t.Helper()
	text := schemas.CheckCompleted(p.topic).Text
	end := strings.LastIndex(text, "]")
	s, err := schemas.ParseSchema(subject, text[:end]+`,{"name":"later","type":["null","int"],"default":null,"doc":"later"}`+text[end:])
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestARetryAppliesWhatAFixHasMended(t *testing.T) {
	p := newPipeline(t, 1)
	// Three faults that can be mended: a schema of another subject, a retention that is too short, a rule of the table.
	elsewhere, err := p.schemas().Register(t.Context(), p.newer(schemas.Subject(p.topic+"-elsewhere")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.pool.Exec(t.Context(), "ALTER TABLE checks ADD CONSTRAINT polite CHECK (prober <> 'rude')"); err != nil {
		t.Fatal(err)
	}
	events := newEvents(8)
	events[2].Slot = firstSlot.Add(-3 * day)
	events[2].EventID = schemas.EventID(events[2].TargetID, events[2].Location, events[2].Slot)
	events[3].Prober = "rude"
	later := append(p.value(events[1]), 0)
	binary.BigEndian.PutUint32(later[1:5], uint32(elsewhere))
	p.produce(1, events[0])
	p.produceRecords(&kgo.Record{Topic: p.topic, Key: []byte(events[1].TargetID), Value: later})
	p.produce(1, events[2:]...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	r := p.start(func(c *Config) { c.Retention = 5 * day }) // of which the others are inside after midnight as well
	r.await(9)
	r.finish()
	if r.sum.Dead != 4 {
		t.Fatalf("dead letters: got %d, want 4", r.sum.Dead)
	}

	short := func(c *RetryConfig) { c.Retention = 5 * day }
	before := query(t, p.pool, "SELECT xmin::text || cause FROM dead_letters ORDER BY record_offset")
	sum, still := p.retry(LetterFilter{}, short)
	if diff := cmp.Diff(Retried{Dead: 4}, sum); diff != "" {
		t.Errorf("before anything is mended (-want +got):\n%s", diff)
	}
	for offset, want := range map[int64]string{1: "unknown schema id", 2: "is older than what is kept", 3: "polite", 8: "magic byte"} {
		if !strings.Contains(still[offset], want) {
			t.Errorf("cause at %d: got %q, want %q", offset, still[offset], want)
		}
	}
	if diff := cmp.Diff(before[:3], query(t, p.pool, "SELECT xmin::text || cause FROM dead_letters ORDER BY record_offset")[:3]); diff != "" {
		t.Errorf("letters with the same cause were written again (-before +after):\n%s", diff)
	}

	if id, err := p.schemas().Register(t.Context(), p.newer(schemas.Subject(p.topic))); err != nil || id != elsewhere {
		t.Fatalf("registering: got id %d, %v, want %d", id, err, elsewhere)
	}
	if _, err := p.pool.Exec(t.Context(), "ALTER TABLE checks DROP CONSTRAINT polite"); err != nil {
		t.Fatal(err)
	}
	if sum, _ = p.retry(LetterFilter{Cause: "polite"}, short); sum != (Retried{Applied: 1}) {
		t.Errorf("by cause: got %+v, want one applied", sum)
	}
	if sum, _ = p.retry(LetterFilter{Positions: []Position{{p.topic, 0, 1}, {p.topic, 0, 3}}}, short); sum != (Retried{Applied: 1}) {
		t.Errorf("by position, one of which is applied already: got %+v, want one applied", sum)
	}
	if sum, _ = p.retry(LetterFilter{}, nil); sum != (Retried{Applied: 1, Dead: 1}) {
		t.Errorf("with a longer retention: got %+v, want one applied and one dead", sum)
	}
	p.checkInvariants(events, 1)

	clean := migrated(t)
	writeAll(t, clean, events, func() int { return len(events) })
	if diff := cmp.Diff(dump(t, clean), dump(t, p.pool)); diff != "" {
		t.Errorf("the tables differ (-in one clean pass +retried):\n%s", diff)
	}
}

func TestALetterThatIsStillDeadKeepsItsPlaceWithTheCauseOfToday(t *testing.T) {
	p := newPipeline(t, 1)
	bad := letterAt(0, "an older release's words")
	bad.Topic = p.topic
	foreign := letterAt(0, "of another topic")
	putLetters(t, p.pool, bad, foreign)
	for range 2 {
		if sum, _ := p.retry(LetterFilter{}, nil); sum != (Retried{Dead: 1}) {
			t.Errorf("got %+v, want one dead letter", sum)
		}
	}
	got, err := FindDeadLetter(t.Context(), p.pool, bad.position())
	if err != nil || !strings.Contains(got.Cause, "magic byte") || string(got.Value) != "value" {
		t.Errorf("got %+v, %v, want today's cause and the value as it was", got, err)
	}
	if got, err = FindDeadLetter(t.Context(), p.pool, foreign.position()); err != nil || got.Cause != "of another topic" {
		t.Errorf("a letter of another topic: got %+v, %v", got, err)
	}
}

func TestRetriesAtOnceBesideProcessorAndPublisherApplyEachLetterOnce(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	events := newEvents(3000)
	// Half of what is buried the processor writes as well; some of it is dead for ever.
	p.bury(1_000_000, events[:2000]...)
	for i := range int64(20) {
		bad := letterAt(2_000_000+i, "bad")
		bad.Topic = p.topic
		putLetters(t, p.pool, bad)
	}
	r := p.start(func(c *Config) { c.BatchRecords = 50 })
	var wg sync.WaitGroup
	sums := make([]Retried, 3)
	for i := range sums {
		registry := p.schemas()
		filter := LetterFilter{Cause: []string{"", "buried", ""}[random.IntN(3)]}
		wg.Go(func() {
			var err error
			if sums[i], err = RetryDeadLetters(t.Context(), RetryConfig{Topic: p.topic, Registry: registry, Pool: p.pool}, filter); err != nil {
				t.Errorf("retry %d: %v", i, err)
			}
		})
	}
	p.produce(1, events[1000:]...)
	r.await(2000)
	wg.Wait()
	r.finish()
	var applied int64
	for _, sum := range sums {
		applied += sum.Applied
	}
	if applied != 2000 {
		t.Errorf("applied: got %+v, want 2000 together", sums)
	}
	p.checkInvariants(events, 20)
	if lost := p.logs.with("ERROR"); len(lost) > 0 {
		t.Errorf("said: %q", lost)
	}
}

// letterStates lists, by the target, what is a row and what a letter.
func (p *pipeline) letterStates() (rows, letters []string) {
	p.t.Helper()
	return query(p.t, p.pool, "SELECT target_id FROM checks ORDER BY 1"), query(p.t, p.pool, "SELECT convert_from(key, 'UTF8') FROM dead_letters ORDER BY 1")
}

func TestACancelledRetryLeavesEachLetterEitherDeadOrApplied(t *testing.T) {
	p := newPipeline(t, 1)
	events := make([]event.CheckCompleted, 5)
	var all []string
	for i := range events {
		events[i] = newEvent(fmt.Sprintf("single-%d", i), i)
		all = append(all, events[i].TargetID)
	}
	p.bury(0, events...)
	for cut := 0; ; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		registry := p.schemas()
		tracer.cancelAfter(cut, cancel)
		_, err := RetryDeadLetters(ctx, RetryConfig{Topic: p.topic, Registry: registry, Pool: p.pool}, LetterFilter{})
		tracer.cancelAfter(-1, nil)
		cancel()
		rows, letters := p.letterStates()
		if both := slices.Sorted(slices.Values(append(rows, letters...))); !slices.Equal(both, all) {
			t.Fatalf("cut at statement %d: rows %q and letters %q after %v", cut, rows, letters, err)
		}
		if err == nil {
			if cut < 5 || len(letters) > 0 {
				t.Errorf("cut at statement %d: not noticed, letters %q", cut, letters)
			}
			return
		}
	}
}

func TestARetryWhileTheRegistryIsAwayChangesNothing(t *testing.T) {
	p := newPipeline(t, 1)
	p.bury(0, newEvents(3)...)
	p.registry = "http://127.0.0.1:1"
	sum, err := RetryDeadLetters(t.Context(), RetryConfig{Topic: p.topic, Registry: p.schemas(), Pool: p.pool}, LetterFilter{})
	if err == nil || sum != (Retried{}) || !strings.Contains(err.Error(), p.topic+"/0@0") {
		t.Errorf("got %+v, %v, want an error that names the first letter", sum, err)
	}
	if rows, letters := p.letterStates(); len(rows) != 0 || len(letters) != 3 {
		t.Errorf("%d rows and %d letters, want 0 and 3", len(rows), len(letters))
	}
}

func TestTenThousandLettersAreRetriedInBoundedMemory(t *testing.T) {
	const letters, bytes = 10_000, 20_000
	p := newPipeline(t, 1)
	_, err := p.pool.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, timestamp_ms, value, headers, cause)
		SELECT $1, 0, n, n, decode(repeat('ff', $3), 'hex'), '', 'bad' FROM generate_series(1, $2::integer) AS n`, p.topic, letters, bytes)
	if err != nil {
		t.Fatal(err)
	}
	live := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, most, seen := live(), uint64(0), 0
	sum, err := RetryDeadLetters(t.Context(), RetryConfig{Topic: p.topic, Registry: p.schemas(), Pool: p.pool, OnDead: func(Position, string) {
		if seen++; seen%1000 == 0 {
			most = max(most, live())
		}
	}}, LetterFilter{})
	if err != nil || sum != (Retried{Dead: letters}) {
		t.Fatalf("got %+v, %v, want %d dead", sum, err, letters)
	}
	if most > before+4*retryMaxBytes {
		t.Errorf("%d MiB more in use than before, of %d MiB in all", (most-before)>>20, letters*bytes>>20)
	}
	if got, err := ListDeadLetters(t.Context(), p.pool, LetterFilter{}, true, letters); err != nil || len(got) != letters {
		t.Errorf("listed %d, %v, want %d", len(got), err, letters)
	}
}

// TestRandomBytesAreStillDeadOrAppliedAndNothingElse retries letters with hostile bytes in every field.
func TestRandomBytesAreStillDeadOrAppliedAndNothingElse(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	good := p.value(newEvent("good", 1))
	for i := range int64(200) {
		value := slices.Clone(good)
		for range 1 + random.IntN(4) {
			value[random.IntN(len(value))] = byte(random.Uint32())
		}
		putLetters(t, p.pool, letter{
			Topic: p.topic, RecordOffset: i, TimestampMs: int64(random.Uint64()), Key: randomBytes(random), Value: value,
			Headers: append([]byte{}, randomBytes(random)...), Cause: storableText(string(randomBytes(random)), maxCauseBytes),
		})
	}
	putLetters(t, p.pool, letter{Topic: p.topic, RecordOffset: 200, Value: good, Headers: []byte{0xff}, TimestampMs: time.Now().UnixMilli()})
	sum, still := p.retry(LetterFilter{}, nil)
	if sum.Applied < 1 || sum.Letters() != 201 || int(sum.Dead) != len(still) || still[200] != "" {
		t.Errorf("got %+v, %d of them said, want the good one applied", sum, len(still))
	}
	for i := range int64(200) {
		if l, err := FindDeadLetter(t.Context(), p.pool, Position{p.topic, 0, i}); err == nil && l.Cause != still[i] {
			t.Errorf("the letter at %d has cause %q, said was %q", i, l.Cause, still[i])
		}
	}
}

func randomBytes(random *rand.Rand) []byte {
	b := make([]byte, random.IntN(60))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
