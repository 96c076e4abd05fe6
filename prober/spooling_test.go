package prober

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"webcheck/schemas"
)

// failingDisk lets the disk answer every transaction with what fault says.
func failingDisk(fault func() error) func(*SpoolEmitter) {
	return func(k *SpoolEmitter) { k.disk.fault = fault }
}

func TestOutageGoesToDiskAndComesBackInOrder(t *testing.T) {
	b := anyBroker(t)
	var logged bytes.Buffer
	config := b.config(t)
	config.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	k, l := startEmitter(t, config), newLedger()
	emitSome := func(from, to int) {
		for n := from; n < to; n++ {
			l.emit(k, []string{"a", "b", "c"}[n%3], n)
		}
	}
	emitSome(1, 100)
	untilSafe(t, l, 99)
	untilMode(t, k, SpoolIdle) // a slow machine may have turned to the disk by itself
	b.line.cut()
	emitSome(100, 300)
	untilMode(t, k, SpoolFilling)
	emitSome(300, 4000)
	untilSafe(t, l, 3999)
	until(t, "every answer", func() bool { return k.State().Unanswered == 0 })
	if state := k.State(); state.Records < 3700 || state.Bytes == 0 {
		t.Errorf("with Kafka away: %+v", state)
	}
	b.line.mend()
	emitSome(4000, 4200)
	untilMode(t, k, SpoolIdle)
	emitSome(4200, 4300)
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	untilEmpty(t, k)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if state := k.State(); state.Records != 0 || state.Bytes != 0 {
		t.Errorf("in the end: %+v", state)
	}
	l.check(t, b)
	checkOutagesAreLoggedOnce(t, logged.String())
}

// checkOutagesAreLoggedOnce looks for one warning and one all-clear an outage, whatever the number of events. On a slow
// machine there may be more outages than the one that the test makes.
func checkOutagesAreLoggedOnce(t *testing.T, text string) {
	t.Helper()
	lines := slices.Collect(strings.Lines(text))
	for i, line := range lines {
		want := "level=WARN"
		if i%2 == 1 {
			want = "the spool is empty"
		}
		if !strings.Contains(line, want) {
			t.Errorf("line %d is not of %q:\n%s", i+1, want, text)
			return
		}
	}
	if len(lines) == 0 || len(lines)%2 == 1 {
		t.Errorf("%d lines, want a warning and an all-clear for every outage:\n%s", len(lines), text)
	}
}

func TestNothingIsWrittenToDiskWhileKafkaAnswers(t *testing.T) {
	b := newBroker(t)
	config := b.config(t)
	config.After = time.Minute
	k, l := startEmitter(t, config, failingDisk(func() error { t.Error("the disk was written"); return nil })), newLedger()
	for n := 1; n <= 2000; n++ {
		l.emit(k, "home", n)
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if safe, lost := l.counts(); safe != 2000 || lost != 0 {
		t.Errorf("%d safe, %d lost", safe, lost)
	}
}

// TestWhatTheClientAcknowledgesAfterAllIsNotSentAgain holds an answer back until its events are on disk as well.
func TestWhatTheClientAcknowledgesAfterAllIsNotSentAgain(t *testing.T) {
	b := newBroker(t)
	release := make(chan struct{})
	b.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	k, l := b.emitter(t), newLedger()
	for n := 1; n <= 50; n++ {
		l.emit(k, "home", n)
	}
	untilSafe(t, l, 50)
	if state := k.State(); state.Records != 50 {
		t.Errorf("%+v, want 50 records on disk", state)
	}
	close(release)
	untilMode(t, k, SpoolIdle)
	l.emit(k, "home", 51)
	untilSafe(t, l, 51)
	records := b.records(t, 51)
	if len(records) != 51 {
		t.Errorf("%d records, want 51", len(records))
	}
	l.check(t, b)
}

func TestErrorThatSomebodyMustMendIsNoLoss(t *testing.T) {
	b := newBroker(t)
	var refusals atomic.Int64
	refusals.Store(3)
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if refusals.Add(-1) < 0 {
			return nil, nil, false
		}
		return refusing(req.(*kmsg.ProduceRequest), kerr.TopicAuthorizationFailed), nil, true
	})
	k, l := b.emitter(t), newLedger()
	for n := 1; n <= 30; n++ {
		l.emit(k, "home", n)
	}
	untilSafe(t, l, 30)
	untilMode(t, k, SpoolIdle)
	if state := k.State(); state.ProduceErrors < 30 || state.Refused != 0 {
		t.Errorf("%+v, want errors and no refusal", state)
	}
	l.check(t, b)
}

func TestEventThatKafkaNeverTakesIsGivenUp(t *testing.T) {
	b := newBroker(t)
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return refusing(req.(*kmsg.ProduceRequest), kerr.InvalidRecord), nil, true
	})
	config := b.config(t)
	config.After = time.Minute // a slow machine must not turn to the disk by itself
	k := startEmitter(t, config)
	if err := <-emit(k, result("a")); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("got %v, want %v", err, kerr.InvalidRecord)
	}
	if err := <-emit(k, result("a")); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if state := k.State(); state.Refused != 1 || state.Mode != SpoolIdle {
		t.Errorf("%+v", state)
	}
}

// refusing answers every partition of req with err.
func refusing(req *kmsg.ProduceRequest, err *kerr.Error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.Topics {
		answer := kmsg.NewProduceResponseTopic()
		answer.Topic, answer.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, err.Code
			answer.Partitions = append(answer.Partitions, p)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

func TestManyUnacknowledgedEventsDoNotWaitForTheClock(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	config := b.config(t)
	config.After = time.Hour
	k, l := startEmitter(t, config, func(k *SpoolEmitter) { k.maxHeld = 20 }), newLedger()
	for n := 1; n <= 100; n++ {
		l.emit(k, "home", n)
	}
	untilSafe(t, l, 100)
	b.line.mend()
	untilMode(t, k, SpoolIdle)
	l.check(t, b)
}

func TestFullSpoolGivesUpWhatFindsNoRoomAndKeepsTheRest(t *testing.T) {
	b := anyBroker(t)
	b.line.cut()
	config := b.config(t)
	config.MaxBytes = 5000
	k, l := startEmitter(t, config), newLedger()
	for n := 1; n <= 10; n++ {
		l.emit(k, "home", n)
	}
	untilMode(t, k, SpoolFilling)
	for n := 11; n <= 500; n++ {
		l.emit(k, "home", n)
	}
	until(t, "every answer", func() bool { return k.State().Unanswered == 0 })
	safe, lost := l.counts()
	if state := k.State(); lost == 0 || safe+lost != 500 || state.Bytes > 5000 || state.Records != safe {
		t.Errorf("%d safe, %d lost, %+v", safe, lost, state)
	}
	for _, err := range l.lost {
		if !errors.Is(err, ErrSpoolFull) {
			t.Fatalf("got %v, want %v", err, ErrSpoolFull)
		}
	}
	b.line.mend()
	untilMode(t, k, SpoolIdle)
	l.emit(k, "home", 501)
	untilSafe(t, l, safe+1)
	l.check(t, b)
}

func TestDiskThatSaysNoKeepsEventsInMemoryUntilItIsMended(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	var full atomic.Bool
	full.Store(true)
	k, l := startEmitter(t, b.config(t), func(k *SpoolEmitter) { k.maxHeld, k.maxQueued = 5, 45 }, failingDisk(func() error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return nil
	})), newLedger()
	for n := 1; n <= 60; n++ {
		l.emit(k, "home", n)
	}
	until(t, "ten lost events", func() bool { _, lost := l.counts(); return lost == 10 })
	if safe, _ := l.counts(); safe != 0 || !errors.Is(l.lost[0], ErrSpoolFull) {
		t.Errorf("%d safe, %v", safe, l.lost[0])
	}
	full.Store(false)
	untilSafe(t, l, 50)
	b.line.mend()
	untilMode(t, k, SpoolIdle)
	l.check(t, b)
}

func TestKafkaThatComesBackIsGivenWhatTheDiskDidNotTake(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	k, l := startEmitter(t, b.config(t), failingDisk(func() error { return syscall.EIO })), newLedger()
	for n := 1; n <= 2500; n++ {
		l.emit(k, "home", n)
	}
	untilMode(t, k, SpoolFilling)
	for n := 2501; n <= 5000; n++ {
		l.emit(k, "home", n)
	}
	if safe, lost := l.counts(); safe+lost != 0 {
		t.Errorf("%d safe, %d lost", safe, lost)
	}
	b.line.mend()
	untilSafe(t, l, 5000)
	untilMode(t, k, SpoolIdle)
	l.check(t, b)
}

func TestStartWithKafkaAwaySendsTheOldEventsFirst(t *testing.T) {
	b := anyBroker(t)
	b.line.cut()
	config, l := b.config(t), newLedger()
	for life := range 3 {
		k := startEmitter(t, config)
		for n := 1; n <= 1500; n++ {
			l.emit(k, "home", life*1500+n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := k.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		config.Client.Close()
		config.Client = b.client(t)
	}
	b.line.mend()
	k := startEmitter(t, config)
	l.emit(k, "home", 4501)
	untilMode(t, k, SpoolIdle)
	untilSafe(t, l, 4501)
	l.check(t, b)
}

// TestEventsOfAnOlderSchemaAreSentAsTheyAre spools with another schema id than the one that the next life encodes with.
func TestEventsOfAnOlderSchemaAreSentAsTheyAre(t *testing.T) {
	b := newBroker(t)
	b.line.cut()
	config := b.config(t)
	config.Encoder = schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 3)
	k := startEmitter(t, config)
	if err := <-emit(k, numbered("home", 1)); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	config.Client.Close()
	b.line.mend()
	config.Client, config.Encoder = b.client(t), checksEncoder()
	k = startEmitter(t, config)
	if err := <-emit(k, numbered("home", 2)); err != nil {
		t.Fatal(err)
	}
	for i, record := range b.records(t, 2) {
		if id := record.Value[4]; id != []byte{3, 7}[i] {
			t.Errorf("record %d has schema id %d", i, id)
		}
	}
}

func TestEventAfterCloseIsNotSafe(t *testing.T) {
	k := newBroker(t).emitter(t)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-emit(k, result("home")); !errors.Is(err, ErrEmitterClosed) {
		t.Errorf("got %v, want %v", err, ErrEmitterClosed)
	}
	if err := k.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}
