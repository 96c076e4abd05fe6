package schemas

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented returns a schema text with a field on each line, the first on line 2, after a documented record on line 1.
func documented(fields ...string) string {
	return `{"type":"record","name":"R","namespace":"n","doc":"d","fields":[` + "\n" + strings.Join(fields, ",\n") + "\n]}"
}

// fieldOf returns a documented field of a type, with more of it in JSON.
func fieldOf(name, typ, more string) string {
	return fmt.Sprintf(`{"name":%q,"doc":"d","type":%s%s}`, name, typ, more)
}

// numbered names texts version 1, 2 …
func numbered(texts ...string) []Older {
	older := make([]Older, len(texts))
	for i, text := range texts {
		older[i] = Older{Name: fmt.Sprintf("version %d", i+1), Text: text}
	}
	return older
}

// optional returns a field that may be null and is by default.
func optional(name, typ string) string { return fieldOf(name, `["null",`+typ+`]`, `,"default":null`) }

// findings are those of a review in one line each: line, rule, field, and the older ones.
func findings(t *testing.T, level Level, text string, older []Older) []string {
	t.Helper()
	all, err := Review(level, "s-value", text, older)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range all {
		if f.Message == "" || f.Hint == "" || f.Column == 0 {
			t.Errorf("%+v has no message, no hint or no place", f)
		}
		line := fmt.Sprintf("%d %s", f.Line, f.Rule)
		for _, more := range []string{f.Field, f.Against} {
			if more != "" {
				line += " " + more
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestReviewFindsWhatATextAloneHasWrong(t *testing.T) {
	enum := `{"type":"enum","name":"E","symbols":["a"]}`
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", documented(fieldOf("a", `"int"`, "")), nil},
		{"no docs", "{\"type\":\"record\",\"name\":\"R\",\n\"fields\":[{\"name\":\"a\",\"type\":\"int\"},\n{\"name\":\"b\",\"type\":\"int\",\"doc\":\"\"}]}",
			[]string{"1 field_without_doc", "2 field_without_doc a", "3 field_without_doc b"}},
		{"an enum that cannot grow", documented(fieldOf("a", enum, ""), optional("b", strings.Replace(enum, "E", "G", 1)), fieldOf("c", `"E"`, "")),
			[]string{"2 enum_without_default a", "3 enum_without_default b"}},
		{"outside the profile", documented(fieldOf("a", `"int"`, ""), fieldOf("b", `{"type":"array","items":"int"}`, ""), fieldOf("c", `["int","null"]`, "")),
			[]string{"3 profile b", "4 profile c"}},
		{"outside the profile in a branch", documented(fieldOf("a", `["null",{"type":"map","values":"int"}]`, "")), []string{"2 profile a[1]"}},
		{"no record", `"int"`, []string{"1 profile"}},
		{"no JSON", "{\"type\":\"record\",\n\"name\" \"R\"}", []string{"2 not_avro"}},
		{"cut off", "{\"type\":\"record\",\n\"name\":", []string{"2 not_avro"}},
		{"empty", "", []string{"1 not_avro"}},
		{"an unknown type", documented(fieldOf("a", `"int"`, ""), fieldOf("b", `"nowhere"`, ""), fieldOf("c", `"int"`, "")), []string{"3 not_avro b"}},
		{"a field twice", documented(fieldOf("a", `"int"`, ""), fieldOf("b", `"int"`, ""), fieldOf("a", `"int"`, "")), []string{"4 not_avro a"}},
		{"a default of another type", documented(fieldOf("a", `"int"`, ""), fieldOf("b", `"int"`, `,"default":"x"`)), []string{"3 not_avro b"}},
		{"a keyword in capitals", documented(fieldOf("a", `"int"`, ""), fieldOf("b", `["null","int"]`, `,"Default":null`)), []string{"3 not_avro b"}},
		{"a property in capitals besides the keyword", documented(fieldOf("a", `"int"`, `,"Doc":1`)), nil},
		{"a default for what has no branches", documented(fieldOf("a", `[]`, `,"default":null`)), []string{"2 not_avro a"}},
		{"a record without a name", `{"type":"record","fields":[]}`, []string{"1 not_avro"}},
		{"too deep", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), []string{"1 not_avro"}},
		{"too deep by far", strings.Repeat("[", 1e6), []string{"1 not_avro"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, findings(t, LevelFullTransitive, c.text, nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReviewFindsWhatOlderVersionsForbid(t *testing.T) {
	enum := func(symbols ...string) string {
		return fmt.Sprintf(`{"type":"enum","name":"E","symbols":[%s],"default":%q}`, quoted(symbols), symbols[0])
	}
	moment := func(unit string) string { return `{"type":"long","logicalType":"timestamp-` + unit + `"}` }
	a, b := fieldOf("a", `"int"`, ""), optional("b", `"int"`)
	for _, c := range []struct {
		name  string
		level Level
		older []string
		text  string
		want  []string
	}{
		{"nothing", LevelFullTransitive, []string{documented(a), documented(a, b)}, documented(a, b, optional("c", `"string"`)), nil},
		{"a new field without default", LevelNone, []string{documented(a), documented(a)}, documented(a, fieldOf("b", `"int"`, "")),
			[]string{"3 new_field_without_default b versions 1 and 2"}},
		{"one that is a break is told once", LevelBackward, []string{documented(a)}, documented(a, fieldOf("b", `"int"`, "")),
			[]string{"3 reader_field_missing_default_value b version 1"}},
		{"one that the last version has", LevelBackward, []string{documented(a), documented(a, fieldOf("b", `"int"`, ""))}, documented(a, fieldOf("b", `"int"`, "")),
			[]string{"3 new_field_without_default b version 1"}},
		{"a new field that is never null", LevelFull, []string{documented(a)}, documented(a, fieldOf("b", `"int"`, `,"default":0`)),
			[]string{"3 new_field_not_nullable b version 1"}},
		{"one that the last version has already", LevelFull, []string{documented(a), documented(a, fieldOf("b", `"int"`, `,"default":0`))}, documented(a, fieldOf("b", `"int"`, `,"default":0`)), nil},
		{"a removed name", LevelBackward, []string{documented(a, b), documented(a)}, documented(a, b, optional("c", `"int"`)),
			[]string{"3 reused_name b version 1"}},
		{"a removed name as an alias", LevelBackward, []string{documented(a, b), documented(a)},
			documented(a, fieldOf("c", `["null","int"]`, `,"default":null,"aliases":["b"]`)), []string{"3 reused_name c version 1"}},
		{"a removed alias", LevelBackward, []string{documented(a), documented(fieldOf("x", `"int"`, `,"aliases":["a"]`)), documented(fieldOf("x", `"int"`, ""))},
			documented(fieldOf("x", `"int"`, ""), optional("a", `"string"`)), []string{"2 new_field_without_default x version 1", "3 reused_name a version 1"}},
		{"a name that was reused before", LevelBackward, []string{documented(a, b), documented(a), documented(a, b, optional("c", `"int"`))},
			documented(a, b, optional("c", `"int"`), optional("d", `"int"`)), nil},
		{"an older version once more", LevelBackward, []string{documented(a, b), documented(a)}, documented(a, b), nil},
		{"a new name in its place", LevelBackward, []string{documented(a, b)}, documented(a, optional("c", `"int"`)),
			[]string{"3 renamed_without_alias c version 1"}},
		{"a new name in another place", LevelBackward, []string{documented(b, a)}, documented(a, optional("c", `"int"`)),
			[]string{"3 renamed_without_alias c version 1"}},
		{"a new name with an alias", LevelBackward, []string{documented(a, b)}, documented(a, fieldOf("c", `["null","int"]`, `,"default":null,"aliases":["b"]`)), nil},
		{"a removed field and a new one of another type", LevelBackward, []string{documented(a, b)}, documented(a, optional("c", `"string"`)), nil},
		{"two of a type in other places", LevelBackward, []string{documented(b, a)}, documented(a, optional("c", `"int"`), optional("d", `"int"`)), nil},
		{"a removed symbol", LevelFull, []string{documented(fieldOf("a", enum("x", "y"), "")), documented(fieldOf("a", enum("x", "y", "z"), ""))}, documented(fieldOf("a", enum("x"), "")),
			[]string{"2 removed_symbol a versions 1 and 2"}},
		{"another unit", LevelFullTransitive, []string{documented(fieldOf("a", moment("millis"), "")), documented(fieldOf("a", moment("millis"), ""))},
			documented(fieldOf("a", moment("micros"), "")), []string{"2 changed_unit a versions 1 and 2"}},
		{"a break with each of several", LevelBackwardTransitive, []string{documented(a), documented(a), documented(a)}, documented(fieldOf("a", `"string"`, "")),
			[]string{"2 type_mismatch a versions 1 to 3"}},
		{"a break for either side", LevelFull, []string{documented(a)}, documented(fieldOf("a", `"string"`, "")),
			[]string{"2 type_mismatch a version 1", "2 type_mismatch a version 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, findings(t, c.level, c.text, numbered(c.older...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReviewNamesTheOlderSchemas(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"main"}, "main"},
		{[]string{"version 3", "version 4"}, "versions 3 and 4"},
		{[]string{"version 3", "version 4", "version 5"}, "versions 3 to 5"},
		{[]string{"version 3", "version 5"}, "versions 3 and 5"},
		{[]string{"version 1", "version 2", "version 3", "version 5", "version 8", "version 9"}, "versions 1 to 3, 5 and 8 to 9"},
		{[]string{"version 3", "main", "v1.2"}, "version 3, main and v1.2"},
	} {
		if got := together(c.names); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestReviewRefusesWhatItCannotCompareWith(t *testing.T) {
	for _, c := range []struct {
		level Level
		older Older
		want  string
	}{
		{"full", Older{"main", `"int"`}, `"full"`},
		{LevelFull, Older{"main", `"nowhere"`}, "reading main: "},
	} {
		if _, err := Review(c.level, "s-value", `"int"`, []Older{c.older}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestThisBuildsSchemasFollowTheirVersions reviews each schema of this build against every version of the corpus.
func TestThisBuildsSchemasFollowTheirVersions(t *testing.T) {
	for text, older := range ownVersions(t) {
		all, err := Review(LevelFullTransitive, "s-value", text, older)
		if err != nil || len(all) > 0 {
			t.Errorf("%.60s: %v, %+v", text, err, all)
		}
	}
}

// ownVersions returns each schema text of this build with the versions of it that the corpus has.
func ownVersions(t testing.TB) map[string][]Older {
	t.Helper()
	all := make(map[string][]Older)
	for folder, text := range map[string]string{".": checkCompletedText, "TargetDefined": targetDefinedText, "TargetTransitioned": targetTransitionedText} {
		files, err := filepath.Glob(filepath.Join("testdata/corpus", folder, "v*", "schema.avsc"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no versions of %s: %v", folder, err)
		}
		slices.Sort(files)
		for _, file := range files {
			was, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			version := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "v")
			all[text] = append(all[text], Older{Name: "version " + version, Text: string(was)})
		}
	}
	return all
}

// BenchmarkReview reviews this build's three schemas against 20 versions of each, as schema check does.
func BenchmarkReview(b *testing.B) {
	var texts []string
	var older [][]Older
	for text, own := range ownVersions(b) {
		twenty := make([]Older, 20)
		for i := range twenty {
			twenty[i] = own[i%len(own)]
		}
		texts, older = append(texts, text), append(older, twenty)
	}
	for b.Loop() {
		for i, text := range texts {
			if _, err := Review(LevelFullTransitive, "s-value", text, older[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
