package processor

import (
	"context"
	"fmt"
	"time"
)

// lookAtLag reads how far the processors are by now, and gives the number of records before the log's end, as it was at the
// beginning, that still wait for one, or more where nobody has begun.
func (v *verifier) lookAtLag(ctx context.Context) (lag int64, err error) {
	rows, err := v.queries.ListAllOffsets(ctx, v.cfg.Pool, v.cfg.Topic)
	if err != nil {
		return 0, fmt.Errorf("reading stored offsets: %w", err)
	}
	now := make(map[int32]int64, len(rows))
	for _, row := range rows {
		now[row.Partition] = row.NextOffset
	}
	for n, p := range v.log.partitions {
		next, known := now[n]
		p.unread = !known
		p.lag = max(0, p.end-max(next, p.start))
		if lag += p.lag; p.unread {
			lag++
		}
	}
	return lag, nil
}

// reportLag reports the records that still wait, and each partition.
func (v *verifier) reportLag() {
	for _, n := range v.log.numbers() {
		p := v.log.partitions[n]
		r := PartitionReport{Partition: n, Start: p.start, End: p.end, Next: p.stored, Lag: p.lag}
		if p.lag > 0 {
			since := ""
			if !p.waitingSince.IsZero() {
				waited := v.now.Sub(p.waitingSince)
				r.LagSeconds, since = waited.Seconds(), fmt.Sprintf(", the first of them for %v", waited.Round(time.Second))
			}
			v.find(ClassLag, p.lag, "%s/%d: %d from %d on%s", v.cfg.Topic, n, p.lag, p.end-p.lag, since)
		}
		if p.unread {
			v.find(ClassOffsets, 1, "%s/%d: no offset is stored, so no processor was ever given the partition", v.cfg.Topic, n)
		}
		v.report.Partitions = append(v.report.Partitions, r)
	}
}
