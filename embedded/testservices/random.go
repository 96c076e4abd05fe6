package testservices

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Random gives random numbers from a seed that is printed, and taken back from WEBCHECK_TEST_SEED.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("WEBCHECK_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("WEBCHECK_TEST_SEED: %v", err)
		}
	}
	t.Logf("WEBCHECK_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
