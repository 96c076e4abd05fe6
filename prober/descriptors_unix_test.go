//go:build unix

package prober

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The limit is the whole process's, so no other test may run meanwhile: this one is not parallel.
func TestProcessWithoutDescriptorsMissesInsteadOfSayingDown(t *testing.T) {
	url := serve(t, "127.0.0.1:0", say(okHead+"\r\n"))
	for _, target := range []Target{NewTarget("address", url), NewTarget("name", "http://nothing.invalid/")} {
		Check(t.Context(), target) // opens the runtime's poller, which would need a descriptor later
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		none := limit
		none.Cur = 0
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
			t.Fatal(err)
		}
		e := Check(t.Context(), target)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		want := seen{Outcome: "missed", Failure: "own_fault", Text: "too many open files"}
		if diff := cmp.Diff(want, look(e, want)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", target.ID, diff)
		}
	}
}
