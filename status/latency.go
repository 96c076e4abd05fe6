package status

import "math"

// latencies counts checks by the bucket of their latency (queries/migrations/00004_folds.sql, rollups).
type latencies struct {
	counts [256]int64
	total  int64
}

// add adds a histogram as a row holds it, each element bucket << 32 | count.
func (l *latencies) add(histogram []int64) {
	for _, element := range histogram {
		n := element & (1<<32 - 1)
		l.counts[element>>32&0xff] += n
		l.total += n
	}
}

// us is the latency in microseconds that a share of the checks did not exceed, 0 when there are none: what latency_us gives.
func (l *latencies) us(share float64) float64 {
	if l.total == 0 {
		return 0
	}
	wanted := int64(math.Ceil(share * float64(l.total)))
	bucket := 0
	for running := l.counts[0]; running < wanted || running == 0; running += l.counts[bucket] {
		bucket++
	}
	return bucketUs[bucket]
}

// bucketUs are the middles of buckets in microseconds, as latency_bucket_us gives them.
var bucketUs = func() (middles [256]float64) {
	middles[0] = 1
	for bucket := 1; bucket < len(middles); bucket++ {
		middles[bucket] = 2 * math.Pow(1.1, float64(bucket)) / 2.1
	}
	return middles
}()
