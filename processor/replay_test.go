package processor

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
)

// replayer gives a Replayer on the pipeline; change, which may be nil, adapts its configuration.
func (p *pipeline) replayer(change func(*ReplayConfig)) *Replayer {
	p.t.Helper()
	cfg := ReplayConfig{Config: Config{
		Topic: p.topic, DeadTopic: p.dead, Group: p.topic, Kafka: p.kafka.Opts(), Registry: p.schemas(), Pool: p.pool,
		Logger: slog.New(p.logs),
	}}
	if change != nil {
		change(&cfg)
	}
	r, err := NewReplayer(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// replay plans and runs, and wants all of the plan read.
func (p *pipeline) replay(q ReplayQuestion, change func(*ReplayConfig)) ReplayProgress {
	p.t.Helper()
	r := p.replayer(change)
	progress, err := r.Run(p.t.Context(), p.plan(r, q))
	if err != nil {
		p.t.Fatal(err)
	}
	if progress.Left != 0 || progress.Total != progress.Expired+int64(progress.Records+progress.Others+progress.TooOld) {
		p.t.Errorf("progress does not add up: %+v", progress)
	}
	return progress
}

func (p *pipeline) plan(r *Replayer, q ReplayQuestion) ReplayPlan {
	p.t.Helper()
	plan, err := r.Plan(p.t.Context(), q)
	if err != nil {
		p.t.Fatal(err)
	}
	return plan
}

// process runs a live processor until it has taken n records in all.
func (p *pipeline) process(n int) {
	p.t.Helper()
	r := p.start(nil)
	r.await(n)
	r.finish()
}

// everything is what a replay may not change by being run twice, and the group's offsets.
func (p *pipeline) everything() []string {
	p.t.Helper()
	return slices.Concat(dump(p.t, p.pool),
		query(p.t, p.pool, "SELECT dead_letters::text FROM dead_letters ORDER BY topic, partition, record_offset"),
		query(p.t, p.pool, "SELECT offsets::text FROM offsets ORDER BY partition"))
}

// forget removes rows, as if they had been lost.
func (p *pipeline) forget(where string) {
	p.t.Helper()
	if _, err := p.pool.Exec(p.t.Context(), "DELETE FROM checks WHERE "+where); err != nil {
		p.t.Fatal(err)
	}
}

var everyRecord = ReplayQuestion{From: AtStart(), To: AtEnd()}

func TestAReplayBringsBackWhatIsInTheLogAndLeavesTheGroupsOffsets(t *testing.T) {
	p := newPipeline(t, 3)
	p.produce(3, newEvents(600)...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.process(601)
	before := p.everything()
	p.forget("true")
	first := p.replay(everyRecord, func(c *ReplayConfig) { c.BatchRecords = 70 })
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		t.Errorf("after a replay (-before +after):\n%s", diff)
	}
	if first.Inserted+first.Merged != 600 || first.Dead != 1 || first.Total != 601 {
		t.Errorf("first: %+v", first)
	}
	again := p.replay(everyRecord, nil)
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		t.Errorf("after a second replay (-before +after):\n%s", diff)
	}
	if again.Inserted+again.Merged != 0 || again.Records != 601 {
		t.Errorf("again: %+v, want nothing written", again)
	}
	if ended := query(t, p.pool, "SELECT state FROM replays UNION ALL SELECT 'offset' FROM replay_offsets"); !slices.Equal(ended, []string{"finished", "finished"}) {
		t.Errorf("history: got %q", ended)
	}
}

func TestAReplayFillsTablesThatNoProcessorHasWritten(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(100)
	p.produce(2, events...)
	if got := p.replay(everyRecord, nil); got.Inserted != 100 {
		t.Errorf("got %+v", got)
	}
	p.process(100)
	p.checkInvariants(events, 0)
}

func TestAReplayReadsExactlyTheOffsetsOfItsPartitions(t *testing.T) {
	p := newPipeline(t, 3)
	events := newEvents(90)
	p.produce(3, events...)
	p.process(90)
	p.forget("true")
	got := p.replay(ReplayQuestion{From: AtOffset(10), To: AtOffset(13), Partitions: []int32{2, 0, 2}}, nil)
	if got.Total != 6 {
		t.Errorf("total: got %d, want 6", got.Total)
	}
	var want []event.CheckCompleted
	for offset := 10; offset < 13; offset++ {
		want = append(want, events[3*offset], events[3*offset+2])
	}
	p.checkIDs(want)
}

// checkIDs wants the rows of these events and no others.
func (p *pipeline) checkIDs(events []event.CheckCompleted) {
	p.t.Helper()
	var want []string
	for _, e := range events {
		want = append(want, e.EventID)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, query(p.t, p.pool, "SELECT event_id::text FROM checks ORDER BY event_id")); diff != "" {
		p.t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestAReplayReadsWhatWasWrittenBetweenTwoTimes(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(40)
	begin := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i, e := range events {
		p.produceRecords(&kgo.Record{
			Topic: p.topic, Partition: int32(i % 2), Key: []byte(e.TargetID), Value: p.value(e), Timestamp: begin.Add(time.Duration(i) * time.Minute),
		})
	}
	p.process(40)
	p.forget("true")
	p.replay(ReplayQuestion{From: AtTime(begin.Add(10 * time.Minute)), To: AtTime(begin.Add(20 * time.Minute))}, nil)
	p.checkIDs(events[10:20])
	p.replay(ReplayQuestion{From: AtTime(begin.Add(35*time.Minute + time.Second)), To: AtEnd()}, nil)
	p.checkIDs(append(events[10:20:20], events[36:]...))
	if plan := p.plan(p.replayer(nil), ReplayQuestion{From: AtTime(time.Now()), To: AtEnd()}); plan.Records() != 0 {
		t.Errorf("from now on: %+v", plan)
	}
}

func TestAReplayOfOneTargetReadsNoOther(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(70)
	p.produce(2, events...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Key: []byte("another"), Value: []byte("garbage")})
	p.process(71)
	p.forget("true")
	question := everyRecord
	question.Target = "target-3"
	got := p.replay(question, nil)
	var want []event.CheckCompleted
	for _, e := range events {
		if e.TargetID == "target-3" {
			want = append(want, e)
		}
	}
	p.checkIDs(want)
	if got.Others != 61 || got.Dead != 0 {
		t.Errorf("got %+v, want 61 records of others", got)
	}
}

func TestAPlanSaysWhatHasExpiredAndWritesNothing(t *testing.T) {
	p := newPipeline(t, 2)
	p.produce(2, newEvents(100)...)
	p.deleteUpTo(0, 37)
	r := p.replayer(nil)
	for _, c := range []struct {
		from, to Bound
		want     ReplayRange
	}{
		{AtStart(), AtEnd(), ReplayRange{From: 37, To: 50, Expired: 37}},
		{AtOffset(10), AtOffset(45), ReplayRange{From: 37, To: 45, Expired: 27}},
		{AtOffset(10), AtOffset(20), ReplayRange{From: 37, To: 37, Expired: 10}},
		{AtOffset(40), AtOffset(1000), ReplayRange{From: 40, To: 50, Short: true}},
		{AtOffset(1000), AtEnd(), ReplayRange{From: 50, To: 50, Short: true}},
		{AtTime(time.Now().Add(-time.Hour)), AtEnd(), ReplayRange{From: 37, To: 50, Expired: 37, AtMost: true}},
		{AtTime(time.Now().Add(time.Hour)), AtEnd(), ReplayRange{From: 50, To: 50}},
	} {
		c.want.LogStart, c.want.LogEnd, c.want.Processed = 37, 50, -1
		plan := p.plan(r, ReplayQuestion{From: c.from, To: c.to})
		if diff := cmp.Diff(c.want, plan.Partitions[0]); diff != "" || len(plan.Partitions) != 2 {
			t.Errorf("from %v to %v (-want +got):\n%s", c.from, c.to, diff)
		}
	}
	if rows := query(t, p.pool, "SELECT 'x' FROM offsets UNION ALL SELECT 'x' FROM replays"); len(rows) > 0 {
		t.Errorf("%d rows were written", len(rows))
	}
	if _, err := r.Plan(t.Context(), ReplayQuestion{Partitions: []int32{2}}); !errors.Is(err, ErrNoPartition) {
		t.Errorf("a partition that is not there: got %v", err)
	}
	if got := p.replay(everyRecord, nil); got.Inserted != 63 {
		t.Errorf("got %+v, want the 63 rows that are left", got)
	}
}

func (p *pipeline) deleteUpTo(partition int32, offset int64) {
	p.t.Helper()
	var upTo kadm.Offsets
	upTo.Add(kadm.Offset{Topic: p.topic, Partition: partition, At: offset, LeaderEpoch: -1})
	if _, err := kadm.NewClient(p.client).DeleteRecords(p.t.Context(), upTo); err != nil {
		p.t.Fatal(err)
	}
}

func TestRecordsThatExpireWhileTheyAreReplayedAreSaidWithTheirNumber(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(50)
	p.produce(1, events...)
	r := p.replayer(nil)
	plan := p.plan(r, everyRecord)
	p.deleteUpTo(0, 20)
	got, err := r.Run(t.Context(), plan)
	if err != nil || got.Expired != 20 || got.Inserted != 30 {
		t.Errorf("got %+v, %v; want 20 expired and 30 rows", got, err)
	}
	if said := p.logs.with("ERROR", "expired", p.topic+"/0@0", "records_lost=20"); len(said) != 1 {
		t.Errorf("said %q", p.logs.with())
	}
	p.checkIDs(events[20:])
}

func TestAReplayStopsWhereTheGroupStands(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(60)
	p.produce(1, events[:40]...)
	p.process(40)
	p.forget("true")
	p.produce(1, events[40:]...)
	got := p.replay(everyRecord, nil)
	if got.Total != 40 {
		t.Errorf("got %+v, want the 40 records that were processed", got)
	}
	p.checkIDs(events[:40])
	live := p.start(nil)
	live.await(20)
	live.finish()
	p.checkInvariants(events, 0)
}

func TestWhatHasGrownTooOldIsLeftOutAndMakesNoDeadLetter(t *testing.T) {
	p := newPipeline(t, 1)
	now := time.Now().UTC().Truncate(time.Millisecond)
	events := []event.CheckCompleted{at(now.Add(-40 * day)), at(now.Add(-10 * day)), at(now)}
	p.produce(1, events...)
	p.produce(1, at(now.Add(-DefaultRetention-day)))
	p.process(4)
	before := p.everything()
	shorter := func(c *ReplayConfig) { c.Retention = 30 * day }
	if got := p.replay(everyRecord, shorter); got.TooOld != 2 || got.Dead != 0 || got.Records != 2 {
		t.Errorf("got %+v, want two left out", got)
	}
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestDeadLettersMetAgainAreNotPublishedAgain(t *testing.T) {
	p := newPipeline(t, 1)
	p.produceRecords(&kgo.Record{Topic: p.topic, Key: []byte("a"), Value: []byte("one")}, &kgo.Record{Topic: p.topic, Value: []byte("two")})
	live := p.start(nil)
	live.await(2)
	p.readDead(2)
	live.finish()
	if got := p.replay(everyRecord, nil); got.Dead != 2 {
		t.Errorf("got %+v", got)
	}
	published := query(t, p.pool, "SELECT published::text FROM dead_letters")
	if !slices.Equal(published, []string{"true", "true"}) {
		t.Errorf("published: got %q", published)
	}
}

func TestAReplayEndsBehindTheMarkOfATransaction(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(4)
	p.produce(1, events[0])
	client, err := kgo.NewClient(append(p.kafka.Opts(), kgo.TransactionalID(p.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, ending := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: p.topic, Value: p.value(events[i+1])}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), ending); err != nil {
			t.Fatal(err)
		}
	}
	r := p.replayer(nil)
	got, err := r.Run(t.Context(), p.plan(r, everyRecord))
	if err != nil || got.Left != 0 || got.Records != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	p.checkIDs(events[:2])
}

func TestAReplayBesideALiveProcessorGivesTheSameTables(t *testing.T) {
	p := newPipeline(t, 3)
	events := newEvents(3000)
	p.produce(3, events[:1500]...)
	live := p.start(func(c *Config) { c.BatchRecords = 50 })
	live.await(1500)
	p.forget("target_id = 'target-2'")
	replayed := make(chan error, 1)
	r := p.replayer(func(c *ReplayConfig) { c.BatchRecords = 40 })
	plan := p.plan(r, everyRecord)
	go func() {
		_, err := r.Run(t.Context(), plan)
		replayed <- err
	}()
	for n := 1500; n < 3000; n += 100 {
		p.produce(3, events[n:n+100]...)
	}
	if err := <-replayed; err != nil {
		t.Error(err)
	}
	live.await(3000)
	live.finish()
	p.checkInvariants(events, 0)
}
