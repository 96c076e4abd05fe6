package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/prober"
	"webcheck/processor"
	"webcheck/schemas"
)

// prepare makes topics and tables. The prober registers its schema by itself.
func (p *program) prepare(ctx context.Context, s *services) error {
	client, err := kgo.NewClient(s.kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	if err := p.createTopics(ctx, client, func(format string, arguments ...any) {
		p.logger.Info("looked at a topic", "found", fmt.Sprintf(format, arguments...))
	}); err != nil {
		return err
	}
	_, err = processor.Migrate(ctx, s.pool)
	return err
}

// upRun is prober and processor in one process, and what a person sees of them.
type upRun struct {
	p           *program
	s           *services
	metrics     *metricsServer
	targets     []prober.Target
	options     upOptions
	connectWith string // how to look into the database; empty when it is not ours to tell
	stored      chan struct{}
	// databaseGone is closed when the embedded database stops; nil when there is none.
	databaseGone <-chan struct{}

	mu       sync.Mutex
	out      *printer
	outcomes map[string]int
	checks   int
	passed   int   // slots that nothing ran for
	records  int   // that the processor took from the log
	rows     int64 // that it wrote
	dead     int   // records that it could not apply
	stop     context.CancelFunc
}

func newUpRun(p *program, s *services, metrics *metricsServer, targets []prober.Target, options upOptions) *upRun {
	run := &upRun{p: p, s: s, metrics: metrics, targets: targets, options: options, out: newPrinter(p.Stdout, p.Env), outcomes: make(map[string]int), stored: make(chan struct{}, 1)}
	for _, target := range targets {
		run.out.fit(target.ID)
	}
	return run
}

// run watches until ctx ends, the time is over, enough checks are done or a room fails. Then it stops in the direction of
// the data: the prober writes what it has in hand, the processor stores what was written, and only then it stops too.
func (r *upRun) run(ctx context.Context) error {
	probing, stopProber := context.WithCancel(ctx)
	defer stopProber()
	r.stop = stopProber
	if r.options.lasting > 0 {
		defer time.AfterFunc(r.options.lasting, stopProber).Stop()
	}
	worker, err := r.p.newProcessor(r.s, r.metrics, r.onBatch)
	if err != nil {
		return err
	}
	processing, stopProcessor := context.WithCancel(context.WithoutCancel(ctx))
	defer stopProcessor()
	processed := make(chan error, 1)
	go func() {
		err := worker.Run(processing)
		stopProber() // a processor ends before it is told to only when it cannot go on
		processed <- err
	}()
	unwatch := r.watchDatabase(stopProber)
	err = r.p.probe(probing, r.s, r.metrics, prober.Config{OnCheck: r.onCheck, CheckAtStart: true}, worker.Ready)
	if unwatch() {
		err = errors.Join(errEmbeddedPostgresGone, err)
	} else if err == nil {
		err = r.drain(processing)
	}
	stopProcessor()
	err = errors.Join(err, <-processed)
	r.sayTally()
	return err
}

var errEmbeddedPostgresGone = withHint(errors.New("the embedded PostgreSQL stopped by itself"), "what it saw is kept; start webcheck again")

// watchDatabase calls stop when the embedded database stops. The result ends the watch and reports whether that happened.
func (r *upRun) watchDatabase(stop func()) (unwatch func() bool) {
	end, gone := make(chan struct{}), make(chan bool, 1)
	go func() {
		select {
		case <-r.databaseGone:
			stop()
			gone <- true
		case <-end:
			gone <- false
		}
	}()
	return func() bool { close(end); return <-gone }
}

// onCheck prints a check that is written, and stops the prober after the last one that is wanted.
func (r *upRun) onCheck(e *event.CheckCompleted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Failure != nil && (*e.Failure == event.FailureNotRunning || *e.Failure == event.FailureHandOver) {
		r.passed++ // of the time before this run, and not to be printed line by line
		return
	}
	r.checks++
	r.outcomes[e.Outcome]++
	r.out.check(e.StartedAt.Local(), e.TargetID, e)
	if r.checks == r.options.checks {
		r.stop()
	}
}

// onBatch counts what is stored, says so the first time, and wakes drain.
func (r *upRun) onBatch(t processor.Tally) {
	r.mu.Lock()
	first := r.rows == 0 && t.Inserted+t.Merged > 0
	r.records += t.Records
	r.rows += t.Inserted + t.Merged
	r.dead += t.Dead
	r.mu.Unlock()
	if first {
		r.p.notice("first check stored in PostgreSQL%s", r.connectWith)
	}
	select {
	case r.stored <- struct{}{}:
	default:
	}
}

// drainInterval is how often drain looks when it hears nothing: on a real Kafka another processor may store the last ones.
const drainInterval = 250 * time.Millisecond

// drain waits until the processor has stored all that Kafka holds, at most as long as a stop may take.
func (r *upRun) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.p.config.Processor.StopTimeout)
	defer cancel()
	client, err := kgo.NewClient(r.s.kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, schemas.TopicChecks)
	if err != nil {
		return fmt.Errorf("listing the offsets of %q: %w", schemas.TopicChecks, err)
	}
	again := time.NewTicker(drainInterval)
	defer again.Stop()
	for {
		behind, err := r.behind(ctx, ends)
		if err != nil {
			return err
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-r.stored:
		case <-again.C:
		case <-ctx.Done():
			r.p.notice("%d checks are in Kafka and not yet in PostgreSQL; the next start stores them", behind)
			return nil
		}
	}
}

// behind counts the events before ends that are not stored.
func (r *upRun) behind(ctx context.Context, ends kadm.ListedOffsets) (int64, error) {
	want := make(map[int32]int64)
	var partitions []int32
	ends.Each(func(end kadm.ListedOffset) {
		want[end.Partition] = end.Offset
		partitions = append(partitions, end.Partition)
	})
	rows, err := db.New().ListOffsets(ctx, r.s.pool, db.ListOffsetsParams{Topic: schemas.TopicChecks, Partitions: partitions})
	if err != nil {
		return 0, fmt.Errorf("reading the stored offsets: %w", err)
	}
	for _, row := range rows {
		want[row.Partition] -= row.NextOffset
	}
	var behind int64
	for _, missing := range want {
		behind += max(missing, 0)
	}
	return behind, nil
}

// sayTally sums up what was seen.
func (r *upRun) sayTally() {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := count(r.checks, "check")
	for _, outcome := range []string{event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeMissed} {
		if n := r.outcomes[outcome]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, outcome)
		}
	}
	text += fmt.Sprintf("; %d stored in PostgreSQL", r.records-r.dead)
	if repeated := int64(r.records-r.dead) - r.rows; repeated > 0 { // as after a start within a slot that was checked
		text += fmt.Sprintf(", %d of them for a slot that was there", repeated)
	}
	if r.dead > 0 {
		text += fmt.Sprintf(", %s", count(r.dead, "dead letter"))
	}
	if r.passed > 0 {
		text += fmt.Sprintf("; missed while nothing ran: %s", count(r.passed, "slot"))
	}
	r.p.notice("%s", text)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
