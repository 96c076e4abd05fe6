package processor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
)

func TestAnyReplaysOfAnythingGiveTheSameTables(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 3)
	begin := time.Now().Add(-time.Hour)
	for i, e := range randomRivals(random, 400) {
		value := p.value(e)
		if random.IntN(20) == 0 {
			value = value[:len(value)-1]
		}
		p.produceRecords(&kgo.Record{
			Topic: p.topic, Partition: random.Int32N(3), Key: []byte(e.TargetID), Value: value, Timestamp: begin.Add(time.Duration(i) * time.Second),
		})
	}
	p.process(400)
	want := p.everything()
	for range 15 {
		q := randomQuestion(random, begin)
		p.forget(fmt.Sprintf("hashtext(event_id::text) %% 3 = %d", random.IntN(3)))
		p.replayInPieces(random, q)
	}
	p.replayInPieces(random, everyRecord)
	if diff := cmp.Diff(want, p.everything()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func randomQuestion(random *rand.Rand, begin time.Time) ReplayQuestion {
	bounds := []Bound{AtStart(), AtEnd(), AtOffset(random.Int64N(200)), AtTime(begin.Add(time.Duration(random.IntN(400)) * time.Second))}
	q := ReplayQuestion{From: bounds[random.IntN(len(bounds))], To: bounds[random.IntN(len(bounds))]}
	if random.IntN(2) == 0 {
		q.Partitions = []int32{random.Int32N(3)}
	}
	if random.IntN(3) == 0 {
		q.Target = fmt.Sprintf("target-%d", random.IntN(66))
	}
	return q
}

// replayInPieces stops a replay after some batches and goes on with it, until it is finished.
func (p *pipeline) replayInPieces(random *rand.Rand, q ReplayQuestion) {
	p.t.Helper()
	ctx, stop := context.WithCancel(p.t.Context())
	defer stop()
	batches := random.IntN(4)
	some := func(c *ReplayConfig) {
		c.BatchRecords = 1 + random.IntN(60)
		c.OnProgress = func(ReplayProgress) {
			if batches--; batches < 0 {
				stop()
			}
		}
	}
	r := p.replayer(some)
	_, err := r.Run(ctx, p.plan(r, q))
	for errors.Is(err, ErrReplayUnfinished) {
		unfinished, found, findErr := FindUnfinishedReplay(p.t.Context(), p.pool, p.topic)
		if findErr != nil || !found {
			p.t.Fatalf("it is unfinished and not found: %v", findErr)
		}
		_, err = p.replayer(nil).Resume(p.t.Context(), unfinished)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestAReplayIntoAnotherSchemaLeavesTheLiveOneAsItIs(t *testing.T) {
	p := newPipeline(t, 2)
	p.produce(2, newEvents(200)...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.process(201)
	live, rows := p.everything(), dump(t, p.pool)
	if _, err := p.pool.Exec(t.Context(), "CREATE SCHEMA shadow"); err != nil {
		t.Fatal(err)
	}
	shadow := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.RuntimeParams["search_path"] = "shadow" })
	if _, err := Migrate(t.Context(), shadow); err != nil {
		t.Fatal(err)
	}
	got := p.replay(everyRecord, func(c *ReplayConfig) { c.Pool = shadow })
	if got.Inserted != 200 || got.Dead != 1 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(rows, dump(t, shadow)); diff != "" {
		t.Errorf("rows (-live +shadow):\n%s", diff)
	}
	if diff := cmp.Diff(live, p.everything()); diff != "" {
		t.Errorf("the live schema (-before +after):\n%s", diff)
	}
}
