package processor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each case changes one generated file alone, as if a .avsc or a .sql had been changed and the other not, and builds the
// package with it in place of the real one.
func TestAnEventAndItsRowThatDriftApartDoNotCompile(t *testing.T) {
	const events, copies = "../gen/event/events.go", "../gen/db/checks.sql.go"
	cases := []struct{ name, file, old, changed string }{
		{"a field of another type", events, "Attempts int32", "Attempts int64"},
		{"a field of another name", events, "RegexMatched", "BodyMatched"},
		{"a field that became optional", events, "Prober string", "Prober *string"},
		{"a field more", events, "Location string", "Location string\n\tRegion string"},
		{"a column more", copies, "Attempts             int32", "Attempts int32\n\tRegion string"},
		{"a column of another type", copies, "StatusCode           *int32", "StatusCode *string"},
		{"two columns the other way round", copies, "TargetID             string\n\tLocation             string", "Location string\n\tTargetID string"},
	}
	if out, err := buildWith(t, events, mustRead(t, events)); err != nil {
		t.Fatalf("unchanged: %v\n%s", err, out)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := mustRead(t, c.file)
			times := 1
			if c.file == events { // which names its fields twice
				times = -1
			}
			changed := strings.Replace(text, c.old, c.changed, times)
			if changed == text {
				t.Fatalf("%s has no %q", c.file, c.old)
			}
			out, err := buildWith(t, c.file, changed)
			if err == nil {
				t.Fatal("it compiles")
			}
			const want = "cannot convert queriesChecksSQLHasToFollow (variable of struct type event.CheckCompleted) to type db.CopyChecksParams"
			if !strings.Contains(out, "row.go") || !strings.Contains(out, want) {
				t.Errorf("the compiler does not name the SQL that has to follow:\n%s", out)
			}
		})
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// buildWith builds this package with text in place of file (go help build, -overlay).
func buildWith(t *testing.T, file, text string) (string, error) {
	t.Helper()
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replacement, overlay := filepath.Join(dir, "replacement.go"), filepath.Join(dir, "overlay.json")
	mapping, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{replacement: []byte(text), overlay: mapping} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, ".").CombinedOutput()
	return string(out), err
}
