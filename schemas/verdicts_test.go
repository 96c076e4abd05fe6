package schemas

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// judgement is one line of testdata/verdicts.jsonl: what Avro Java says of a question. The tests of folder services hold the
// table against Avro Java itself, and say what the line must be where it is not.
type judgement struct {
	Name       string            `json:"name"`
	Level      Level             `json:"level"`
	Older      []json.RawMessage `json:"older"`
	Newer      json.RawMessage   `json:"newer"`
	Compatible bool              `json:"compatible"`
	Thrown     bool              `json:"thrown"` // Avro Java throws, and tells no breaks
	Breaks     []judgedBreak     `json:"breaks"`
}

// judgedBreak is what Avro Java and a [Break] have in common.
type judgedBreak struct {
	Older   int       `json:"older"`
	Side    Side      `json:"side"`
	Kind    BreakKind `json:"kind"`
	Pointer string    `json:"pointer"`
	Detail  string    `json:"detail"`
}

// asJudged returns each of breaks once, as Avro Java tells it.
func asJudged(breaks []Break) []judgedBreak {
	var judged []judgedBreak
	for _, b := range breaks {
		if j := (judgedBreak{b.Older, b.Side, b.Kind, b.Pointer, b.Detail}); !slices.Contains(judged, j) {
			judged = append(judged, j)
		}
	}
	return judged
}

// judgements reads the table.
func judgements(t testing.TB) []judgement {
	t.Helper()
	table, err := os.ReadFile("testdata/verdicts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []judgement
	lines := json.NewDecoder(bytes.NewReader(table))
	for lines.More() {
		var v judgement
		if err := lines.Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func (v judgement) olderTexts() []string {
	texts := make([]string, len(v.Older))
	for i, o := range v.Older {
		texts[i] = string(o)
	}
	return texts
}

func TestBreaksAreThoseOfAvroJava(t *testing.T) {
	levels, kinds := map[Level]int{}, map[BreakKind]int{}
	for _, v := range judgements(t) {
		levels[v.Level]++
		t.Run(v.Name+" at "+string(v.Level), func(t *testing.T) {
			got, err := Breaks(v.Level, string(v.Newer), v.olderTexts())
			if err != nil {
				t.Fatal(err)
			}
			if (len(got) == 0) != v.Compatible {
				t.Errorf("got %+v, want compatible %v", got, v.Compatible)
			}
			for _, b := range got {
				kinds[b.Kind]++
				if b.Line < 1 || b.Column < 1 || b.Message == "" || b.Hint == "" {
					t.Errorf("%+v has no place, no message or no hint", b)
				}
			}
			// Where Avro Java ends by an exception it has not told what else there is.
			if diff := cmp.Diff(v.Breaks, asJudged(got)); diff != "" && !v.Thrown {
				t.Errorf("the breaks are not those of Avro Java:\n%s", diff)
			}
		})
	}
	if len(levels) != len(Levels()) || len(kinds) != 6 {
		t.Errorf("the table has levels %v and kinds %v, not all", levels, kinds)
	}
}
