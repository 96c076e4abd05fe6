package schemas

import (
	"strings"
	"testing"
)

func TestLocateFindsWhereAValueBegins(t *testing.T) {
	const text = "{\n" +
		"  \"type\" : \"record\", \"ä\": {\"\": 1}, \"a/b\": [1, [ 2,3]], \"m~n\":null,\n" +
		"\t\"fields\": [\n" +
		"    {\"name\": \"é\", \"type\": [\"null\",\r\n {\"type\":\"int\"}]},\n" +
		"    {}, {\"name\": 1, \"name\": {\"x\": 2}}]\n" +
		"}"
	for _, c := range []struct {
		pointer      string
		line, column int
	}{
		{"", 1, 1}, {"/", 1, 1},
		{"/type", 2, 12}, {"/ä", 2, 27}, {"/ä/", 2, 32}, {"/a~1b", 2, 43}, {"/a~1b/0", 2, 44}, {"/a~1b/1/1", 2, 51}, {"/m~0n", 2, 62},
		{"/fields", 3, 12}, {"/fields/0", 4, 5}, {"/fields/0/name", 4, 14}, {"/fields/0/type/0", 4, 28}, {"/fields/0/type/1", 5, 2}, {"/fields/0/type/1/type", 5, 10},
		{"/fields/1", 6, 5}, {"/fields/2/name", 6, 29}, {"/fields/2/name/x", 6, 35},
		{"/fields/3", 0, 0}, {"/fields/-1", 0, 0}, {"/fields/00", 0, 0}, {"/fields/-", 0, 0}, {"/fields/0/nothing", 0, 0}, {"/type/0", 0, 0}, {"/type/", 0, 0},
		{"type", 0, 0}, {"/a/b", 0, 0}, {"/fields/18446744073709551616", 0, 0},
	} {
		if line, column := Locate(text, c.pointer); line != c.line || column != c.column {
			t.Errorf("%q: got %d:%d, want %d:%d", c.pointer, line, column, c.line, c.column)
		}
	}
}

func TestLocateEndsOnHostileTexts(t *testing.T) {
	for _, c := range []struct {
		name, text, pointer string
		line                int
	}{
		{"empty", "", "", 0},
		{"blank", " \n ", "", 0},
		{"no JSON", "nonsense", "/a", 0},
		{"cut off in an object", `{"a":[1,{"b"`, "/a/1", 1},
		{"cut off in a text", `{"a":"b`, "/a", 0},
		{"cut off before what is asked for", `{"a":`, "/a", 0},
		{"closed twice", `{"a":1}}`, "/a", 1},
		{"too deep", strings.Repeat("[", 1e6), strings.Repeat("/0", 1e6), 0},
		{"too deep for what is in it, not above", `{"a":` + strings.Repeat("[", 1e5), "/a", 1},
		{"a key that is no text", `{1:2}`, "/1", 0},
		{"a key a hundred thousand times", `{` + strings.Repeat("\"a\":1,\n", 1e5) + `"a":2}`, "/a", 1e5 + 1},
		{"bytes that are no UTF-8", "{\"\xff\":\n1}", "/\ufffd", 2},
	} {
		if line, _ := Locate(c.text, c.pointer); line != c.line {
			t.Errorf("%s: got line %d, want %d", c.name, line, c.line)
		}
	}
}

// FuzzReview reviews any text against any other. Whatever they are, it ends with places that are in the text, the library and
// the walk agree, and a text that differs from itself in nothing has no break with itself.
func FuzzReview(f *testing.F) {
	for _, v := range judgements(f) {
		for _, older := range v.olderTexts() {
			f.Add(string(v.Newer), older)
		}
	}
	f.Add(checkCompletedText, checkCompletedText[:len(checkCompletedText)/2])
	f.Add(`{"type":"record","name":"R","aliases":["Q"],"fields":[{"name":"f","type":{"type":["null","R"]},"default":null},{"Name":"g","type":null}]}`, `"int"`)
	f.Fuzz(func(t *testing.T, newer, older string) {
		lines := strings.Count(newer, "\n") + 1
		all, err := Review(LevelFull, "s-value", newer, []Older{{"older", older}})
		if (err != nil) != (CheckAvro(older) != nil) {
			t.Fatalf("%q: %v", older, err)
		}
		for _, finding := range all {
			if finding.Line < 0 || finding.Line > lines || finding.Message == "" {
				t.Fatalf("%q: %+v", newer, finding)
			}
		}
		if CheckAvro(newer) != nil || err != nil {
			return
		}
		checkAgreement(t, newer, older)
		checkAgreement(t, older, newer)
		if changes, err := Diff(newer, newer); err == nil && len(changes) > 0 {
			t.Fatalf("%q differs from itself: %+v", newer, changes)
		}
		_, _ = Diff(older, newer)
	})
}
