package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/schemas"
)

// Defaults of VerifyConfig, each with its reason.
const (
	// DefaultVerifyExamples is how many examples of a finding fit on a screen beside the others.
	DefaultVerifyExamples = 5
	// DefaultVerifyPatience is longer than a processor that runs needs for a batch and for what it publishes.
	DefaultVerifyPatience = 10 * time.Second
)

// VerifyConfig is what Verify needs. Of Config it takes the topics, the retention, the brokers, the registry and the pool.
type VerifyConfig struct {
	Config
	// From is the moment, by the records' timestamps, from which the log is read. Zero: from its start.
	From time.Time
	// Examples is the most examples of each finding. Zero: DefaultVerifyExamples; negative: all of them, which takes memory.
	Examples int
	// Patience is how long what is on its way, such as records that wait for a processor, may take to arrive. Zero:
	// DefaultVerifyPatience.
	Patience time.Duration
	// OnProgress is called now and then. May be nil.
	OnProgress func(VerifyProgress)
}

// VerifyProgress says how far a verification is.
type VerifyProgress struct {
	Step        string // what is done: "reading the log", …
	Done, Total int64  // records, rows or days; a Total of 0 is not known
}

// verifier is one verification.
type verifier struct {
	cfg     VerifyConfig
	now     time.Time
	queries *db.Queries
	tx      pgx.Tx // the snapshot
	reader  *reader
	log     *verifiedLog
	seen    *spill
	report  Report
}

// Verify compares the log with the tables and reports what is not accounted for. It reads the log without a group, up to where it
// ended at the beginning, and the tables in one snapshot, in which rows and offsets belong together: probers and processors may
// run meanwhile. The snapshot keeps PostgreSQL from cleaning up dead rows until it ends.
//
// An event may come again anywhere in the log, so what was seen of each is kept until the end, in a temporary file, by hours:
// 44 bytes an event on the disk; in memory 4 KiB for each hour of slots that the log has, and 48 bytes for each event of the
// fullest hour.
//
// Of two events of one id that began at the same microsecond, both measured or both missed, either may be the row: which of them
// the rule keeps is not looked into.
//
// An error means that the verification was not finished; what it finds is in the report.
func Verify(ctx context.Context, cfg VerifyConfig) (Report, error) {
	if err := cfg.check(); err != nil {
		return Report{}, fmt.Errorf("configuring the verification: %w", err)
	}
	cfg.setDefaults()
	if cfg.Examples == 0 {
		cfg.Examples = DefaultVerifyExamples
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultVerifyPatience
	}
	if err := checkMigrated(ctx, cfg.Pool); err != nil {
		return Report{}, err
	}
	client, err := kgo.NewClient(cfg.Kafka...)
	if err != nil {
		return Report{}, fmt.Errorf("making the Kafka client: %w", err)
	}
	defer client.Close()
	seen, err := newSpill()
	if err != nil {
		return Report{}, err
	}
	defer seen.close()
	now := time.Now().UTC()
	v := &verifier{
		cfg: cfg, now: now, queries: db.New(), seen: seen, report: newReport(cfg.Topic, now),
		reader: &reader{
			topic: cfg.Topic, decoder: schemas.NewDecoder(cfg.Registry, schemas.CheckCompleted(cfg.Topic)),
			accepts: func(time.Time) error { return nil },
		},
	}
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, cfg.Pool, snapshot, func(tx pgx.Tx) error {
		v.tx = tx
		return v.compare(ctx, kadm.NewClient(client))
	})
	if err == nil {
		err = v.await(ctx)
	}
	if err != nil {
		return Report{}, fmt.Errorf("verifying %s: %w", cfg.Topic, err)
	}
	return v.report, nil
}

// compare does what is done in the snapshot. It takes the snapshot before the log's end, so that the end is behind every
// stored offset.
func (v *verifier) compare(ctx context.Context, kafka *kadm.Client) error {
	err := v.queries.KeepIdleTransaction(ctx, v.tx)
	if err != nil {
		return fmt.Errorf("taking a snapshot: %w", err)
	}
	if v.log, err = v.openLog(ctx, kafka); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{v.readLog, v.compareRows, v.compareFolds, v.compareLetters} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keptFrom is the moment from which rows must be there.
func (v *verifier) keptFrom() time.Time { return v.now.Add(-v.cfg.Retention) }

// firstDay is the first day of which everything is kept and wanted.
func (v *verifier) firstDay() time.Time {
	first := v.keptFrom().Truncate(day).Add(day)
	if from := v.cfg.From.UTC().Truncate(day); from.After(first) {
		return from
	}
	return first
}

func (v *verifier) progress(step string, done, total int64) {
	if v.cfg.OnProgress != nil {
		v.cfg.OnProgress(VerifyProgress{Step: step, Done: done, Total: total})
	}
}

// room is how many more examples of a class are wanted, at least the one that tells how many there are.
func (v *verifier) room(class string) int32 {
	if v.cfg.Examples < 0 {
		return math.MaxInt32
	}
	return int32(max(1, v.cfg.Examples-len(v.report.finding(class).Examples)))
}

// find adds to a finding; an example that is one too many is left out.
func (v *verifier) find(class string, count int64, example string, args ...any) {
	f := v.report.finding(class)
	f.Count += count
	if example != "" && (v.cfg.Examples < 0 || len(f.Examples) < v.cfg.Examples) {
		f.Examples = append(f.Examples, fmt.Sprintf(example, args...))
	}
}

// await looks once more at what was on its way, until it has arrived or patience ends.
func (v *verifier) await(ctx context.Context) error {
	deadline := time.Now().Add(v.cfg.Patience)
	var letters, transitions int64 = math.MaxInt64, math.MaxInt64
	var oldest time.Time
	for {
		lag, err := v.lookAtLag(ctx)
		if err != nil {
			return err
		}
		waiting, err := v.queries.CountWaiting(ctx, v.cfg.Pool)
		if err != nil {
			return fmt.Errorf("counting what waits to be published: %w", err)
		}
		letters, oldest = min(letters, waiting.Letters), waiting.Oldest
		transitions = min(transitions, waiting.Transitions)
		v.progress("waiting for what is on its way", 0, 0)
		if lag+letters+transitions == 0 || time.Now().After(deadline) {
			break
		}
		if !pause(ctx, firstPause) {
			return context.Cause(ctx)
		}
	}
	v.reportLag()
	if letters > 0 {
		v.find(ClassUnpublished, letters, "%d dead letters wait for %s", letters, v.cfg.DeadTopic)
	}
	if transitions > 0 {
		v.find(ClassUnpublished, transitions, "%d transitions wait for %s, the oldest of %s", transitions, v.cfg.TransitionsTopic, timeText(oldest))
	}
	return v.compareSilence(ctx)
}

// errStalled says that Kafka gives nothing although there is something.
var errStalled = errors.New("nothing comes from Kafka")
