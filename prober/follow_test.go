package prober

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// location is a topic of definitions, and the probers that follow it.
type location struct {
	t       *testing.T
	kafka   *testservices.KafkaService
	topic   string
	client  *kgo.Client
	encoder *schemas.EncoderOf[event.TargetDefined]
	decoder *schemas.DecoderOf[event.TargetDefined]
	store   *recorder
}

func newLocation(t *testing.T, partitions int32) *location {
	t.Helper()
	service, kafka := testservices.Registry(t), testservices.Kafka(t)
	topic := kafka.Topic(t, "targets", partitions)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	answers, err := sr.NewClient(sr.URLs(service.URL), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	registry, schema := schemas.NewRegistry(answers), schemas.TargetDefined(topic)
	id, err := registry.Register(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kafka.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &location{
		t: t, kafka: kafka, topic: topic, client: client, store: newRecorder(),
		encoder: schemas.NewEncoderOf[event.TargetDefined](schema, id), decoder: schemas.NewDecoderOf[event.TargetDefined](registry, schema),
	}
}

// define publishes the definitions of targets.
func (l *location) define(targets ...Target) {
	l.t.Helper()
	var records []*kgo.Record
	for _, target := range targets {
		value, err := l.encoder.AppendEncode(nil, target.defined(time.Now()))
		if err != nil {
			l.t.Fatal(err)
		}
		records = append(records, l.record(target.ID, value))
	}
	l.produce(records...)
}

func (l *location) record(key string, value []byte) *kgo.Record {
	return &kgo.Record{Topic: l.topic, Key: []byte(key), Value: value}
}

func (l *location) produce(records ...*kgo.Record) {
	l.t.Helper()
	if err := l.client.ProduceSync(l.t.Context(), records...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// prober returns one that follows, and is not started.
func (l *location) prober(c Config, more ...kgo.Opt) *Prober {
	l.t.Helper()
	c.Emit = l.store
	c.Follow = &Follow{Kafka: append(l.kafka.Opts(), more...), Topic: l.topic, Group: l.topic + "-group", Decoder: l.decoder, SessionTimeout: 6 * time.Second}
	return newTestProber(l.t, c, taking(time.Millisecond))
}

// eventually waits until what holds of the events, which are looked at whenever there are more.
func (l *location) eventually(what string, holds func([]*event.CheckCompleted) bool) {
	l.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		if holds(l.store.all()) {
			return
		}
		select {
		case <-l.store.settled:
		case <-limit:
			l.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// after returns a predicate: there are n events of the target with that outcome and version that began after now.
func after(id, outcome, version string, n int) func([]*event.CheckCompleted) bool {
	begin := time.Now()
	return func(events []*event.CheckCompleted) bool {
		found := 0
		for _, e := range events {
			if e.TargetID == id && e.Outcome == outcome && e.StartedAt.After(begin) && (version == "" || e.DefinitionVersion == version) {
				found++
			}
		}
		return found >= n
	}
}

func TestDefinitionsAreFollowedWhileTheProberRuns(t *testing.T) {
	l := newLocation(t, 3)
	one, two := every("one", 200*time.Millisecond), every("two", 300*time.Millisecond)
	l.define(one)
	p := l.prober(Config{})
	stop := run(t, p)
	l.eventually("the first target is checked", after("one", event.OutcomeUp, one.Version(), 2))
	l.define(two)
	l.eventually("a new target is checked", after("two", event.OutcomeUp, two.Version(), 2))
	changed := two
	changed.Labels = map[string]string{"team": "shop"}
	l.define(changed)
	l.eventually("a changed target is checked as it is defined now", after("two", event.OutcomeUp, changed.Version(), 2))
	paused := one
	paused.Paused = true
	l.define(paused)
	l.eventually("the slots of a paused target are missed", after("one", event.OutcomeMissed, paused.Version(), 2))
	l.produce(l.record("two", nil))
	until(t, "the removal", func() bool { return p.isDoneWith("two") })
	removed := len(slotsOf(l.store.all())["two"])
	l.eventually("the others go on", after("one", event.OutcomeMissed, paused.Version(), 4))
	if n := len(slotsOf(l.store.all())["two"]); n > removed {
		t.Errorf("a target that was removed has %d more events", n-removed)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for id, events := range slotsOf(l.store.all()) {
		checkNoGap(t, id, events)
	}
}

// isDoneWith reports whether nothing of a target is left that could become an event.
func (p *Prober) isDoneWith(id string) bool {
	left := 0
	p.do(func() {
		for _, s := range p.shares {
			if s.targets[id] != nil {
				left++
			}
		}
		for _, d := range p.debts {
			if d.target.ID == id {
				left++
			}
		}
		p.books.mu.Lock()
		defer p.books.mu.Unlock()
		for h := range p.books.open {
			if h.target.ID == id {
				left++
			}
		}
	})
	return left == 0
}

// checkNoGap holds the events of a target whose interval never changed against the promise: one for each slot from the first to the last.
func checkNoGap(t *testing.T, id string, events []*event.CheckCompleted) {
	t.Helper()
	slices.SortFunc(events, func(a, b *event.CheckCompleted) int { return a.Slot.Compare(b.Slot) })
	interval := time.Duration(0)
	for i := 1; i < len(events); i++ {
		step := events[i].Slot.Sub(events[i-1].Slot)
		if interval == 0 {
			interval = step
		}
		if step != interval {
			t.Errorf("%s: %v lie between the slots %v and %v", id, step, events[i-1].Slot, events[i].Slot)
		}
	}
}

func TestADefinitionThatThisBuildCannotReadIsMissedAndNeverDown(t *testing.T) {
	l := newLocation(t, 1)
	target := every("one", 200*time.Millisecond)
	d := target.defined(time.Now())
	d.Definition = strings.Replace(d.Definition, "{", `{"telepathy":true,`, 1)
	value, err := l.encoder.AppendEncode(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	l.produce(l.record("one", value), l.record("two", []byte("no Avro")))
	stop := run(t, l.prober(Config{}))
	l.eventually("its slots are missed", func(events []*event.CheckCompleted) bool { return reasons(events)["missed own_fault"] >= 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, e := range l.store.all() { // a slow take-over and the stop have reasons of their own
		unread := text(e.Failure) == event.FailureOwnFault
		if e.TargetID != "one" || e.Outcome != event.OutcomeMissed || unread && !strings.Contains(text(e.FailureText), "telepathy") {
			t.Errorf("%s: %s %s %s", e.TargetID, e.Outcome, text(e.Failure), text(e.FailureText))
		}
	}
}

func TestSlotsWithoutAProberAreMissedAtTheNextStart(t *testing.T) {
	l := newLocation(t, 3)
	one, slow := every("one", 200*time.Millisecond), every("slow", time.Minute)
	l.define(one, slow)
	for range 3 {
		stop := run(t, l.prober(Config{}))
		l.eventually("the target is checked", after("one", event.OutcomeUp, "", 5))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
	}
	all := slotsOf(l.store.all())
	checkNoGap(t, "one", all["one"])
	if got := reasons(all["one"]); got["missed hand_over"] < 8 {
		t.Errorf("got %v, want about five missed slots for each of two pauses", got)
	}
	seen := make(map[string]bool)
	for _, e := range all["one"] {
		if seen[e.EventID] {
			t.Errorf("slot %v has two events", e.Slot)
		}
		seen[e.EventID] = true
	}
}

func TestTheTargetsOfAProberThatDiesAreTakenOver(t *testing.T) {
	l := newLocation(t, 4)
	var targets []Target
	for i := range 40 {
		targets = append(targets, every(fmt.Sprintf("t%d", i), []time.Duration{500 * time.Millisecond, 20 * time.Second}[i%2]))
	}
	l.define(targets...)
	dying := &line{open: make(map[net.Conn]bool)} // cut, as a kill -9 cuts it
	first := l.prober(Config{Name: "first"}, kgo.Dialer(dying.dial))
	killed := &killable{recorder: l.store}
	first.config.Emit = killed
	stopFirst := run(t, first)
	stopSecond := run(t, l.prober(Config{Name: "second"}))
	l.eventually("both have targets", func(events []*event.CheckCompleted) bool {
		by := make(map[string]map[string]bool)
		for _, e := range events {
			if by[e.Prober] == nil {
				by[e.Prober] = make(map[string]bool)
			}
			by[e.Prober][e.TargetID] = true
		}
		return len(by["first"]) > 3 && len(by["second"]) > 3
	})
	dying.cut()
	killed.kill()
	death := time.Now()
	l.eventually("the second has all of the quick ones", func(events []*event.CheckCompleted) bool {
		quick := make(map[string]bool)
		for _, e := range events {
			if e.Prober == "second" && e.Outcome == event.OutcomeUp && e.StartedAt.After(death) && e.StartedAt.Sub(e.Slot) < 500*time.Millisecond {
				quick[e.TargetID] = true
			}
		}
		return len(quick) >= 20
	})
	took := time.Since(death)
	_ = stopFirst() // its network is gone; what it says does not matter
	if err := stopSecond(); err != nil {
		t.Fatal(err)
	}
	l.checkTables(targets, took)
}

// killable is a store that takes nothing any more from a prober that is dead.
type killable struct {
	*recorder
	mu   sync.Mutex
	dead bool
}

func (k *killable) kill() { k.mu.Lock(); defer k.mu.Unlock(); k.dead = true }

func (k *killable) Emit(e *event.CheckCompleted, done func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dead {
		k.recorder.Emit(e, done)
	}
}

func (k *killable) Flush(ctx context.Context) error {
	k.mu.Lock()
	dead := k.dead
	k.mu.Unlock()
	if dead {
		return nil
	}
	return k.recorder.Flush(ctx)
}

// checkTables holds the events, as the tables keep them, against the promise: no slot without a row, from the first of each target to
// the last; and measured where anybody measured it, which a take-over that took so long may have prevented.
func (l *location) checkTables(targets []Target, took time.Duration) {
	l.t.Helper()
	rows := make(map[string]map[time.Time]*event.CheckCompleted)
	for _, e := range l.store.all() {
		if rows[e.TargetID] == nil {
			rows[e.TargetID] = make(map[time.Time]*event.CheckCompleted)
		}
		if kept := rows[e.TargetID][e.Slot]; kept == nil || kept.Outcome == event.OutcomeMissed {
			rows[e.TargetID][e.Slot] = e
		}
	}
	for _, target := range targets {
		var kept []*event.CheckCompleted
		for _, e := range rows[target.ID] {
			kept = append(kept, e)
		}
		checkNoGap(l.t, target.ID, kept)
		missed, most := reasons(kept)["missed hand_over"], 1+int(took/target.Interval)
		if target.Interval > 12*time.Second && missed > most {
			l.t.Errorf("%s: %d slots are missed, want at most %d", target.ID, missed, most)
		}
	}
}

// TestNoSlotIsMissedWhereAProberHandsOverInGoodOrder has targets whose slots have room for a hand-over of six seconds, so that a slow
// machine has some, too.
func TestNoSlotIsMissedWhereAProberHandsOverInGoodOrder(t *testing.T) {
	l := newLocation(t, 4)
	var targets []Target
	for i := range 120 {
		target := every(fmt.Sprintf("t%d", i), 10*time.Second)
		target.Timeout = time.Second
		targets = append(targets, target)
	}
	l.define(targets...)
	stopFirst := run(t, l.prober(Config{Name: "first"}))
	l.eventually("the first checks", func(events []*event.CheckCompleted) bool { return len(events) > 20 })
	stopSecond := run(t, l.prober(Config{Name: "second"}))
	bySecond := func(targets int) func([]*event.CheckCompleted) bool { // from now on
		since := time.Now()
		return func(events []*event.CheckCompleted) bool {
			checked := make(map[string]bool)
			for _, e := range events {
				if e.Prober == "second" && e.StartedAt.After(since) {
					checked[e.TargetID] = true
				}
			}
			return len(checked) >= targets
		}
	}
	l.eventually("the second has a share", bySecond(20))
	if err := stopFirst(); err != nil {
		t.Fatal(err)
	}
	l.eventually("the second has all", bySecond(len(targets)))
	if err := stopSecond(); err != nil {
		t.Fatal(err)
	}
	l.checkTables(targets, 0)
	for reason, n := range reasons(l.store.all()) {
		if reason != "up" && reason != "missed shutdown" { // a stop gives up what is due and not begun
			t.Errorf("%d slots are %s", n, reason)
		}
	}
}
