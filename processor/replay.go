package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
)

// ErrReplayUnfinished says that a replay was stopped before its end. What it has written stays; it can be taken up again.
var ErrReplayUnfinished = errors.New("the replay is unfinished")

// ReplayConfig is what a Replayer needs.
type ReplayConfig struct {
	// Config says what to read, with what, and into which database: the pool's search path decides on the schema. Group is
	// whose offsets Reposition moves and nothing else; OnBatch is not called.
	Config
	// OnProgress is called after each committed batch, by the goroutine that writes the next one. May be nil.
	OnProgress func(ReplayProgress)
}

// ReplayProgress is how far a replay is, and what this run of it has done.
type ReplayProgress struct {
	// Total is the number of offsets that the replay goes over, Left what is left of them; runs before this one count.
	Total, Left int64
	// Tally counts the batches of this run.
	Tally
	// TooOld counts records that were left out because their slot has left the retention. They are no dead letters: they
	// were rows in their time.
	TooOld int
	// Others counts records of other targets than the one that was asked for.
	Others int
	// Expired counts records that the log lost before this run came to them.
	Expired int64
}

// Replayer reads what the log still has once more and writes it as the first time: by the same reader and the same store,
// without a consumer group. The stored offsets of the group stay as they are. It may run beside live processors.
//
// A replay is stored: how far it is moves on in the transaction that writes the rows, by compare-and-set, so it can be
// ended at any moment, kill -9 included, and be taken up again. A topic has one unfinished replay at most.
type Replayer struct {
	processor  *Processor
	onProgress func(ReplayProgress)
}

// NewReplayer checks cfg and gives a Replayer; the error names every fault.
func NewReplayer(cfg ReplayConfig) (*Replayer, error) {
	p, err := New(cfg.Config)
	if err != nil {
		return nil, err
	}
	p.reader.replayed = true
	p.outage.doing = "replaying"
	return &Replayer{processor: p, onProgress: cfg.OnProgress}, nil
}

// Plan says what the question comes to. It writes nothing. The error satisfies errors.Is with ErrNoPartition where the
// topic does not have one.
func (r *Replayer) Plan(ctx context.Context, q ReplayQuestion) (ReplayPlan, error) {
	if err := checkMigrated(ctx, r.processor.cfg.Pool); err != nil {
		return ReplayPlan{}, err
	}
	return r.processor.plan(ctx, q)
}

// Run stores the plan as a replay and carries it out. It waits out trouble of Kafka, the registry and PostgreSQL. When ctx
// ends it finishes the batch in hand; the error is ErrReplayUnfinished then, and an *UnfinishedReplayError when there is
// one to be taken up or abandoned first.
func (r *Replayer) Run(ctx context.Context, plan ReplayPlan) (ReplayProgress, error) {
	s, err := r.begin(ctx, plan)
	if err != nil {
		return ReplayProgress{}, fmt.Errorf("beginning a replay: %w", err)
	}
	return r.run(ctx, s, plan.Question.Target, ReplayProgress{Total: plan.Records(), Left: plan.Records()})
}

// Resume goes on with an unfinished replay. Whoever ran it before can't write any more.
func (r *Replayer) Resume(ctx context.Context, unfinished UnfinishedReplay) (ReplayProgress, error) {
	p := r.processor
	run, err := p.queries.TakeUpReplay(ctx, p.cfg.Pool, unfinished.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return ReplayProgress{}, replayEnded(unfinished.ID)
	}
	if err != nil {
		return ReplayProgress{}, fmt.Errorf("taking up replay %d: %w", unfinished.ID, err)
	}
	progress := ReplayProgress{Total: unfinished.Records, Left: unfinished.Left}
	return r.run(ctx, &replayBookmark{Processor: p, id: unfinished.ID, run: run}, unfinished.Target, progress)
}

func (r *Replayer) run(ctx context.Context, at bookmark, target string, begun ReplayProgress) (ReplayProgress, error) {
	again := &rereading{Processor: r.processor, at: at, target: target, report: r.onProgress, progress: begun, giveUp: `"webcheck replay --abandon" gives the replay up`}
	err := again.run(ctx)
	return again.progress, err
}

// begin stores the plan. Everything in it that has nothing to read is left out.
func (r *Replayer) begin(ctx context.Context, plan ReplayPlan) (*replayBookmark, error) {
	p, q := r.processor, plan.Question
	arg := db.InsertReplayParams{
		Topic: plan.Topic, FromBound: q.From.String(), ToBound: q.To.String(), Partitions: q.Partitions, Records: plan.Records(),
	}
	if q.Target != "" {
		arg.Target = &q.Target
	}
	var begun db.InsertReplayRow
	err := pgx.BeginFunc(ctx, p.cfg.Pool, func(tx pgx.Tx) (err error) {
		if begun, err = p.queries.InsertReplay(ctx, tx, arg); err != nil {
			return err
		}
		for _, span := range plan.Partitions {
			if span.From == span.To {
				continue
			}
			if err := p.queries.InsertReplayOffset(ctx, tx, db.InsertReplayOffsetParams{
				Replay: begun.ID, Topic: plan.Topic, Partition: span.Partition, NextOffset: span.From, EndOffset: span.To,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return &replayBookmark{Processor: p, id: begun.ID, run: begun.Run}, err
	}
	unfinished, found, err := FindUnfinishedReplay(ctx, p.cfg.Pool, plan.Topic)
	if err == nil && found {
		err = &UnfinishedReplayError{Replay: unfinished}
	}
	if err == nil {
		err = errors.New("another one has just ended; ask again")
	}
	return nil, err
}

// UnfinishedReplay is a replay that can be taken up again.
type UnfinishedReplay struct {
	ID            int64
	From, To      string  // what was asked, as Bound's String gives it
	Partitions    []int32 // nil: all
	Target        string  // "": all
	Records, Left int64   // offsets that it goes over, and what is left of them
	CreatedAt     time.Time
}

// FindUnfinishedReplay gives the topic's unfinished replay, if there is one.
func FindUnfinishedReplay(ctx context.Context, pool *pgxpool.Pool, topic string) (u UnfinishedReplay, found bool, err error) {
	if err := checkMigrated(ctx, pool); err != nil {
		return u, false, err
	}
	row, err := db.New().UnfinishedReplay(ctx, pool, topic)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, false, nil
	}
	if err != nil {
		return u, false, fmt.Errorf("looking for an unfinished replay: %w", err)
	}
	u = UnfinishedReplay{
		ID: row.ID, From: row.FromBound, To: row.ToBound, Partitions: row.Partitions, Records: row.Records, Left: row.RecordsLeft,
		CreatedAt: row.CreatedAt,
	}
	if row.Target != nil {
		u.Target = *row.Target
	}
	return u, true, nil
}

// AbandonReplay ends an unfinished replay where it is. What it has written stays; whoever runs it stops.
func AbandonReplay(ctx context.Context, pool *pgxpool.Pool, unfinished UnfinishedReplay) error {
	return endReplay(ctx, pool, unfinished.ID, "abandoned")
}

// UnfinishedReplayError says that a replay was not begun because another one is unfinished.
type UnfinishedReplayError struct {
	Replay UnfinishedReplay
}

// Error names the replay.
func (e *UnfinishedReplayError) Error() string {
	r := e.Replay
	return fmt.Sprintf("replay %d of %s, from %s to %s, is unfinished: %d of %d records are left",
		r.ID, r.CreatedAt.UTC().Format(time.RFC3339), r.From, r.To, r.Left, r.Records)
}

// Hint says what to do.
func (e *UnfinishedReplayError) Hint() string {
	return `"webcheck replay --resume" goes on with it, "webcheck replay --abandon" gives it up; what it has written stays`
}
