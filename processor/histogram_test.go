package processor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
)

// middleUs is latency_bucket_us.
func middleUs(bucket int) float64 {
	if bucket == 0 {
		return 1
	}
	return 2 * math.Pow(latencyGrowth, float64(bucket)) / (1 + latencyGrowth)
}

func TestALatencyIsToldToFivePercent(t *testing.T) {
	random := seed.Random(t)
	all := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, math.MaxInt32 - 1, math.MaxInt32}
	for _, bound := range latencyBounds {
		all = append(all, max(1, bound-1), bound, max(bound, bound+1))
	}
	for range 10_000 {
		all = append(all, 1+random.Int32N(math.MaxInt32)>>random.IntN(31))
	}
	for _, us := range all {
		if got := middleUs(latencyBucket(us)); math.Abs(got-float64(us)) > 0.05*float64(us) {
			t.Fatalf("%d µs: told as %.1f", us, got)
		}
		if got, want := latencyBucket(us), bucketOf(us); got != want {
			t.Fatalf("%d µs: bucket %d, want %d", us, got, want)
		}
	}
	if got := latencyBucket(0); got != 0 {
		t.Errorf("0 µs: bucket %d, want 0", got)
	}
	if len(latencyBounds) > 256 {
		t.Errorf("%d buckets, and histograms are added in 256", len(latencyBounds))
	}
}

func countLatencies(all []int32, n int64) latencyCounts {
	c := make(latencyCounts)
	for _, us := range all {
		c[latencyBucket(us)] += n
	}
	return c
}

func randomLatencies(random *rand.Rand, n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = random.Int32() >> random.IntN(31)
	}
	return all
}

func TestHistogramsAreMergedByAdding(t *testing.T) {
	random := seed.Random(t)
	for range 200 {
		a, b := randomLatencies(random, random.IntN(300)), randomLatencies(random, random.IntN(300))
		before := countLatencies(a, 1).addTo(nil)
		both := countLatencies(b, 1).addTo(before)
		if diff := cmp.Diff(countLatencies(slices.Concat(a, b), 1).addTo(nil), both); diff != "" {
			t.Fatalf("(-of both at once +one added to the other):\n%s", diff)
		}
		if diff := cmp.Diff(before, countLatencies(b, -1).addTo(both)); diff != "" && len(before) > 0 {
			t.Fatalf("(-before +added and taken away again):\n%s", diff)
		}
		if !slices.IsSorted(both) {
			t.Fatalf("not in the order of buckets: %v", both)
		}
	}
}
