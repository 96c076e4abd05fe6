package cli

import (
	"os"
	"strings"
	"testing"
)

// TestEveryKeyOfATargetIsShown holds that the example file and README.md name what a target may have.
func TestEveryKeyOfATargetIsShown(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| key of a target |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, key := range targetKeys {
		if !strings.Contains(table, "`"+key+"`") && !strings.Contains(table, "`"+key+": ") {
			t.Errorf("README.md has no key %s in its table", key)
		}
		if !strings.Contains(exampleTargets, " "+key+":") {
			t.Errorf("the example file has no key %s", key)
		}
	}
}
