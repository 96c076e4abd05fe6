package schemas

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := ParseSchema("s-value", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCompatibleFollowsItsLevel(t *testing.T) {
	base := record(field(`"int"`))
	optional := record(field(`"int"`), `{"name":"g","type":"int","default":1}`)
	required := record(field(`"int"`), `{"name":"g","type":"int"}`)
	wide := record(field(`"long"`))
	all := func(levels ...Level) map[Level]bool {
		m := map[Level]bool{LevelNone: true}
		for _, l := range levels {
			m[l] = true
		}
		return m
	}
	for _, c := range []struct {
		name  string
		newer string
		older []string
		may   map[Level]bool
	}{
		{"the first schema", base, nil, all(Levels()...)},
		{"the same schema", base, []string{base}, all(Levels()...)},
		{"a field with a default", optional, []string{base}, all(Levels()...)},
		{"a field with a default goes", base, []string{optional}, all(Levels()...)},
		{"a required field", required, []string{base}, all(LevelForward, LevelForwardTransitive)},
		{"a required field goes", base, []string{required}, all(LevelBackward, LevelBackwardTransitive)},
		{"a wider number", wide, []string{base}, all(LevelBackward, LevelBackwardTransitive)},
		// Each step is fine, the two together are not.
		{"a default that comes and goes", required, []string{base, optional}, all(LevelBackward, LevelForward, LevelFull, LevelForwardTransitive)},
	} {
		for _, level := range Levels() {
			t.Run(c.name+" at "+string(level), func(t *testing.T) {
				err := Compatible(level, c.newer, c.older)
				if (err == nil) != c.may[level] {
					t.Errorf("got %v, want allowed %v", err, c.may[level])
				}
				if err != nil && (!errors.Is(err, ErrIncompatible) || hintOf(err) == "") {
					t.Errorf("%v is not an ErrIncompatible with a hint", err)
				}
			})
		}
	}
}

func TestCompatibleTellsAllReasons(t *testing.T) {
	older := record(`{"name":"a","type":"int"}`, `{"name":"b","type":"string"}`)
	newer := record(`{"name":"a","type":"string"}`, `{"name":"b","type":"string"}`, `{"name":"c","type":"int"}`)
	err := Compatible(LevelFull, newer, []string{older})
	incompatible, ok := errors.AsType[*IncompatibleError](err)
	if !ok {
		t.Fatal(err)
	}
	want := []string{
		`field "a" in the new schema is a string, which does not take the int that the schema 1 before wrote`,
		`field "c" has no default in the new schema, and what the schema 1 before wrote lacks it`,
		`field "a" in the schema 1 before is an int, which does not take the string that the new schema writes`,
	}
	if diff := cmp.Diff(want, incompatible.Messages); diff != "" {
		t.Error(diff)
	}
}

// TestCompatibleAnswersEachQuestionAfresh asks about two schemas that differ in a default alone, in both orders. A
// checker that is kept gives the first answer twice, since its cache does not look at defaults.
func TestCompatibleAnswersEachQuestionAfresh(t *testing.T) {
	base := record(field(`"int"`))
	with := record(field(`"int"`), `{"name":"g","type":"int","default":1}`)
	without := record(field(`"int"`), `{"name":"g","type":"int"}`)
	for range 2 {
		if err := Compatible(LevelBackward, with, []string{base}); err != nil {
			t.Error(err)
		}
		if err := Compatible(LevelBackward, without, []string{base}); err == nil {
			t.Error("a field without a default was let through")
		}
	}
}

func TestCompatibleRefusesAnUnknownLevel(t *testing.T) {
	if err := Compatible("backward", checkCompletedText, nil); err == nil || !strings.Contains(err.Error(), `"backward"`) {
		t.Errorf("got %v", err)
	}
}
