package processor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
)

func TestRepositionMovesALiveProcessor(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(60)
	p.produce(2, events...)
	live := p.start(nil)
	live.await(60)
	p.forget("true")
	r := p.replayer(nil)
	moves, err := r.Reposition(t.Context(), p.plan(r, ReplayQuestion{From: AtOffset(10), To: AtEnd(), Partitions: []int32{1}}))
	if diff := cmp.Diff([]Move{{Partition: 1, Before: 30, After: 10}}, moves); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	more := newEvent("after", 100)
	p.produceRecords(&kgo.Record{Topic: p.topic, Partition: 1, Key: []byte("after"), Value: p.value(more)})
	live.await(60 + 21)
	live.finish()
	want := []event.CheckCompleted{more}
	for offset := 10; offset < 30; offset++ {
		want = append(want, events[2*offset+1])
	}
	p.checkIDs(want)
}

func TestRepositionSaysWhereTheGroupHadNotBegun(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(20)
	p.produce(1, events...)
	r := p.replayer(nil)
	moves, err := r.Reposition(t.Context(), p.plan(r, ReplayQuestion{From: AtOffset(15), To: AtEnd()}))
	if diff := cmp.Diff([]Move{{Partition: 0, Before: -1, After: 15}}, moves); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	p.process(5)
	p.checkIDs(events[15:])
}
