package processor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// verify verifies the pipeline; change, which may be nil, adapts the configuration.
func (p *pipeline) verify(change func(*VerifyConfig)) Report {
	p.t.Helper()
	cfg := VerifyConfig{
		Config: Config{
			Topic: p.topic, DeadTopic: p.dead, TargetsTopic: p.targets, TransitionsTopic: p.transitions, Kafka: p.kafka.Opts(),
			Registry: p.schemas(), Pool: p.pool,
		},
		Patience: time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	report, err := Verify(p.t.Context(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return report
}

// counts gives what is found, by class.
func counts(r Report) map[string]int64 {
	found := make(map[string]int64)
	for _, f := range r.Unaccounted() {
		found[f.Class] = f.Count
	}
	return found
}

// minutes gives events of two targets for n minutes from the first slot on, of which some are down.
func minutes(n int) []event.CheckCompleted {
	var events []event.CheckCompleted
	for i := range n {
		for _, target := range []string{"a", "b"} {
			e := newEvent(target, i)
			if target == "a" && i%40 >= 30 {
				e.Outcome = event.OutcomeDown
			}
			events = append(events, e)
		}
	}
	return events
}

// processed is a pipeline of two partitions whose processor has stored events and stopped.
func processed(t *testing.T, events []event.CheckCompleted) *pipeline {
	t.Helper()
	p := newPipeline(t, 2)
	p.produce(2, events...)
	p.settle(len(events))
	return p
}

// settle runs a processor for n records, and until what it announces is published.
func (p *pipeline) settle(n int) {
	p.t.Helper()
	r := p.start(nil)
	r.await(n)
	deadline := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		left := query(p.t, p.pool, `SELECT ((SELECT count(*) FROM outbox) + (SELECT count(*) FROM dead_letters WHERE NOT published)
			+ (SELECT abs(2 - count(*)) FROM offsets))::text`)
		if left[0] == "0" {
			tick.Stop()
			break
		}
		select {
		case <-deadline:
			p.t.Fatal("not everything is published")
		case <-tick.C:
		}
	}
	r.finish()
}

func (p *pipeline) damage(sql string, args ...any) {
	p.t.Helper()
	tag, err := p.pool.Exec(p.t.Context(), sql, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	if tag.RowsAffected() == 0 {
		p.t.Fatalf("%s: nothing was damaged", sql)
	}
}

func TestACleanPipelineIsAccountedFor(t *testing.T) {
	events := minutes(100)
	p := processed(t, events)
	report := p.verify(nil)
	if diff := cmp.Diff(map[string]int64{}, counts(report)); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%v", diff, report.Unaccounted())
	}
	got := []int64{report.Records, report.Events, report.Rows, report.Repeated, report.Rivals, report.Old, report.Expired}
	if diff := cmp.Diff([]int64{200, 200, 200, 0, 0, 0, 0}, got); diff != "" {
		t.Errorf("records, events, rows, repeated, rivals, old, expired (-want +got):\n%s", diff)
	}
	if len(report.Partitions) != 2 || report.Partitions[0].End != 100 || report.Partitions[0].Next != 100 {
		t.Errorf("partitions: got %+v", report.Partitions)
	}
}

func TestEachDamageToTheTablesIsFoundByItsName(t *testing.T) {
	orphan := newEvent("b", 1000)
	id := func(target string, n int) string { return "'" + newEvent(target, n).EventID + "'" }
	for _, damage := range []struct {
		name, sql string
		want      map[string]int64
		example   string // part of one of the first class
	}{
		{"a row is gone", "DELETE FROM checks WHERE event_id = " + id("b", 7),
			map[string]int64{ClassMissing: 1, ClassStrips: 1, ClassRollups: 1}, newEvent("b", 7).EventID},
		{"the last row is gone", "DELETE FROM checks WHERE event_id = " + id("b", 99),
			map[string]int64{ClassMissing: 1, ClassStrips: 1, ClassRollups: 1, ClassStates: 1}, newEvent("b", 99).EventID},
		{"a field that no fold looks at", "UPDATE checks SET status_code = NULL WHERE event_id = " + id("a", 3),
			map[string]int64{ClassDifferent: 1}, newEvent("a", 3).EventID},
		{"a field that folds look at", "UPDATE checks SET outcome = 'down' WHERE event_id = " + id("a", 3),
			map[string]int64{ClassDifferent: 1, ClassStrips: 1, ClassRollups: 1}, "a at here"},
		{"a row that nobody wrote", fmt.Sprintf(`INSERT INTO checks (event_id, target_id, location, slot, started_at, outcome, attempts, definition_version, prober)
			VALUES ('%s', 'b', 'here', '%s', now(), 'up', 1, 'v', 'p')`, orphan.EventID, orphan.Slot.Format(time.RFC3339)),
			map[string]int64{ClassOrphans: 1, ClassStrips: 1, ClassRollups: 1, ClassStates: 1}, orphan.EventID},
		{"a strip is gone", "DELETE FROM strips WHERE target_id = 'a' AND starts_at = (SELECT min(starts_at) FROM strips)",
			map[string]int64{ClassStrips: 1}, "0 checks, and there are 10"},
		{"a strip is another", "UPDATE strips SET checks[2] = checks[2] | (1::bigint << 32) WHERE target_id = 'b' AND starts_at = (SELECT max(starts_at) FROM strips)",
			map[string]int64{ClassStrips: 1}, "10 checks, as many as there are, and not the same"},
		{"an hour is another", "UPDATE rollups SET up = up + 1 WHERE target_id = 'a' AND span = 'hour' AND starts_at = (SELECT min(starts_at) FROM rollups)",
			map[string]int64{ClassRollups: 2}, "hour of " + firstSlot.Format(time.RFC3339)},
		{"a histogram is another", "UPDATE rollups SET latency = '{}' WHERE target_id = 'a' AND span = 'hour' AND starts_at = (SELECT min(starts_at) FROM rollups)",
			map[string]int64{ClassRollups: 1}, "hour of"},
		{"a day is gone", "DELETE FROM rollups WHERE target_id = 'b' AND span = 'day'",
			map[string]int64{ClassRollups: 1}, "b at here, day of"},
		{"gaps", "UPDATE rollups SET gaps = gaps + 3 WHERE target_id = 'b' AND starts_at = (SELECT min(starts_at) FROM rollups)",
			map[string]int64{ClassGaps: 3}, "b at here: 3 slots"},
		{"a location's state is gone", "DELETE FROM location_states WHERE target_id = 'b'",
			map[string]int64{ClassStates: 1}, "b at here"},
		{"a target's state is another", "UPDATE target_states SET state = 'down' WHERE target_id = 'b'",
			map[string]int64{ClassStates: 1}, "b is down, and its last transition leads to up"},
		{"a transition is gone", "DELETE FROM transitions WHERE target_id = 'a' AND slot = (SELECT min(slot) FROM transitions WHERE from_state <> 'unknown')",
			map[string]int64{ClassTransitions: 1}, "comes from down"},
		{"an offset of a partition that is not there", "INSERT INTO offsets SELECT topic, 7, 42 FROM offsets LIMIT 1",
			map[string]int64{ClassOffsets: 1}, "/7: the topic has no such partition"},
		{"an offset is gone", "DELETE FROM offsets WHERE partition = 1",
			map[string]int64{ClassOffsets: 1, ClassLag: 100}, "/1: no offset is stored"},
		{"an offset went back", "UPDATE offsets SET next_offset = 90 WHERE partition = 1",
			map[string]int64{ClassLag: 10}, "/1: 10 from 90 on"},
		{"an offset behind the log's end", "UPDATE offsets SET next_offset = 1000 WHERE partition = 1",
			map[string]int64{ClassOffsets: 1}, "@1000 is stored, and the log ends at 100"},
		{"a transition that is not published", `INSERT INTO outbox (event_id, target_id, definition_version, slot, "from", "to", cause_event_id,
			cause_location, flapping, locations_down, locations_reporting, kind) SELECT event_id, target_id, definition_version, slot, from_state,
			to_state, event_id, location, flapping, 1, 1, 'changed' FROM transitions LIMIT 1`,
			map[string]int64{ClassUnpublished: 1}, "1 transitions wait for"},
		{"dead letters of another record", `INSERT INTO dead_letters SELECT topic, 0, g, 0, NULL, NULL, '', 'event 12 is bad', g < 6, CASE WHEN g = 7 THEN 'large' END
			FROM offsets, generate_series(5, 7) AS g WHERE partition = 0`,
			map[string]int64{ClassDead: 3, ClassUnpublished: 2}, "3: event * is bad"},
		{"a silent target", `INSERT INTO definitions SELECT now(), 60000, 1000, 1, 1, 1, 1, 1, 5, 3600, 3, 'b', 'v', 'http://localhost/', '{}'`,
			map[string]int64{ClassSilent: 1}, "b: no slot since " + newEvent("b", 99).Slot.Format(time.RFC3339)},
	} {
		t.Run(damage.name, func(t *testing.T) {
			p := processed(t, minutes(100))
			p.damage(damage.sql)
			report := p.verify(nil)
			if diff := cmp.Diff(damage.want, counts(report)); diff != "" {
				t.Fatalf("findings (-want +got):\n%s\n%v", diff, report.Unaccounted())
			}
			if !slices.ContainsFunc(report.Unaccounted(), func(f Finding) bool { return strings.Contains(strings.Join(f.Examples, "\n"), damage.example) }) {
				t.Errorf("no example has %q: %v", damage.example, report.Unaccounted())
			}
		})
	}
}

func TestDamageToTheLogIsFoundByItsName(t *testing.T) {
	events := minutes(50)
	p := processed(t, events)

	// Records that were stepped over, good and bad ones.
	late := minutes(53)[100:]
	p.produce(1, late[:5]...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.damage("UPDATE offsets SET next_offset = next_offset + 6 WHERE partition = 0")
	want := map[string]int64{ClassMissing: 5, ClassUnkept: 1}
	if diff := cmp.Diff(want, counts(p.verify(nil))); diff != "" {
		t.Errorf("after skipped offsets (-want +got):\n%s", diff)
	}

	// What a processor makes of them when they are read again is a dead letter, and the rest is right.
	p.damage("UPDATE offsets SET next_offset = next_offset - 6 WHERE partition = 0")
	p.settle(6)
	if diff := cmp.Diff(map[string]int64{ClassDead: 1}, counts(p.verify(nil))); diff != "" {
		t.Errorf("once they are processed (-want +got):\n%s", diff)
	}
	if report := p.verify(nil); len(report.Unaccounted(ClassDead)) > 0 {
		t.Errorf("with dead letters allowed: got %v", report.Unaccounted(ClassDead))
	}
}

func TestDoublesAreCountedAndTheTableKeepsTheRightOne(t *testing.T) {
	events := minutes(50)
	p := newPipeline(t, 2)
	rivals := slices.Clone(events[:6])
	for i := range rivals {
		rivals[i].Prober = "rival"
		switch i % 3 {
		case 0: // measured a moment later: it is not kept
			rivals[i].StartedAt = rivals[i].StartedAt.Add(time.Millisecond)
		case 1: // earlier: it is kept
			rivals[i].StartedAt = rivals[i].StartedAt.Add(-time.Millisecond)
		case 2: // earlier, and missed
			rivals[i].Outcome, rivals[i].StartedAt = event.OutcomeMissed, rivals[i].StartedAt.Add(-time.Millisecond)
		}
	}
	all := slices.Concat(events, events[90:], rivals, rivals[:2])
	p.produce(2, all...)
	p.settle(len(all))
	report := p.verify(nil)
	if diff := cmp.Diff(map[string]int64{}, counts(report)); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	if report.Events != 100 || report.Repeated != 12 || report.Rivals != 6 {
		t.Errorf("events, repeated, rivals: got %d, %d, %d, want 100, 12, 6", report.Events, report.Repeated, report.Rivals)
	}
	p.damage("UPDATE checks SET prober = 'rival', started_at = started_at + interval '1 ms' WHERE event_id = $1", events[0].EventID)
	if diff := cmp.Diff(map[string]int64{ClassDifferent: 1}, counts(p.verify(nil))); diff != "" {
		t.Errorf("with the wrong one kept (-want +got):\n%s", diff)
	}
}

func TestWhatTheLogNoLongerHasIsNoOrphan(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Minute)
	var events []event.CheckCompleted
	var records []*kgo.Record
	p := newPipeline(t, 2)
	for i := range 200 {
		slot := now.Add(time.Duration(i-600) * time.Minute)
		e := at(slot)
		events = append(events, e)
		records = append(records, &kgo.Record{Topic: p.topic, Partition: int32(i % 2), Timestamp: slot, Value: p.value(e)})
	}
	p.produceRecords(records...)
	p.settle(len(events))
	upTo := make(kadm.Offsets)
	upTo.AddOffset(p.topic, 0, 50, -1)
	upTo.AddOffset(p.topic, 1, 50, -1)
	if _, err := kadm.NewClient(p.client).DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	report := p.verify(nil)
	if diff := cmp.Diff(map[string]int64{}, counts(report)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if report.Expired != 100 || report.Events != 100 {
		t.Errorf("expired, events: got %d, %d, want 100, 100", report.Expired, report.Events)
	}
	from := func(cfg *VerifyConfig) { cfg.From = events[150].Slot }
	report = p.verify(from)
	if len(report.Unaccounted()) > 0 || report.Events != 50 || report.Expired != 150 {
		t.Errorf("from a moment on: got %d events, %d expired, %v", report.Events, report.Expired, report.Unaccounted())
	}
	p.damage("DELETE FROM checks WHERE event_id = $1", events[170].EventID)
	if got := counts(p.verify(from)); got[ClassMissing] != 1 {
		t.Errorf("a row after that moment is gone: got %v", got)
	}
	// An offset before the log's start: what expired was never processed.
	p.damage("UPDATE offsets SET next_offset = 10")
	if got := counts(p.verify(nil)); got[ClassOffsets] != 2 {
		t.Errorf("expired before they were processed: got %v", got)
	}
}

func TestAProcessorThatRunsRaisesNoFalseAlarm(t *testing.T) {
	p := newPipeline(t, 2)
	r := p.start(func(c *Config) { c.BatchRecords = 50 })
	ctx, stop := context.WithCancel(t.Context())
	produced := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil && n < 20_000; n += 20 {
			var records []*kgo.Record
			for i := range 20 {
				e := newEvent(fmt.Sprintf("target-%d", i), n/20)
				e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
				records = append(records, &kgo.Record{Topic: p.topic, Partition: int32(i % 2), Key: []byte(e.TargetID), Value: p.value(e)})
			}
			if p.client.ProduceSync(t.Context(), records...).FirstErr() != nil {
				break
			}
		}
		produced <- n
	}()
	r.await(100)
	for range 5 {
		report := p.verify(func(cfg *VerifyConfig) { cfg.Patience = patience })
		if len(report.Unaccounted()) > 0 {
			t.Errorf("after %d records: got %v", report.Records, report.Unaccounted())
		}
		r.await(r.sum.Records + 100)
	}
	stop()
	r.await(<-produced)
	r.finish()
	if report := p.verify(nil); len(report.Unaccounted(ClassUnpublished)) > 0 {
		t.Errorf("in the end: got %v", report.Unaccounted())
	}
}

func TestMoreEventsOfAnHourThanAChunkComeBackFromTheDisk(t *testing.T) {
	s, err := newSpill()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	want := make(map[sighting]bool)
	for i := range 1000 {
		e := newEvent(fmt.Sprintf("target-%d", i%300), i/300)
		id, _ := parseUUID(e.EventID)
		seen := sighting{id: id, content: uint64(i), startedUs: int64(i), offset: int64(i) << 33, partition: int32(i % 5), missed: i%2 == 0, waiting: i%3 == 0}
		want[seen] = true
		if err := s.add(&seen); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[sighting]bool)
	for _, hour := range s.hours() {
		all, err := s.load(hour)
		if err != nil {
			t.Fatal(err)
		}
		for i, seen := range all {
			got[seen] = true
			if i > 0 && slices.Compare(all[i-1].id[:], seen.id[:]) > 0 {
				t.Error("not in the order of ids")
			}
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sighting{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
