package processor

import "slices"

// latencyGrowth is by how much the bounds of buckets grow. The middle of a bucket is at most 4.8 % from what is in it.
const latencyGrowth = 1.1

// latencyBounds are the upper bounds of buckets, in whole microseconds, up to the longest check that an event can tell.
// Multiplying is exact to the last bit on every machine; a logarithm would not be.
var latencyBounds = func() []int32 {
	bounds := []int32{1}
	for bound := latencyGrowth; bound < 1<<31-1; bound *= latencyGrowth {
		bounds = append(bounds, int32(bound))
	}
	return append(bounds, 1<<31-1)
}()

// latencyBucket is the first bucket whose bound is not below us.
func latencyBucket(us int32) int {
	bucket, _ := slices.BinarySearch(latencyBounds, us)
	// Bounds below 10 µs are the same whole number: the first of them is found, whichever it is.
	return bucket
}

// latencyCounts is how many more, or fewer, checks lie in each bucket.
type latencyCounts map[int]int64

// addTo gives a histogram as a row holds it, each element bucket << 32 | count, with the counts added.
func (c latencyCounts) addTo(histogram []int64) []int64 {
	if len(c) == 0 {
		return histogram
	}
	var sums [256]int64
	for _, element := range histogram {
		sums[element>>32&0xff] += element & (1<<32 - 1)
	}
	for bucket, n := range c {
		sums[bucket&0xff] += n
	}
	added := make([]int64, 0, len(histogram)+len(c))
	for bucket, n := range sums {
		if n > 0 {
			added = append(added, int64(bucket)<<32|n)
		}
	}
	return added
}
