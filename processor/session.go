package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Bounds on what the client holds in memory: whatever the backlog, a few batches are fetched ahead and no more.
const (
	// fetchMaxPartitionBytes is what one fetch brings of a partition, compressed: some 8,000 events, and so a lane's batch, in which
	// each target has as many of its checks as can be.
	fetchMaxPartitionBytes = 768 << 10
	// fetchMaxBytes is what it brings of all: a batch a lane.
	fetchMaxBytes = laneCount * fetchMaxPartitionBytes
	// pollMaxBytes is what a poll takes, uncompressed, if its records are as long as those of the one before: a batch holds them and as
	// much again of what is decoded from them. It counts where events are several times longer than usual.
	pollMaxBytes = 8 << 20
	// maxFetches is how many are asked for or held at once, whatever the number of brokers.
	maxFetches = 2
	// fetchMaxWait is how long a broker that has nothing new may hold one of them, and so delay those to the others.
	fetchMaxWait = 500 * time.Millisecond
)

// leaveTimeout bounds each farewell to the group when Kafka is away.
const leaveTimeout = 2 * time.Second

// session is one membership in the consumer group, from joining to leaving.
type session struct {
	*Processor
	client  *kgo.Client
	made    chan struct{} // closed when client is set: the client calls back before it is returned
	lanes   []*lane
	offsets *offsets
	fail    context.CancelCauseFunc // ends the session from a callback of the client, or from a batch in flight

	meanBytes int // of the values that the last poll brought; 0 before the first

	telling sync.Mutex // held while a commit is told of, one at a time

	mu   sync.Mutex
	next map[int32]int64 // next offset to read of each partition that is owned
}

// session joins the group and writes batches until ctx ends or something goes wrong. committed says whether it got as far
// as a batch.
func (p *Processor) session(ctx context.Context) (committed bool, err error) {
	// First, so that a database that is away or not migrated costs the group no rebalance.
	checkCtx, cancel := context.WithTimeout(ctx, batchTimeout)
	err = checkMigrated(checkCtx, p.cfg.Pool)
	cancel()
	if err != nil {
		return false, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &session{
		Processor: p,
		lanes:     p.newLanes(),
		offsets:   &offsets{topic: p.cfg.Topic, pool: p.cfg.Pool, queries: p.queries, logger: p.logger},
		made:      make(chan struct{}),
		fail:      fail,
		next:      make(map[int32]int64),
	}
	clientCtx, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	options := slices.Concat(p.cfg.Kafka, s.options(), []kgo.Opt{kgo.WithContext(clientCtx)})
	if s.client, err = kgo.NewClient(options...); err != nil {
		return false, &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	close(s.made)
	s.member.Store(s.client)
	defer s.leave(kill)
	// One deadline for all that is still done after ctx has ended: the batches that are written then, and those behind them.
	work, release := outlive(ctx, s.cfg.StopTimeout*3/4)
	defer release()
	for {
		var watch stopwatch
		watch.start()
		fetches := s.client.PollRecords(ctx, s.pollRecords())
		watch.lap(phasePoll)
		s.measure(fetches)
		s.lag.fetched(fetches)
		wrote, err := s.turn(work, fetches, watch)
		s.client.AllowRebalance()
		over := err != nil || ctx.Err() != nil
		if over { // with all that it began: nothing of it is written beside the next session, or after Run
			last, failure := s.land()
			wrote, err = wrote || last, errors.Join(err, failure)
		}
		committed = committed || wrote
		p.fitBatch(s.proven(), err)
		if over {
			return committed, cmp.Or(err, context.Cause(ctx))
		}
	}
}

// pollRecords is how many records the next poll may take.
func (s *session) pollRecords() int {
	if s.meanBytes == 0 {
		return s.batchRecords
	}
	return min(s.batchRecords, max(1, pollMaxBytes/s.meanBytes))
}

// measure takes note of how long the records of a poll are.
func (s *session) measure(fetches kgo.Fetches) {
	var n, bytes int
	fetches.EachRecord(func(r *kgo.Record) { n, bytes = n+1, bytes+len(r.Value) })
	if n > 0 {
		s.meanBytes = bytes / n
	}
}

// turn decodes what a poll brought while the batches before are written, and launches it in the lanes that it is dealt to.
func (s *session) turn(ctx context.Context, fetches kgo.Fetches, watch stopwatch) (wrote bool, err error) {
	group, err := troubles(s.cfg.Topic, fetches)
	parts := s.deal(fetches)
	results := make([]error, len(parts))
	wrotes := make([]bool, len(parts))
	var turns sync.WaitGroup
	for i, records := range parts {
		if len(records) > 0 {
			turns.Go(func() { wrotes[i], results[i] = s.follow(ctx, s.lanes[i], records, watch) })
		}
	}
	turns.Wait()
	if err != nil {
		err = fmt.Errorf("%w: %w", errBatch, err)
	}
	return slices.Contains(wrotes, true), errors.Join(append(results, group, err)...)
}

// fitBatch halves the next batches after one that took too long, down to a record, and doubles them again as they succeed: a
// batch that can't be done in time would otherwise come back the same for ever.
func (p *Processor) fitBatch(wrote bool, err error) {
	switch {
	case errors.Is(err, errBatch) && errors.Is(err, context.DeadlineExceeded):
		p.batchRecords = max(1, p.batchRecords/2)
	case wrote:
		p.batchRecords = min(p.cfg.BatchRecords, 2*p.batchRecords)
	}
}

func (s *session) options() []kgo.Opt {
	options := []kgo.Opt{
		kgo.WithHooks(s.brokers),
		KafkaMetrics(s.cfg.Metrics, "processor"),
		kgo.ConsumeTopics(s.cfg.Topic),
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.SessionTimeout(sessionTimeout),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.AutoCommitMarks(),
		// An offset that the log does not have ends the session; the next one compares and says so.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.MaxConcurrentFetches(maxFetches),
		kgo.FetchMaxWait(fetchMaxWait),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	}
	if s.cfg.Name != "" {
		options = append(options, kgo.InstanceID(s.cfg.Name))
	}
	return options
}

// assigned replaces the offsets that Kafka keeps by the stored ones.
func (s *session) assigned(ctx context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	partitions := slices.Sorted(maps.Keys(fetched[s.cfg.Topic]))
	if len(partitions) == 0 {
		return fetched, nil
	}
	<-s.made
	s.settle() // of a partition that was lost and comes back, a batch may still move the offset that is read here
	limited, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	next, err := s.offsets.next(limited, kadm.NewClient(s.client), partitions)
	if err != nil {
		if ctx.Err() == nil {
			s.fail(err)
		}
		return nil, err
	}
	s.outage.endUnless(errBatch)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, offset := range next {
		s.next[p] = offset
		fetched[s.cfg.Topic][p] = kgo.NewOffset().At(offset).WithEpoch(-1)
	}
	s.lag.assigned(next)
	s.logger.Info("partitions assigned", "topic", s.cfg.Topic, "partitions", partitions)
	return fetched, nil
}

// revoked gives partitions back: Kafka hears how far they are, for lag tools, and the next owner goes by what is stored. The
// batches in flight are waited for, so that it goes on behind them and not beside them.
func (s *session) revoked(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
	s.settle()
	s.lost(ctx, client, partitions)
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		s.logger.Debug("committing offsets to Kafka", "error", err)
	}
}

// lost forgets partitions that somebody else may have already. Nothing is committed: it could set the new owner back.
func (s *session) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions[s.cfg.Topic] {
		delete(s.next, p)
	}
	s.lag.lost(partitions[s.cfg.Topic])
	s.logger.Info("partitions released", "topic", s.cfg.Topic, "partitions", partitions[s.cfg.Topic])
}

// troubles gives what a poll says of trouble with the group as a whole, and with partitions.
func troubles(topic string, fetches kgo.Fetches) (group, partitions error) {
	for _, failed := range fetches.Errors() {
		switch {
		case errors.Is(failed.Err, context.Canceled):
		case failed.Topic == "": // the client's word for the group
			group = errors.Join(group, fmt.Errorf("reading %s: %w", topic, failed.Err))
		default:
			partitions = errors.Join(partitions, fmt.Errorf("reading %s/%d: %w", failed.Topic, failed.Partition, failed.Err))
		}
	}
	return group, partitions
}

func (s *session) decode(ctx context.Context, records []*kgo.Record) (*batch, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	s.mu.Lock()
	next := maps.Clone(s.next)
	s.mu.Unlock()
	b, err := s.reader.batch(ctx, records, next)
	if err != nil || len(b.advances) == 0 {
		return nil, err
	}
	b.marks = records
	return b, nil
}

// committed follows a batch's commit in Kafka, and tells whom it concerns.
func (s *session) committed(b *batch, tally Tally) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.client.MarkCommitRecords(b.marks...)
	s.outage.end()
	s.lag.committed(b.advances)
	s.metrics.committed(tally, &b.watch)
	for _, l := range b.letters {
		s.logger.Error("record is a dead letter", "position", l.position().String(), "cause", l.Cause)
	}
	if tally.Dead > 0 {
		s.letters.wake()
	}
	if tally.Announced > 0 {
		s.transitions.wake()
	}
	if s.cfg.OnBatch != nil {
		s.cfg.OnBatch(tally)
	}
}

// leave leaves the group, which also hands Kafka the last marks, and closes the client. kill ends the client's requests:
// one to join the group would otherwise hold the client until the brokers answer, which can take a session timeout.
func (s *session) leave(kill context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), min(leaveTimeout, s.cfg.StopTimeout/4))
	defer cancel()
	s.member.Store(nil)
	s.lag.leaving()
	s.client.AllowRebalance()
	// A group that can't be left forgets this member by its session timeout.
	if err := s.client.LeaveGroupContext(ctx); err != nil {
		s.logger.Debug("leaving the group", "error", err)
	}
	kill()
	s.client.CloseAllowingRebalance()
	// Close ends with a poll of its own; when that finds records, a goroutine of the client waits for this call for ever.
	s.client.AllowRebalance()
}

// outlive gives a context that ends d after parent does, for what must be finished once it is begun.
func outlive(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { time.AfterFunc(d, cancel) })
	return ctx, func() {
		stop()
		cancel()
	}
}
