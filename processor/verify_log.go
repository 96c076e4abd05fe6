package processor

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
)

const (
	// spanMargin is by how much the first record that a partition still has may be older, by its timestamp, than one before it
	// that has expired: probers keep what they could not send, with its time.
	spanMargin = time.Hour
	// lettersAtOnce is how many positions one query looks for among the dead letters.
	lettersAtOnce = 500
	// spillBeyond is how far out of what is kept a slot may lie and still be compared with a row.
	spillBeyond = 2 * day
)

// verifiedLog is the log as it was when the verification began.
type verifiedLog struct {
	lister     *lister
	partitions map[int32]*verifiedPartition
	seed       maphash.Seed
	unkept     []letter // undecodable records that are not looked for among the dead letters yet
}

// verifiedPartition is one partition of it.
type verifiedPartition struct {
	logRange
	from         int64 // where reading begins
	stored       int64 // -1: none
	next         int64 // to be read
	spanMs       int64 // events of slots from here on would be in what is read
	first        bool  // the next record tells spanMs
	waitingSince time.Time
	// When last looked: records that still waited, and whether no offset was stored.
	lag    int64
	unread bool
}

// openLog looks where the log begins and ends and how far it is processed, in the snapshot.
func (v *verifier) openLog(ctx context.Context, kafka *kadm.Client) (*verifiedLog, error) {
	stored, err := v.queries.ListAllOffsets(ctx, v.tx, v.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("reading stored offsets: %w", err)
	}
	log := &verifiedLog{
		lister: &lister{topic: v.cfg.Topic, kafka: kafka}, partitions: make(map[int32]*verifiedPartition), seed: maphash.MakeSeed(),
	}
	numbers, err := log.lister.partitions(ctx, nil)
	if err != nil {
		return nil, err
	}
	readable, err := log.lister.readable(ctx, numbers)
	if err != nil {
		return nil, err
	}
	for n, has := range readable {
		p := &verifiedPartition{logRange: logRange{start: has.start, end: max(has.start, has.end)}, stored: -1}
		p.from, p.first, p.spanMs = p.start, p.start > 0, math.MinInt64
		if p.first { // until a record tells: of what there was nothing may be left
			p.spanMs = math.MaxInt64
		}
		log.partitions[n] = p
	}
	if err := v.beginAt(ctx, log); err != nil {
		return nil, err
	}
	for _, row := range stored {
		if p := log.partitions[row.Partition]; p != nil {
			p.stored = row.NextOffset
		} else {
			v.find(ClassOffsets, 1, "%s/%d: the topic has no such partition, and the stored offset is %d", v.cfg.Topic, row.Partition, row.NextOffset)
		}
	}
	v.checkOffsets(log)
	return log, nil
}

// beginAt moves the beginning of each partition to the first record of the moment that is wanted.
func (v *verifier) beginAt(ctx context.Context, log *verifiedLog) error {
	if v.cfg.From.IsZero() {
		return nil
	}
	from, err := log.lister.byTime(ctx, AtTime(v.cfg.From), log.numbers())
	if err != nil {
		return err
	}
	for n, p := range log.partitions {
		if p.from = min(max(from[n], p.start), p.end); p.from > p.start {
			p.first, p.spanMs = false, v.cfg.From.UnixMilli()
		}
		p.spanMs = max(p.spanMs, v.cfg.From.UnixMilli())
	}
	return nil
}

// checkOffsets compares the stored offsets with the log.
func (v *verifier) checkOffsets(log *verifiedLog) {
	for _, n := range log.numbers() {
		p := log.partitions[n]
		at := Position{Topic: v.cfg.Topic, Partition: n, Offset: p.stored}
		switch {
		case p.stored < 0:
			// A processor stores one as soon as it is given the partition: see await.
		case p.stored > p.end:
			v.find(ClassOffsets, 1, "%v is stored, and the log ends at %d: it is not the one that the tables were made of", at, p.end)
		case p.stored < p.start:
			v.find(ClassOffsets, 1, "%v is stored, and the log starts at %d: %d records expired before they were processed", at, p.start, p.start-p.stored)
		}
	}
}

// numbers lists the log's partitions.
func (l *verifiedLog) numbers() []int32 { return slices.Sorted(maps.Keys(l.partitions)) }

// spanMs is the moment from which on the event of every slot would be in what is read of the log.
func (l *verifiedLog) spanMs() int64 {
	span := int64(math.MinInt64)
	for _, p := range l.partitions {
		span = max(span, p.spanMs)
	}
	return span
}

// readLog reads every partition up to its end.
func (v *verifier) readLog(ctx context.Context) error {
	wanted, total := make(map[int32]kgo.Offset), int64(0)
	for n, p := range v.log.partitions {
		if p.next = p.from; p.next < p.end {
			wanted[n] = kgo.NewOffset().At(p.next)
			total += p.end - p.next
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(slices.Clone(v.cfg.Kafka),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{v.cfg.Topic: wanted}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that an end that is one is seen
		kgo.FetchMaxBytes(fetchMaxBytes), kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes), kgo.MaxConcurrentFetches(1),
	)...)
	if err != nil {
		return fmt.Errorf("making the Kafka client: %w", err)
	}
	defer client.Close()
	for left := len(wanted); left > 0; {
		done, err := v.readSome(ctx, client)
		if err != nil {
			return err
		}
		left -= done
		v.progress("reading the log", v.report.Records, total)
	}
	return v.settleUnkept(ctx)
}

// readSome takes what one poll brings, and gives the number of partitions that are read to their ends.
func (v *verifier) readSome(ctx context.Context, client *kgo.Client) (done int, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, batchTimeout, errStalled)
	defer cancel()
	fetches := client.PollRecords(limited, v.cfg.BatchRecords)
	for _, failed := range fetches.Errors() {
		switch {
		case limited.Err() != nil:
			return 0, fmt.Errorf("reading %s: %w", v.cfg.Topic, context.Cause(limited))
		case errors.Is(failed.Err, kerr.OffsetOutOfRange):
			finished, err := v.followStart(ctx, client, failed.Partition)
			if err != nil {
				return 0, err
			}
			done += finished
		default:
			return 0, fmt.Errorf("reading %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
		}
	}
	read, e := new(batch), new(event.CheckCompleted)
	for _, record := range fetches.Records() {
		p := v.log.partitions[record.Partition]
		if p.next >= p.end {
			continue // more than there was at the beginning
		}
		if err := v.take(ctx, read, p, record, e); err != nil {
			return 0, err
		}
		if p.next = record.Offset + 1; p.next >= p.end {
			client.RemoveConsumePartitions(map[string][]int32{v.cfg.Topic: {record.Partition}})
			done++
		}
	}
	return done, v.keep(ctx, read)
}

// take decodes a record by way of e.
func (v *verifier) take(ctx context.Context, read *batch, p *verifiedPartition, record *kgo.Record, e *event.CheckCompleted) error {
	if record.Offset >= p.end || record.Attrs.IsControl() {
		return nil
	}
	v.report.Records++
	if p.first {
		p.first, p.spanMs = false, record.Timestamp.Add(spanMargin).UnixMilli()
	}
	if p.waits(record.Offset) && p.waitingSince.IsZero() {
		p.waitingSince = record.Timestamp
	}
	if err := v.reader.add(ctx, read, record, e); err != nil {
		return fmt.Errorf("decoding %v: %w", positionOf(record), err)
	}
	return nil
}

// waits says whether a record is not yet processed as the snapshot has it.
func (p *verifiedPartition) waits(offset int64) bool { return offset >= p.stored }

// followStart goes on at the log's new start where records expired before they were read. It tells 1 where that is the end.
func (v *verifier) followStart(ctx context.Context, client *kgo.Client, partition int32) (finished int, err error) {
	now, err := v.log.lister.readable(ctx, []int32{partition})
	if err != nil {
		return 0, err
	}
	p, start := v.log.partitions[partition], now[partition].start
	if start <= p.next {
		return 0, fmt.Errorf("reading %s/%d: the log has no offset %d any more", v.cfg.Topic, partition, p.next)
	}
	client.RemoveConsumePartitions(map[string][]int32{v.cfg.Topic: {partition}})
	p.next, p.first, p.spanMs = start, true, math.MaxInt64
	if p.next >= p.end {
		return 1, nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{v.cfg.Topic: {partition: kgo.NewOffset().At(p.next)}})
	return 0, nil
}

// keep spills what was read.
func (v *verifier) keep(ctx context.Context, read *batch) error {
	var content hasher
	for i := range read.rows {
		row, record := &read.rows[i], read.records[i]
		outside := row.Slot.Before(v.keptFrom().Add(-spillBeyond)) || row.Slot.After(v.now.Add(spillBeyond))
		if outside && row.Slot.Before(v.now) {
			v.report.Old++
			continue
		}
		if outside {
			read.letters = append(read.letters, newLetter(record, fmt.Errorf("its slot %s is in the future", row.Slot.Format(time.RFC3339))))
			continue
		}
		id, _ := parseUUID(row.EventID)
		err := v.seen.add(&sighting{
			id: id, content: content.sum(v.log.seed, row), startedUs: row.StartedAt.UnixMicro(), offset: record.Offset, partition: record.Partition,
			missed: row.Outcome == event.OutcomeMissed, waiting: v.log.partitions[record.Partition].waits(record.Offset),
		})
		if err != nil {
			return err
		}
	}
	for _, l := range read.letters {
		if !v.log.partitions[l.Partition].waits(l.RecordOffset) {
			v.log.unkept = append(v.log.unkept, letter{Topic: l.Topic, Partition: l.Partition, RecordOffset: l.RecordOffset, Cause: l.Cause})
		}
	}
	if len(v.log.unkept) < lettersAtOnce {
		return nil
	}
	return v.settleUnkept(ctx)
}

// settleUnkept reports those records without a row that are no dead letters.
func (v *verifier) settleUnkept(ctx context.Context) error {
	var asked db.ListLetterPositionsParams
	for _, l := range v.log.unkept {
		asked.Partitions, asked.Offsets = append(asked.Partitions, l.Partition), append(asked.Offsets, l.RecordOffset)
	}
	dead, err := v.deadAmong(ctx, asked)
	if err != nil {
		return err
	}
	for _, l := range v.log.unkept {
		if !dead[l.position()] {
			v.find(ClassUnkept, 1, "%v: %s", l.position(), l.Cause)
		}
	}
	v.log.unkept = v.log.unkept[:0]
	return nil
}

// deadAmong tells which positions are those of dead letters.
func (v *verifier) deadAmong(ctx context.Context, asked db.ListLetterPositionsParams) (map[Position]bool, error) {
	dead := make(map[Position]bool)
	if len(asked.Offsets) == 0 {
		return dead, nil
	}
	asked.Topic = v.cfg.Topic
	rows, err := v.queries.ListLetterPositions(ctx, v.tx, asked)
	if err != nil {
		return nil, fmt.Errorf("looking for dead letters: %w", err)
	}
	for _, row := range rows {
		dead[Position{Topic: v.cfg.Topic, Partition: row.Partition, Offset: row.RecordOffset}] = true
	}
	return dead, nil
}
