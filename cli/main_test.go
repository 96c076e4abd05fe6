package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
)

// TestMain lets the test binary be the program: scripts call it by a link whose name is webcheck.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "webcheck" {
		embedded.ChildMain()
		os.Exit(Main(context.Background(), os.Args, Process()))
	}
	testservices.Main(m)
}
