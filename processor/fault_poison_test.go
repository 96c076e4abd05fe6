package processor

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// Records that can never be applied become dead letters, each with its place, and hold up nothing around them.

// poisons are the kinds of records that can never be applied; n tells those of one round from another's.
func (p *pipeline) poisons(n int) [][]byte {
	e := newEvent("target-0", 2000+n)
	nul, forged := e, e
	nul.FailureText = new("a\x00b")
	forged.TargetID = "another"
	whole := p.value(e)
	return [][]byte{
		p.value(nul),
		p.value(forged),
		p.value(at(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))),
		p.value(refused(e)),
		[]byte("garbage"),
		whole[:len(whole)-3],
		nil,
		slices.Replace(slices.Clone(whole), len(whole)-4, len(whole)-3, 0xff), // no UTF-8
	}
}

func TestEveryKindOfPoisonInTheMidstOfABatchIsADeadLetterAndNothingElseIs(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 1)
	refuse(t, p.pool)
	events := newEvents(400)
	type item struct {
		value  []byte
		poison bool
	}
	var log []item
	for _, e := range events {
		log = append(log, item{value: p.value(e)})
	}
	letters := 0
	for n := range 4 {
		for _, value := range p.poisons(n) {
			log = slices.Insert(log, random.IntN(len(log)), item{value, true})
			letters++
		}
	}
	var records []*kgo.Record
	want, got := make(map[string]string), make(map[string]string) // offset to value
	for offset, i := range log {
		records = append(records, &kgo.Record{Topic: p.topic, Value: i.value})
		if i.poison {
			want[strconv.Itoa(offset)] = string(i.value)
		}
	}
	p.produceRecords(records...)
	size := 1 + random.IntN(len(log))
	r := p.start(func(c *Config) { c.BatchRecords = size })
	r.await(len(log))
	for _, letter := range p.readDead(letters) {
		for _, h := range letter.Headers {
			if h.Key == HeaderOffset {
				got[string(h.Value)] = string(letter.Value)
			}
		}
	}
	r.finish()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead letters by offset (-want +got):\n%s", diff)
	}
	p.checkInvariants(events, letters)
}

func TestPoisonAmongDefinitionsHoldsUpNoOtherDefinition(t *testing.T) {
	p := newPipeline(t, 1)
	whole := event.TargetDefined{
		TargetID: "site", DefinitionVersion: "0123456789ab", DefinedAt: firstSlot, URL: "http://localhost/", IntervalMs: 60_000, TimeoutMs: 1000,
		DownAfter: 1, DownOf: 1, UpAfter: 1, UpOf: 1, FlapTransitions: 5, FlapWindowS: 3600, SilentAfter: 3, Definition: "{}",
	}
	nul, nameless, wild := whole, whole, whole
	nul.Definition = "{\x00}"
	nameless.TargetID = ""
	// Rules that no prober writes, and that are brought within their bounds.
	wild.TargetID, wild.IntervalMs, wild.DownOf, wild.UpAfter, wild.FlapWindowS, wild.SilentAfter = "wild", -1, 1<<31-1, -5, -1, 0
	p.defineTarget(nul)
	p.produceRecords(&kgo.Record{Topic: p.targets, Value: []byte("garbage")})
	p.defineTarget(nameless)
	p.produceRecords(&kgo.Record{Topic: p.targets, Key: []byte("removed")}) // no poison: a target that was removed
	p.defineTarget(whole)
	p.defineTarget(wild)
	events := append(recentEvents("site", up, down, up), recentEvents("wild", up, down, down)...)
	p.produce(1, events...)
	r := p.start(nil)
	r.await(len(events))
	p.await("SELECT count(*) FROM definitions", 2)
	for _, letter := range p.readDead(3) {
		if !slices.ContainsFunc(letter.Headers, func(h kgo.RecordHeader) bool { return h.Key == HeaderTopic && string(h.Value) == p.targets }) {
			t.Errorf("letter of %q without its topic", letter.Value)
		}
	}
	r.finish()
	p.checkInvariants(events, 3)
}
