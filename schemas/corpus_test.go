package schemas

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
)

// The corpus has a folder for each version of the schema: the schema's text as it was registered, values as they were
// written, and each value's event in JSON. Nothing in it is ever changed; today's reader must read all of it.
//
// WEBCHECK_WRITE_CORPUS=v2 go test ./schemas -run CorpusHas writes the folder of a new version, once.

func TestCorpusIsReadForEver(t *testing.T) {
	versions, err := filepath.Glob("testdata/corpus/v*")
	if err != nil || len(versions) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, version := range versions {
		schema, err := os.ReadFile(filepath.Join(version, "schema.avsc"))
		if err != nil {
			t.Fatal(err)
		}
		d := decoderOf(t, string(schema))
		values, err := filepath.Glob(filepath.Join(version, "*.bin"))
		if err != nil || len(values) == 0 {
			t.Fatalf("no values in %s: %v", version, err)
		}
		for _, file := range values {
			t.Run(file, func(t *testing.T) {
				value, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(strings.TrimSuffix(file, ".bin") + ".json")
				if err != nil {
					t.Fatal(err)
				}
				var want event.CheckCompleted
				if err := json.Unmarshal(text, &want); err != nil {
					t.Fatal(err)
				}
				got := mustDecode(t, d, value)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if err := CheckEventID(&got); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestCorpusHasTheSchemaOfThisBuild fails when the schema changed and no folder of the corpus shows what it writes.
func TestCorpusHasTheSchemaOfThisBuild(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/v*/schema.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		} else if string(text) == checkCompletedText {
			return
		}
	}
	if version := os.Getenv("WEBCHECK_WRITE_CORPUS"); version != "" {
		writeCorpus(t, version)
		return
	}
	t.Errorf("none of %q is this build's schema: write a new folder with WEBCHECK_WRITE_CORPUS", files)
}

// writeCorpus writes a folder of the corpus, never over one that is there.
func writeCorpus(t *testing.T, version string) {
	t.Helper()
	dir := filepath.Join("testdata", "corpus", version)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("schema.avsc", []byte(checkCompletedText))
	events := map[string]*event.CheckCompleted{"usual": usualEvent(), "missed": missedEvent(), "down": downEvent()}
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 7 {
		events[fmt.Sprintf("random%d", i)] = randomEvent(rnd)
	}
	for name, e := range events {
		text, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		write(name+".bin", encode(t, CheckCompleted(TopicChecks), 1, e))
		write(name+".json", append(text, '\n'))
	}
}

// missedEvent returns an event of a slot in which nothing was measured.
func missedEvent() *event.CheckCompleted {
	u := usualEvent()
	return &event.CheckCompleted{
		EventID: u.EventID, TargetID: u.TargetID, Location: u.Location, Slot: u.Slot, StartedAt: u.StartedAt,
		Outcome: event.OutcomeMissed, Failure: new(event.FailureOverload), FailureText: new("256 checks were under way"),
		DefinitionVersion: u.DefinitionVersion, Prober: u.Prober,
	}
}

// downEvent returns an event of a target whose answer was not the expected one.
func downEvent() *event.CheckCompleted {
	e := usualEvent()
	e.Outcome, e.Failure, e.FailureText = event.OutcomeDown, new(event.FailureBody), new("the body does not match")
	e.Assertion, e.AssertionValue, e.RegexMatched = new("body matches \"Willkommen\""), new("<h1>Störung</h1>"), new(false)
	return e
}
