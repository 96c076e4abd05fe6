package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// rereading reads what its bookmark says is left of the log and writes it, in the rooms of a live processor but without a
// group. What it reads is the bookmark's to say, where it writes the pool's.
type rereading struct {
	*Processor
	at       bookmark
	target   string // leaves out the records with another key; "" leaves out none
	report   func(ReplayProgress)
	lost     func(records int64) error // refuses to go on without records that have expired; nil: they are stepped over
	giveUp   string                    // what gives the reading up, for a person whose log is not the one that it was begun with
	progress ReplayProgress
	done     bool
}

// run reads until nothing is left; ErrReplayUnfinished when ctx ends before.
func (r *rereading) run(ctx context.Context) error {
	err := r.keepProcessing(ctx, r.session)
	if err == nil && !r.done {
		err = ErrReplayUnfinished
	}
	return err
}

// session reads and writes until nothing is left, ctx ends or something goes wrong. committed says whether it got as far
// as a batch.
func (r *rereading) session(ctx context.Context) (committed bool, err error) {
	left, err := r.begin(ctx)
	if err != nil {
		return false, err
	}
	if len(left) > 0 {
		if committed, err = r.read(ctx, left); err != nil {
			return committed, err
		}
	}
	ctx, cancel := outlive(ctx, r.cfg.StopTimeout/4)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, batchTimeout)
	defer cancelTimeout()
	if err := r.at.finish(ctx); err != nil {
		return committed, err
	}
	r.done = true
	r.outage.end()
	return committed, nil
}

// begin gives what is left to read, which the log has.
func (r *rereading) begin(ctx context.Context) (map[int32]span, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	if err := checkMigrated(ctx, r.cfg.Pool); err != nil {
		return nil, err
	}
	left, err := r.at.left(ctx)
	if err != nil {
		return nil, err
	}
	if r.countLeft(left); len(left) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(slices.Concat(r.cfg.Kafka, []kgo.Opt{kgo.WithHooks(r.brokers)})...)
	if err != nil {
		return nil, &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	defer client.Close()
	if err := r.compare(ctx, kadm.NewClient(client), left); err != nil {
		return nil, err
	}
	r.outage.endUnless(errBatch)
	r.countLeft(left)
	return left, nil
}

// compare steps over what has expired from the log meanwhile, and says how much that was.
func (r *rereading) compare(ctx context.Context, kafka *kadm.Client, left map[int32]span) error {
	partitions := slices.Sorted(maps.Keys(left))
	log, err := (&lister{topic: r.cfg.Topic, kafka: kafka}).readable(ctx, partitions)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		s := left[p]
		at := Position{Topic: r.cfg.Topic, Partition: p, Offset: s.next}
		if s.end > log[p].end {
			return &PermanentError{
				Err:  fmt.Errorf("replaying %v up to %d: the log ends at %d, so it is not the one that was planned with", at, s.end, log[p].end),
				Next: r.giveUp,
			}
		}
		if s.next >= log[p].start {
			continue
		}
		to := min(log[p].start, s.end)
		if r.lost != nil {
			return r.lost(to - s.next)
		}
		step := &batch{topic: r.cfg.Topic, advances: map[int32]advance{p: {expected: s.next, next: to}}}
		if err := pgx.BeginFunc(ctx, r.cfg.Pool, func(tx pgx.Tx) error { return r.at.move(ctx, tx, step) }); err != nil {
			return fmt.Errorf("stepping over lost records: %w", err)
		}
		r.logger.Error("records expired from the log before they were replayed", "position", at.String(),
			"log_start", log[p].start, "records_lost", to-s.next)
		r.progress.Expired += to - s.next
		r.advance(left, p, to)
	}
	return nil
}

// advance notes that a partition has been read up to next.
func (r *rereading) advance(left map[int32]span, partition int32, next int64) {
	end := left[partition].end
	if next >= end {
		delete(left, partition)
		return
	}
	left[partition] = span{next: next, end: end}
}

func (r *rereading) countLeft(left map[int32]span) {
	r.progress.Left = 0
	for _, s := range left {
		r.progress.Left += s.end - s.next
	}
}

// read reads until nothing is left.
func (r *rereading) read(ctx context.Context, left map[int32]span) (committed bool, err error) {
	client, err := kgo.NewClient(slices.Concat(r.cfg.Kafka, r.options(left))...)
	if err != nil {
		return false, &PermanentError{Err: fmt.Errorf("making the Kafka client: %w", err)}
	}
	defer client.Close()
	partitions := slices.Collect(maps.Keys(left))
	s := r.newStore(true)
	s.move = r.at.move
	for len(left) > 0 {
		wrote, err := r.handle(ctx, client.PollRecords(ctx, r.batchRecords), s, left)
		committed = committed || wrote
		r.fitBatch(wrote, err)
		if ctx.Err() != nil && len(left) > 0 {
			return committed, context.Cause(ctx)
		}
		if err != nil {
			return committed, err
		}
		client.PauseFetchPartitions(map[string][]int32{r.cfg.Topic: readWhole(partitions, left)})
	}
	return committed, nil
}

// readWhole lists the partitions of which nothing is left.
func readWhole(partitions []int32, left map[int32]span) []int32 {
	var whole []int32
	for _, p := range partitions {
		if _, reading := left[p]; !reading {
			whole = append(whole, p)
		}
	}
	return whole
}

func (r *rereading) options(left map[int32]span) []kgo.Opt {
	from := make(map[int32]kgo.Offset, len(left))
	for p, s := range left {
		from[p] = kgo.NewOffset().At(s.next).WithEpoch(-1)
	}
	return []kgo.Opt{
		kgo.WithHooks(r.brokers),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.cfg.Topic: from}),
		// An offset that the log does not have ends the session; the next one compares and says so.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The last offset may be a transaction's mark: without it the end would never be seen.
		kgo.KeepControlRecords(),
	}
}

// handle writes what a poll brought, before what it says of trouble. It goes on for StopTimeout after ctx has ended.
func (r *rereading) handle(ctx context.Context, fetches kgo.Fetches, s *store, left map[int32]span) (wrote bool, err error) {
	err = errors.Join(troubles(r.cfg.Topic, fetches))
	if records := fetches.Records(); len(records) > 0 {
		ctx, cancel := outlive(ctx, r.cfg.StopTimeout*3/4)
		defer cancel()
		var failure error
		wrote, failure = r.writeBatch(ctx, records, s, left)
		err = errors.Join(err, failure)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errBatch, err)
	}
	return wrote, err
}

func (r *rereading) writeBatch(ctx context.Context, records []*kgo.Record, s *store, left map[int32]span) (wrote bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	wanted, next, others := r.sift(records, left)
	expected := make(map[int32]int64, len(next))
	for p := range next {
		expected[p] = left[p].next
	}
	b, err := r.reader.batch(ctx, wanted, expected)
	if err != nil {
		return false, err
	}
	for p, offset := range next { // past what was left out too
		b.advances[p] = advance{expected: expected[p], next: offset}
	}
	if len(b.advances) == 0 {
		return false, nil
	}
	tally, err := s.write(ctx, b)
	if err != nil {
		return false, err
	}
	for p, offset := range next {
		r.advance(left, p, offset)
	}
	r.committed(b, tally, others, left)
	return true, nil
}

// sift gives the records to write, the offset up to which each partition is done with them, and the number of records of
// other targets. A record from a partition's end on, and a transaction's mark, only say how far the partition is.
func (r *rereading) sift(records []*kgo.Record, left map[int32]span) (wanted []*kgo.Record, next map[int32]int64, others int) {
	next = make(map[int32]int64)
	for _, record := range records {
		s, reading := left[record.Partition]
		if !reading || record.Offset < s.next {
			continue
		}
		next[record.Partition] = min(record.Offset+1, s.end)
		switch {
		case record.Offset >= s.end, record.Attrs.IsControl():
		case r.target != "" && string(record.Key) != r.target:
			others++
		default:
			wanted = append(wanted, record)
		}
	}
	return wanted, next, others
}

// committed follows a batch's commit in memory and tells whom it concerns. Letters that were met before stay as they are
// and are not published again; new ones are for the next live processor to publish.
func (r *rereading) committed(b *batch, tally Tally, others int, left map[int32]span) {
	r.outage.end()
	for _, l := range b.letters {
		r.logger.Debug("record is a dead letter", "position", l.position().String(), "cause", l.Cause)
	}
	r.progress.Records += tally.Records
	r.progress.Inserted += tally.Inserted
	r.progress.Merged += tally.Merged
	r.progress.Dead += tally.Dead
	r.progress.TooOld += b.tooOld
	r.progress.Others += others
	r.countLeft(left)
	if r.report != nil {
		r.report(r.progress)
	}
}
