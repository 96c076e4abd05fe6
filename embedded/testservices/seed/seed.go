// Package seed gives tests random numbers that a failure can be repeated with. It imports nothing of ours, so that every
// room's tests may use it.
package seed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Random returns random numbers whose seed is printed with a failure, and taken back from WEBCHECK_TEST_SEED.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("WEBCHECK_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WEBCHECK_TEST_SEED=%q: %v", text, err)
		}
	}
	t.Logf("WEBCHECK_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Runs is how many times a property is to be tried: usual, or what WEBCHECK_TEST_RUNS says.
func Runs(t testing.TB, usual int) int {
	t.Helper()
	text := os.Getenv("WEBCHECK_TEST_RUNS")
	if text == "" {
		return usual
	}
	runs, err := strconv.Atoi(text)
	if err != nil || runs < 1 {
		t.Fatalf("WEBCHECK_TEST_RUNS=%q is no number of runs", text)
	}
	return runs
}
