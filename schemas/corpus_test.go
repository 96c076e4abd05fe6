package schemas

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
)

// The corpus has a folder for each version of each schema: the schema's text as it was registered, values as they were
// written, and each value's event in JSON. Nothing in it is ever changed; today's reader must read all of it. The versions
// of CheckCompleted lie at the top, those of other events in a folder of the event's name.
//
// WEBCHECK_WRITE_CORPUS=v2 go test ./schemas -run CorpusHas writes the folders of a new version, once.

// corpus is the place of an event's versions, and what a new one is made of.
type corpus[E Event] struct {
	dir    string
	schema *Schema
	events func(*rand.Rand) map[string]*E
	check  func(t *testing.T, e *E) // what holds of every event, besides being read
}

func checksCorpus() corpus[event.CheckCompleted] {
	return corpus[event.CheckCompleted]{"testdata/corpus", CheckCompleted(TopicChecks), func(rnd *rand.Rand) map[string]*event.CheckCompleted {
		events := map[string]*event.CheckCompleted{"usual": usualEvent(), "missed": missedEvent(), "down": downEvent()}
		for i := range 7 {
			events[fmt.Sprintf("random%d", i)] = randomEvent(rnd)
		}
		newest := randomEvent(rnd)
		newest.Outcome, newest.Failure = newestSymbol(CheckCompleted(TopicChecks), "outcome"), new(newestSymbol(CheckCompleted(TopicChecks), "failure"))
		events["newest"] = newest
		return events
	}, func(t *testing.T, e *event.CheckCompleted) {
		if err := CheckEventID(e); err != nil {
			t.Error(err)
		}
	}}
}

func definitionsCorpus() corpus[event.TargetDefined] {
	return corpus[event.TargetDefined]{"testdata/corpus/TargetDefined", TargetDefined(TopicTargets), func(rnd *rand.Rand) map[string]*event.TargetDefined {
		events := map[string]*event.TargetDefined{"usual": usualDefinition()}
		for i := range 4 {
			events[fmt.Sprintf("random%d", i)] = randomDefinition(rnd)
		}
		return events
	}, func(*testing.T, *event.TargetDefined) {}}
}

func transitionsCorpus() corpus[event.TargetTransitioned] {
	return corpus[event.TargetTransitioned]{"testdata/corpus/TargetTransitioned", TargetTransitioned(TopicTransitions), func(rnd *rand.Rand) map[string]*event.TargetTransitioned {
		events := map[string]*event.TargetTransitioned{"usual": usualTransition()}
		for i := range 4 {
			events[fmt.Sprintf("random%d", i)] = randomTransition(rnd)
		}
		newest, schema := randomTransition(rnd), TargetTransitioned(TopicTransitions)
		newest.From, newest.To, newest.Kind = newestSymbol(schema, "from"), newestSymbol(schema, "to"), newestSymbol(schema, "kind")
		newest.EventID = TransitionID(newest.TargetID, newest.From, newest.To, newest.Slot)
		events["newest"] = newest
		return events
	}, func(t *testing.T, e *event.TargetTransitioned) {
		if want := TransitionID(e.TargetID, e.From, e.To, e.Slot); e.EventID != want {
			t.Errorf("the id is %s, want %s", e.EventID, want)
		}
	}}
}

// newestSymbol is the last symbol of a field's enum, which is the one that came last.
func newestSymbol(s *Schema, field string) string {
	for _, f := range s.record.Fields() {
		if enum := enumIn(f.Type(), true); f.Name() == field && enum != nil {
			return enum.Symbols()[len(enum.Symbols())-1]
		}
	}
	panic("no enum: " + field)
}

// corpusFolders are the folders with an event's versions, by its name.
func corpusFolders() map[string]string {
	return map[string]string{
		"CheckCompleted": checksCorpus().dir, "TargetDefined": definitionsCorpus().dir, "TargetTransitioned": transitionsCorpus().dir,
	}
}

func TestCorpusIsReadForEver(t *testing.T) {
	checksCorpus().read(t)
	definitionsCorpus().read(t)
	transitionsCorpus().read(t)
}

// read decodes every value of every version with today's reader.
func (c corpus[E]) read(t *testing.T) {
	versions, err := filepath.Glob(filepath.Join(c.dir, "v*"))
	if err != nil || len(versions) == 0 {
		t.Fatalf("no corpus in %s: %v", c.dir, err)
	}
	for _, version := range versions {
		schema, err := os.ReadFile(filepath.Join(version, "schema.avsc"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Compatible(LevelFullTransitive, c.schema.Text, []string{string(schema)}); err != nil {
			t.Error(err)
		}
		d := decoderFor[E](t, c.schema, string(schema))
		values, err := filepath.Glob(filepath.Join(version, "*.bin"))
		if err != nil || len(values) == 0 {
			t.Fatalf("no values in %s: %v", version, err)
		}
		for _, file := range values {
			t.Run(file, func(t *testing.T) { c.readValue(t, d, file) })
		}
	}
}

func (c corpus[E]) readValue(t *testing.T, d *DecoderOf[E], file string) {
	value, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(strings.TrimSuffix(file, ".bin") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var want E
	if err := json.Unmarshal(c.renamed(t, text), &want); err != nil {
		t.Fatal(err)
	}
	got := mustDecode(t, d, value)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.check(t, &got)
}

// renamed gives the JSON of an event with the names of today for fields that had others, which are known by their letters.
func (c corpus[E]) renamed(t *testing.T, text []byte) []byte {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	event := reflect.TypeFor[E]()
	for i, f := range c.schema.Fields() {
		for _, alias := range f.Aliases {
			for key, value := range object {
				if strings.EqualFold(key, strings.ReplaceAll(alias, "_", "")) {
					object[event.Field(i).Name] = value
				}
			}
		}
	}
	changed, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestCorpusHasTheSchemaOfThisBuild fails when a schema changed and no folder of the corpus shows what it writes.
func TestCorpusHasTheSchemaOfThisBuild(t *testing.T) {
	checksCorpus().has(t)
	definitionsCorpus().has(t)
	transitionsCorpus().has(t)
}

// has looks for the schema of this build in the corpus, and writes it there if it is told to.
func (c corpus[E]) has(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(c.dir, "v*", "schema.avsc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		} else if string(text) == c.schema.Text {
			c.showsEachField(t, filepath.Dir(file))
			return
		}
	}
	if version := os.Getenv("WEBCHECK_WRITE_CORPUS"); version != "" {
		c.write(t, version)
		return
	}
	t.Errorf("none of %q in %s is this build's schema: write a new folder with WEBCHECK_WRITE_CORPUS", files, c.dir)
}

// showsEachField holds that each field has a value somewhere in a version's samples: one that is null in all says nothing.
func (c corpus[E]) showsEachField(t *testing.T, version string) {
	t.Helper()
	shown := make(map[string]bool)
	texts, err := filepath.Glob(filepath.Join(version, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range texts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e E
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		fields := reflect.ValueOf(e)
		for i := range fields.NumField() {
			field := fields.Field(i)
			shown[fields.Type().Field(i).Tag.Get("avro")] = shown[fields.Type().Field(i).Tag.Get("avro")] || field.Kind() != reflect.Pointer || !field.IsNil()
		}
	}
	for name, is := range shown {
		if !is {
			t.Errorf("no value of %s has field %q", version, name)
		}
	}
}

// write writes a folder of the corpus, never over one that is there.
func (c corpus[E]) write(t *testing.T, version string) {
	t.Helper()
	dir := filepath.Join(c.dir, version)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("schema.avsc", []byte(c.schema.Text))
	for name, e := range c.events(rand.New(rand.NewPCG(1, 1))) {
		text, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		write(name+".bin", encode(t, c.schema, 1, e))
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
