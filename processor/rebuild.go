package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrRebuildUnfinished says that a rebuild was stopped before its end. The tables in use are as they were; the same call goes on.
var ErrRebuildUnfinished = errors.New("the rebuild is unfinished")

// RebuildConfig is what a Rebuilder needs.
type RebuildConfig struct {
	// Config says what to read, with what, and which tables are in use: those of the first schema in the pool's search path. OnBatch
	// is not called.
	Config
	// OnProgress is called after each committed batch, by the goroutine that writes the next one. May be nil.
	OnProgress func(RebuildProgress)
}

// RebuildStage is what a rebuild is doing.
type RebuildStage string

// The stages of a rebuild, in their order.
const (
	StageSeeding   RebuildStage = "seeding"   // taking over what the log no longer has
	StageFolding   RebuildStage = "folding"   // folding the log for the first time
	StageFollowing RebuildStage = "following" // folding what processors have folded meanwhile
	StageComparing RebuildStage = "comparing"
	StageSwapping  RebuildStage = "swapping"
	// StageRollingBack is that of tables which were in use before and are to be so again.
	StageRollingBack RebuildStage = "rolling back"
)

// RebuildProgress is how far a stage is.
type RebuildProgress struct {
	Stage RebuildStage
	// Done and Left are checks in StageSeeding, where nobody knows how many are left, which is then -1, and offsets in the stages
	// that read the log.
	Done, Left int64
}

// RebuildResult is what a rebuild came to.
type RebuildResult struct {
	// Compared are the tables in use beside the new ones, at one moment shortly before the swap. Empty after a rollback, which
	// compares nothing.
	Compared []TableComparison
	// Swapped says whether the new tables are in use now. They are not where there is a difference that was not accepted.
	Swapped bool
	// Kept is the schema that has the tables which were in use before.
	Kept string
}

// Differs says whether any two tables that were compared are not the same.
func (r RebuildResult) Differs() bool {
	for _, c := range r.Compared {
		if c.Differing() {
			return true
		}
	}
	return false
}

// Rebuilder makes all tables anew, in a schema beside the one in use, from the log and from what only the tables have; compares both;
// and puts the new ones in the place of the old ones in one transaction. Processors, probers and readers go on meanwhile:
// writers wait for the last step, for seconds at most, and readers for half of one.
//
// The new tables are folded silently and never further than the old ones are: what they folded first would not be told as
// news. Their own offsets move on in the transactions that write their rows, so a rebuild can be ended at any moment,
// kill -9 included, and goes on where it was. A database has one rebuild at a time, which an advisory lock holds.
type Rebuilder struct {
	cfg              RebuildConfig
	live, next, kept string        // schemas
	pool             *pgxpool.Pool // on the live schema
	nextPool         *pgxpool.Pool // on the next one
	conn             *pgxpool.Conn // holds the advisory lock; nil before
	shadow           *Processor    // writes the next schema
	outage           outage
}

// rebuildConnections are as many as a pool of a rebuild has.
const rebuildConnections = 4

// NewRebuilder checks cfg and that the role may do all that a rebuild needs. Close gives back what it holds.
func NewRebuilder(ctx context.Context, cfg RebuildConfig) (*Rebuilder, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configuring the rebuild: %w", err)
	}
	cfg.setDefaults()
	r := &Rebuilder{cfg: cfg, outage: outage{logger: cfg.Logger, doing: "rebuilding"}}
	owner, err := r.inspect(ctx)
	if err != nil {
		return nil, err
	}
	r.next, r.kept = r.live+"_rebuild", r.live+"_before_rebuild"
	if r.pool, err = r.poolOn(ctx, r.live, owner); err != nil {
		return nil, err
	}
	if r.nextPool, err = r.poolOn(ctx, r.next, owner); err != nil {
		r.Close()
		return nil, err
	}
	shadow := cfg.Config
	shadow.Pool, shadow.Metrics, shadow.OnBatch = r.nextPool, nil, nil
	if r.shadow, err = New(shadow); err != nil {
		r.Close()
		return nil, err
	}
	r.shadow.reader.replayed = true
	r.shadow.outage.doing = r.outage.doing
	return r, nil
}

// Close ends the rebuilder's connections, and with them its lock.
func (r *Rebuilder) Close() {
	if r.conn != nil {
		r.conn.Release()
	}
	r.pool.Close()
	if r.nextPool != nil {
		r.nextPool.Close()
	}
}

// poolOn gives a pool whose connections find the tables of one schema, and make what they make as the owner of the tables in use.
func (r *Rebuilder) poolOn(ctx context.Context, schema, owner string) (*pgxpool.Pool, error) {
	cfg := r.cfg.Pool.Config()
	cfg.MaxConns, cfg.MinConns = rebuildConnections, 0
	cfg.ConnConfig.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	before := cfg.AfterConnect
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		_, err := conn.Exec(ctx, "SET ROLE "+pgx.Identifier{owner}.Sanitize())
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to schema %q: %w", schema, err)
	}
	return pool, nil
}

// RebuildPlan is what a rebuild comes to, with the tables and the log as they are.
type RebuildPlan struct {
	Live, Next, Kept string       // schemas: in use, of the new tables, and for the old ones
	Stage            RebuildStage // of one that was stopped and that is gone on with; "" where none was
	// Bytes is the size of the tables in use with their indexes. As much comes beside them.
	Bytes int64
	// Log is what the log has of what is processed. From the live tables come the checks of slots before FromSlot, which may have
	// expired from the log or would be too old now, from FirstDay on; and what was folded of the time before that.
	Log                ReplayPlan
	FirstDay, FromSlot time.Time
}

// Plan says what Run would do. It changes nothing.
func (r *Rebuilder) Plan(ctx context.Context) (RebuildPlan, error) {
	plan := RebuildPlan{Live: r.live, Next: r.next, Kept: r.kept}
	var err error
	if plan.Stage, err = r.stage(ctx); err != nil {
		return plan, err
	}
	err = r.pool.QueryRow(ctx, `
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relnamespace = quote_ident($1)::regnamespace AND relkind IN ('r', 'p')`, r.live).Scan(&plan.Bytes)
	if err != nil {
		return plan, fmt.Errorf("measuring the tables: %w", err)
	}
	cfg := r.cfg.Config
	cfg.Pool, cfg.Metrics = r.pool, nil
	live, err := New(cfg)
	if err != nil {
		return plan, err
	}
	if plan.Log, err = live.plan(ctx, ReplayQuestion{From: AtStart(), To: AtEnd()}); err != nil {
		return plan, err
	}
	if plan.FirstDay, err = firstDayOf(ctx, r.pool, "checks"); err == nil {
		_, plan.FromSlot, err = r.oldestInLog(ctx)
	}
	return plan, err
}

// Run begins a rebuild, or goes on with one that was stopped, up to the swap. Where the tables differ it swaps only when that
// is accepted; a later call brings the new tables up to date and compares again. It waits out trouble of Kafka, the
// registry and PostgreSQL. The error is ErrRebuildUnfinished when ctx ends before.
func (r *Rebuilder) Run(ctx context.Context, accept bool) (RebuildResult, error) {
	result := RebuildResult{Kept: r.kept}
	stage, err := r.begin(ctx)
	if err == nil && stage == StageSeeding {
		err = r.persist(ctx, r.seed)
	}
	if err == nil && stage != StageFollowing {
		err = r.persist(ctx, r.foldFirst)
	}
	if err == nil {
		err = r.follow(ctx)
	}
	if err == nil {
		r.report(StageComparing, 0, -1)
		err = r.persist(ctx, func(ctx context.Context) (err error) {
			result.Compared, err = r.compare(ctx)
			return err
		})
	}
	if err == nil && (accept || !result.Differs()) {
		err = r.swap(ctx)
		result.Swapped = err == nil
	}
	return result, r.unfinished(ctx, err)
}

// Rollback puts the tables that the last rebuild replaced back into use, brought up to date first. Those in use until then are kept
// in their place, so that a second rollback undoes the first. It compares nothing. It goes on where an earlier call stopped.
func (r *Rebuilder) Rollback(ctx context.Context) (RebuildResult, error) {
	err := r.beginRollback(ctx)
	if err == nil {
		err = r.follow(ctx)
	}
	if err == nil {
		err = r.swap(ctx)
	}
	return RebuildResult{Kept: r.kept, Swapped: err == nil}, r.unfinished(ctx, err)
}

// unfinished is err, or what it means that ctx has ended.
func (r *Rebuilder) unfinished(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !isPermanent(err) {
		return ErrRebuildUnfinished
	}
	return err
}

// persist does what may fail until it works, ctx ends or only a person can help.
func (r *Rebuilder) persist(ctx context.Context, do func(context.Context) error) error {
	pauses := newPauses()
	for {
		err := do(ctx)
		switch {
		case err == nil:
			r.outage.end()
			return nil
		case isPermanent(err), ctx.Err() != nil:
			return err
		}
		r.outage.begin(err)
		if !pause(ctx, pauses.NextBackOff()) {
			return err
		}
	}
}

func (r *Rebuilder) report(stage RebuildStage, done, left int64) {
	if r.cfg.OnProgress != nil {
		r.cfg.OnProgress(RebuildProgress{Stage: stage, Done: done, Left: left})
	}
}

// lock takes the lock that only one rebuild of the live schema has, and gives the connection that holds it. One that has broken is
// replaced.
func (r *Rebuilder) lock(ctx context.Context) (*pgxpool.Conn, error) {
	if r.conn != nil {
		if err := r.conn.Ping(ctx); err == nil {
			return r.conn, nil
		}
		r.conn.Release()
		r.conn = nil
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting for the lock of a rebuild: %w", err)
	}
	var locked bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", "rebuild of "+r.live).Scan(&locked); err != nil {
		conn.Release()
		return nil, fmt.Errorf("locking against other rebuilds: %w", err)
	}
	if !locked {
		conn.Release()
		return nil, &PermanentError{
			Err:  fmt.Errorf("another process rebuilds the tables of schema %q", r.live),
			Next: "wait until it has ended, or stop it; what it has done stays",
		}
	}
	r.conn = conn
	return conn, nil
}

// bounded is ctx with the time that a single step may take.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, batchTimeout)
}

// eventIDAt is the smallest event id of a moment (RFC 9562, UUID version 7: 48 bits of milliseconds since 1970 come first).
func eventIDAt(at time.Time) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16, ms&0xffff)
}
