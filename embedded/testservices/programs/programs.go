// Package programs is for tests that run other programs of the machine. It imports nothing of ours, as package seed does.
package programs

import (
	"os"
	"os/exec"
	"testing"
)

// Need ends a test for which one of the programs is missing; see [Absent].
func Need(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Absent(t, "this test runs ", name, ": ", err)
		}
	}
}

// Absent ends a test that something is missing for: it is skipped on a laptop, and fails where the environment promises
// everything (CI=true, WEBCHECK_TEST_NO_SKIP=1).
func Absent(t testing.TB, why ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("WEBCHECK_TEST_NO_SKIP") == "1" {
		t.Fatal(why...)
	}
	t.Skip(why...)
}
