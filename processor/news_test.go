package processor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// readTransitions reads the first n transitions of the topic.
func (p *pipeline) readTransitions(n int) []event.TargetTransitioned {
	p.t.Helper()
	client, err := kgo.NewClient(append(p.kafka.Opts(), kgo.ConsumeTopics(p.transitions))...)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	decoder := schemas.NewDecoderOf[event.TargetTransitioned](p.schemas(), schemas.TargetTransitioned(p.transitions))
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var all []event.TargetTransitioned
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			p.t.Fatalf("reading %s after %d of %d: %v", p.transitions, len(all), n, err)
		}
		for _, record := range fetches.Records() {
			var e event.TargetTransitioned
			if err := decoder.Decode(ctx, record.Value, &e); err != nil {
				p.t.Fatal(err)
			}
			if string(record.Key) != e.TargetID {
				p.t.Errorf("transition %s: key %q, want the target %q", e.EventID, record.Key, e.TargetID)
			}
			all = append(all, e)
		}
	}
	return all
}

// defineTarget writes a definition to the topic of targets.
func (p *pipeline) defineTarget(d event.TargetDefined) {
	p.t.Helper()
	schema := schemas.TargetDefined(p.targets)
	id, err := p.schemas().Register(p.t.Context(), schema)
	if err != nil {
		p.t.Fatal(err)
	}
	value, err := schemas.NewEncoderOf[event.TargetDefined](schema, id).AppendEncode(nil, &d)
	if err != nil {
		p.t.Fatal(err)
	}
	p.produceRecords(&kgo.Record{Topic: p.targets, Key: []byte(d.TargetID), Value: value})
}

// recentEvents gives a target's checks of the last minutes, a minute apart, with the given outcomes.
func recentEvents(target string, outcomes ...event.Outcome) []event.CheckCompleted {
	first := time.Now().UTC().Truncate(time.Minute).Add(-time.Duration(len(outcomes)) * time.Minute)
	var events []event.CheckCompleted
	for i, outcome := range outcomes {
		e := newEvent(target, 0)
		e.Slot = first.Add(time.Duration(i) * time.Minute)
		e.StartedAt, e.Outcome, e.EventID = e.Slot, outcome, schemas.EventID(target, e.Location, e.Slot)
		if outcome == event.OutcomeDown {
			failure, text := event.FailureStatus, "expected status 200-299, got 503"
			e.Failure, e.FailureText = &failure, &text
		}
		events = append(events, e)
	}
	return events
}

const up, down = event.OutcomeUp, event.OutcomeDown

func TestATargetThatGoesDownAndComesBackIsNewsTwice(t *testing.T) {
	p := newPipeline(t, 1)
	r := p.start(nil)
	events := recentEvents("site", up, down, down, up, up)
	for _, e := range events { // a batch each
		p.produceAt(e.Slot, e)
		r.await(r.sum.Records + 1)
	}
	got := p.readTransitions(3)
	r.finish()
	var told []string
	for _, e := range got {
		told = append(told, fmt.Sprintf("%s %s-%s %s", e.Kind, e.From, e.To, e.CauseEventID))
	}
	want := []string{"news unknown-up " + events[0].EventID, "news up-down " + events[2].EventID, "news down-up " + events[4].EventID}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	if e := got[1]; e.FailureText == nil || *e.FailureText != *events[2].FailureText || e.IncidentOpenedAt == nil || !e.IncidentOpenedAt.Equal(events[2].Slot) {
		t.Errorf("going down: got %+v, want the failure of its cause and the incident that it opens", e)
	}
	if incidents := query(t, p.pool, "SELECT opened_by || ' ' || closed_by FROM incidents"); !slices.Equal(incidents, []string{events[2].EventID + " " + events[4].EventID}) {
		t.Errorf("incidents: got %q", incidents)
	}
	p.checkInvariants(events, 0)
}

// produceAt writes events as records that came to the log at a moment.
func (p *pipeline) produceAt(at time.Time, events ...event.CheckCompleted) {
	p.t.Helper()
	var records []*kgo.Record
	for _, e := range events {
		records = append(records, &kgo.Record{Topic: p.topic, Key: []byte(e.TargetID), Value: p.value(e), Timestamp: at})
	}
	p.produceRecords(records...)
}

func TestADefinitionThatComesAfterItsChecksFoldsThemAgain(t *testing.T) {
	p := newPipeline(t, 1)
	r := p.start(nil)
	events := recentEvents("site", up, down, up, up)
	p.produceAt(time.Now(), events...)
	r.await(len(events))
	d := event.TargetDefined{
		TargetID: "site", DefinitionVersion: events[0].DefinitionVersion, DefinedAt: events[0].Slot, URL: "http://localhost/", IntervalMs: 60_000,
		TimeoutMs: 1000, DownAfter: 1, DownOf: 1, UpAfter: 2, UpOf: 2, FlapTransitions: 5, FlapWindowS: 3600, SilentAfter: 3, Definition: "{}",
	}
	p.defineTarget(d)
	p.await("SELECT count(*) FROM transitions WHERE to_state = 'down'", 1)
	p.defineTarget(d) // again: nothing changes
	r.finish()
	if got := query(t, p.pool, "SELECT from_state || '-' || to_state FROM transitions ORDER BY slot"); !slices.Equal(got, []string{"unknown-up", "up-down", "down-up"}) {
		t.Errorf("transitions: got %q", got)
	}
	p.checkInvariants(events, 0)
}

// await waits until a query that counts gives n.
func (p *pipeline) await(sql string, n int) {
	p.t.Helper()
	until(p.t, func() (bool, string) {
		var got int
		if err := p.pool.QueryRow(p.t.Context(), sql).Scan(&got); err != nil {
			p.t.Fatal(err)
		}
		return got == n, fmt.Sprintf("%s: still %d, want %d", sql, got, n)
	})
}

func TestLateDataAreNoNewsAndCorrectWhatWasTold(t *testing.T) {
	p := newPipeline(t, 1)
	r := p.start(nil)
	events := recentEvents("site", up, up, up, up, down, down)
	inTime := []event.CheckCompleted{events[0], events[1], events[4], events[5]}
	for _, e := range inTime {
		p.produceAt(e.Slot, e)
	}
	r.await(len(inTime))
	// Another location comes back from being cut off: it saw the site up all the time, and a majority of two is both.
	var late []event.CheckCompleted
	for _, e := range events {
		e.Location, e.Outcome, e.Failure, e.FailureText = "there", up, nil, nil
		e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
		late = append(late, e)
	}
	p.produceAt(time.Now().Add(time.Hour), late...)
	r.await(len(inTime) + len(late))
	got := p.readTransitions(3)
	r.finish()
	var told []string
	for _, e := range got {
		told = append(told, fmt.Sprintf("%s %s-%s", e.Kind, e.From, e.To))
	}
	if want := []string{"news unknown-up", "news up-down", "correction down-up"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	if left := query(t, p.pool, "SELECT number::text FROM outbox"); len(left) > 0 {
		t.Errorf("left in the outbox: %q", left)
	}
	p.checkInvariants(append(inTime, late...), 0)
}
