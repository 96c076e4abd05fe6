package processor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// dyingTracer lets no statement with text in it work after the first left ones, for limit times or, without one, for ever:
// as if the process had been killed there, or the database had gone away.
type dyingTracer struct {
	text  string
	limit int
	die   func() // is called each time; may be nil

	mu         sync.Mutex
	left, died int
}

func (d *dyingTracer) trace(ctx context.Context, sql string) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.Contains(sql, d.text) || d.limit > 0 && d.died == d.limit {
		return ctx
	}
	if d.left--; d.left >= 0 {
		return ctx
	}
	d.died++
	if d.die != nil {
		d.die()
	}
	dead, cancel := context.WithCancel(ctx)
	cancel()
	return dead
}

func (d *dyingTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return d.trace(ctx, data.SQL)
}

func (d *dyingTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (d *dyingTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return d.trace(ctx, "")
}

func (d *dyingTracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (d *dyingTracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (d *dyingTracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return d.trace(ctx, "")
}

func (d *dyingTracer) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

func TestAReplayKilledAtAnyStatementIsTakenUpToTheSameTables(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(30)
	p.produce(2, events...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.process(31)
	want := p.everything()
	for n := 0; ; n++ {
		p.forget("true")
		killed, err := p.killReplay(n)
		if !killed {
			if err != nil || n < 20 {
				t.Errorf("the first run that was not killed was number %d: %v", n, err)
			}
			break
		}
		p.takeUp()
		if diff := cmp.Diff(want, p.everything()); diff != "" {
			t.Fatalf("killed at statement %d (-want +got):\n%s", n, diff)
		}
	}
	if left := query(t, p.pool, "SELECT 'unfinished' FROM replays WHERE state <> 'finished'"); len(left) > 0 {
		t.Errorf("%d replays are not finished", len(left))
	}
}

// killReplay runs a replay of all whose connections die at the n-th statement.
func (p *pipeline) killReplay(n int) (killed bool, err error) {
	p.t.Helper()
	ctx, kill := context.WithCancel(p.t.Context())
	defer kill()
	dying := &dyingTracer{left: n, die: kill}
	pool := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = dying })
	defer pool.Close() // not only at the end of the test: there are as many as statements
	r := p.replayer(func(c *ReplayConfig) { c.Pool, c.BatchRecords = pool, 10 })
	plan, err := r.Plan(ctx, everyRecord)
	if err == nil {
		_, err = r.Run(ctx, plan)
	}
	return ctx.Err() != nil, err
}

// takeUp resumes what is unfinished, or replays all where nothing is.
func (p *pipeline) takeUp() {
	p.t.Helper()
	unfinished, found, err := FindUnfinishedReplay(p.t.Context(), p.pool, p.topic)
	if err != nil {
		p.t.Fatal(err)
	}
	if !found {
		p.replay(everyRecord, nil)
		return
	}
	got, err := p.replayer(nil).Resume(p.t.Context(), unfinished)
	if err != nil || got.Left != 0 || got.Total != 31 {
		p.t.Fatalf("resuming: %+v, %v", got, err)
	}
}

func TestAStoppedReplayFinishesItsBatchAndIsTakenUp(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(50)
	p.produce(1, events...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r := p.replayer(func(c *ReplayConfig) {
		c.BatchRecords = 10
		c.OnProgress = func(ReplayProgress) { stop() }
	})
	got, err := r.Run(ctx, p.plan(r, everyRecord))
	if !errors.Is(err, ErrReplayUnfinished) || got.Left == 0 || got.Left != 50-got.Inserted {
		t.Fatalf("stopped: %+v, %v", got, err)
	}
	var asked *UnfinishedReplayError
	if _, err := r.Run(t.Context(), p.plan(r, everyRecord)); !errors.As(err, &asked) || !strings.Contains(asked.Hint(), "--resume") {
		t.Fatalf("asking again: got %v, want an UnfinishedReplayError with a hint", err)
	}
	if diff := cmp.Diff(UnfinishedReplay{ID: asked.Replay.ID, From: "start", To: "end", Records: 50, Left: got.Left, CreatedAt: asked.Replay.CreatedAt}, asked.Replay); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	left := got.Left
	if got, err = p.replayer(nil).Resume(t.Context(), asked.Replay); err != nil || got.Inserted != left || got.Total != 50 {
		t.Errorf("resumed: %+v, %v", got, err)
	}
	p.checkIDs(events)
}

func TestWhoeverTakesAReplayUpOrAbandonsItEndsTheRunBefore(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(50)...)
	for name, act := range map[string]func(UnfinishedReplay) error{
		"abandoned": func(u UnfinishedReplay) error { return AbandonReplay(t.Context(), p.pool, u) },
		"taken up": func(u UnfinishedReplay) error {
			_, err := p.replayer(nil).Resume(t.Context(), u)
			return err
		},
	} {
		once := true
		r := p.replayer(func(c *ReplayConfig) {
			c.BatchRecords = 10
			c.OnProgress = func(ReplayProgress) {
				if !once {
					t.Errorf("%s: it went on", name)
				}
				once = false
				unfinished, found, err := FindUnfinishedReplay(t.Context(), p.pool, p.topic)
				if err != nil || !found || act(unfinished) != nil {
					t.Errorf("%s: found %v, %v", name, found, err)
				}
			}
		})
		_, err := r.Run(t.Context(), p.plan(r, everyRecord))
		if name == "abandoned" {
			var permanent *PermanentError
			if !errors.As(err, &permanent) || permanent.Hint() == "" {
				t.Errorf("abandoned: got %v, want a PermanentError with a hint", err)
			}
		}
	}
}

func TestAnOutageInAReplayIsWaitedOut(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(40)
	p.produce(1, events...)
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = &dyingTracer{text: "incoming_checks", limit: 2}
	})
	p.produce(1, events...) // repeated, so that it is merged
	got := p.replay(everyRecord, func(c *ReplayConfig) { c.Pool = pool })
	if got.Records != 80 {
		t.Errorf("got %+v", got)
	}
	p.checkSaidOnce("replaying")
	p.checkIDs(events)
}
