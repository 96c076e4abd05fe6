package services_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/avropairs"
	"webcheck/embedded/testservices/seed"
	"webcheck/schemas"
)

// question is a line for the Java judge.
type question struct {
	Level schemas.Level `json:"level"`
	Newer string        `json:"newer"`
	Older []string      `json:"older"`
}

// answer is the judge's.
type answer struct {
	Compatible bool     `json:"compatible"`
	Breaks     []broken `json:"breaks,omitempty"`
	Refused    string   `json:"refused,omitempty"`
	Thrown     string   `json:"thrown,omitempty"`
}

// broken is a break as the judge tells it.
type broken struct {
	Older   int               `json:"older"`
	Side    schemas.Side      `json:"side"`
	Kind    schemas.BreakKind `json:"kind"`
	Pointer string            `json:"pointer"`
	Detail  string            `json:"detail"`
}

// judge asks Avro Java all the questions, in one run of it.
func judge(t *testing.T, questions []question) []answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readTimeout+time.Duration(len(questions))*10*time.Millisecond)
	defer cancel()
	command := exec.CommandContext(ctx, "java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath(t, "Judge"), "webcheck.Judge")
	var stdin, stdout, stderr bytes.Buffer
	lines := json.NewEncoder(&stdin)
	for _, q := range questions {
		if err := lines.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	command.Stdin, command.Stdout, command.Stderr = &stdin, &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("the Java judge: %v\n%s", err, &stderr)
	}
	var answers []answer
	decoder := json.NewDecoder(&stdout)
	for decoder.More() {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		a.Breaks = each(a.Breaks)
		answers = append(answers, a)
	}
	if len(answers) != len(questions) {
		t.Fatalf("got %d answers to %d questions\n%s", len(answers), len(questions), &stderr)
	}
	return answers
}

// each returns every break once: where a type is met twice, Avro Java tells twice what it found the first time.
func each(all []broken) []broken {
	var found []broken
	for _, b := range all {
		if !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	return found
}

// TestTheTableOfVerdictsIsAvroJavas holds the table that package schemas is tested by against Avro Java.
func TestTheTableOfVerdictsIsAvroJavas(t *testing.T) {
	file, err := os.Open("../schemas/testdata/verdicts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var questions []question
	var names []string
	var want []answer
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			Name       string            `json:"name"`
			Level      schemas.Level     `json:"level"`
			Older      []json.RawMessage `json:"older"`
			Newer      json.RawMessage   `json:"newer"`
			Compatible bool              `json:"compatible"`
			Thrown     bool              `json:"thrown"`
			Breaks     []broken          `json:"breaks"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		q := question{Level: line.Level, Newer: string(line.Newer), Older: []string{}}
		for _, o := range line.Older {
			q.Older = append(q.Older, string(o))
		}
		a := answer{Compatible: line.Compatible, Breaks: line.Breaks}
		if line.Thrown {
			a.Thrown = "thrown"
		}
		questions, names, want = append(questions, q), append(names, line.Name), append(want, a)
	}
	if len(questions) < 120 {
		t.Fatalf("the table has %d lines", len(questions))
	}
	for i, got := range judge(t, questions) {
		if got.Thrown != "" {
			got.Thrown = "thrown"
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			right, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s at %s: the table (-) is not what Avro Java says (+):\n%s\nits line must have %s", names[i], questions[i].Level, diff, right)
		}
	}
}

// TestGeneratedSchemasAreJudgedAsByAvroJava compares verdicts, and the places and reasons, over random changes of random
// schemas, and some that have nothing to do with one another, in both directions.
func TestGeneratedSchemasAreJudgedAsByAvroJava(t *testing.T) {
	random := seed.Random(t)
	questions := make([]question, seed.Runs(t, 1000))
	for i := range questions {
		older, newer := avropairs.Random(random)
		questions[i] = question{Level: schemas.LevelFull, Newer: newer, Older: []string{older}}
	}
	var compatible, thrown int
	for i, java := range judge(t, questions) {
		q := questions[i]
		if java.Refused != "" {
			t.Errorf("Avro Java refuses a schema: %s\nolder %s\nnewer %s", java.Refused, q.Older[0], q.Newer)
			continue
		}
		breaks, err := schemas.Breaks(q.Level, q.Newer, q.Older)
		if err != nil {
			t.Errorf("%v\nolder %s\nnewer %s", err, q.Older[0], q.Newer)
			continue
		}
		var ours []broken
		for _, b := range breaks {
			ours = append(ours, broken{b.Older, b.Side, b.Kind, b.Pointer, b.Detail})
		}
		if java.Thrown != "" {
			thrown++
			java.Breaks, ours = nil, nil // it has not told what else there is
		}
		if java.Compatible {
			compatible++
		}
		if java.Compatible != (len(breaks) == 0) || !cmp.Equal(java.Breaks, each(ours)) {
			t.Errorf("the judgement of Avro Java (-) and ours (+) differ:\n%s\n%s\nolder %s\nnewer %s",
				cmp.Diff(java.Breaks, each(ours)), java.Thrown, q.Older[0], q.Newer)
		}
	}
	t.Logf("%d pairs: %d compatible both ways, %d where Avro Java throws", len(questions), compatible, thrown)
	if compatible < len(questions)/20 || compatible > len(questions)*19/20 {
		t.Errorf("%d of %d pairs are compatible: the generator shows little", compatible, len(questions))
	}
}
