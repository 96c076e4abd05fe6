package cli

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/schemas"
)

func TestPathsComeInTheOrderOfTheirNumbers(t *testing.T) {
	want := []string{"", "a", "a/v1", "a/v2", "a/v02b", "a/v10", "a/v10/x", "a/vx", "b/00000000000000000000000000001", "b/99999999999999999999999999998", "b/99999999999999999999999999999"}
	got := slices.Clone(want)
	slices.Reverse(got)
	if slices.SortFunc(got, compareNatural); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNumbersOfVersionsAreWrittenAsRanges(t *testing.T) {
	for want, numbers := range map[string][]int{"none": nil, "1": {1}, "1-3": {1, 2, 3}, "1-2, 4, 7-8": {1, 2, 4, 7, 8}} {
		if got := versionsText(numbers); got != want {
			t.Errorf("%v: got %q, want %q", numbers, got, want)
		}
	}
}

// hostile is a finding in which every text tries to be something else.
var hostile = schemaFinding{
	File: "a,b:c%.avsc", Line: 3, Column: 5, Subject: "s", Field: "f", Rule: "x::y\n::error::z", Against: "\x1b[2J", Message: "50% of\r\n::stop-commands::t", Hint: "<&\"\x00\u202e",
}

func TestAnAnnotationForGitHubIsOneCommand(t *testing.T) {
	want := `::error file=a%2Cb%3Ac%25.avsc,line=3,col=5,title=x%3A%3Ay\n%3A%3Aerror%3A%3Az::` +
		`f: 50%25 of\r%0A::stop-commands::t [x::y%0A::error::z, against \x1b[2J]%0A<&"\x00\u202e`
	if got := hostile.annotation(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAReportForJUnitIsWholeWhateverIsInIt(t *testing.T) {
	var out strings.Builder
	v := &verdict{judged: []judgedSchema{{subject: "s", name: "n.R", file: "a"}, {subject: "other", file: "b"}}, findings: []schemaFinding{hostile}}
	if err := (&printer{out: &out}).verdict(v, formatJUnit); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suites) != 2 || !strings.Contains(got.Suites[0].Cases[0].Failure.Text, `a,b:c%.avsc:3:5: f: 50% of\r\n`) {
		t.Errorf("got %+v", got)
	}
	if strings.ContainsAny(out.String(), "\x1b\x00\u202e") {
		t.Errorf("it holds what steers a terminal: %q", out.String())
	}
}

// TestADirectoryHasOneSchemaForEachEvent changes a directory of this build's schemas.
func TestADirectoryHasOneSchemaForEachEvent(t *testing.T) {
	var built []judgedSchema
	for _, s := range builtSchemas() {
		built = append(built, judgedSchema{s.Subject, s.Name(), "", s.Text})
	}
	read := func(change func(dir string)) ([]judgedSchema, error) {
		dir := t.TempDir()
		for _, s := range built {
			write(t, filepath.Join(dir, eventFile(s.name)), s.text)
		}
		change(dir)
		return readJudged(dir, built)
	}
	if got, err := read(func(string) {}); err != nil || len(got) != 3 || !strings.HasSuffix(got[1].file, "/CheckCompleted.avsc") {
		t.Errorf("got %v, %v", got, err)
	}
	got, err := read(func(dir string) { write(t, filepath.Join(dir, "CheckCompleted.avsc"), "{") })
	if err != nil || got[1].text != "{" {
		t.Errorf("a text that is no schema: got %v, %v, want it to be judged", got, err)
	}
	for want, change := range map[string]func(dir string){
		"there is no schema of webcheck.CheckCompleted": func(dir string) { _ = os.Remove(filepath.Join(dir, "CheckCompleted.avsc")) },
		"Copy.avsc and TargetDefined.avsc are both the": func(dir string) { write(t, filepath.Join(dir, "Copy.avsc"), built[0].text) },
		"is no event of this build":                     func(dir string) { write(t, filepath.Join(dir, "Other.avsc"), "{}") },
		"it has more than 65536 bytes":                  func(dir string) { write(t, filepath.Join(dir, "CheckCompleted.avsc"), strings.Repeat(" ", 70_000)) },
		"it is not a file":                              func(dir string) { _ = os.Mkdir(filepath.Join(dir, "Other.avsc"), 0o700) },
	} {
		if _, err := read(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryEndOfACommandHasItsCode(t *testing.T) {
	for want, err := range map[int]error{
		exitDone: nil, exitFailed: errors.New("x"), exitUsage: usageError{errors.New("x")}, exitDown: errSomethingDown, exitIncompatible: errIncompatible,
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}

// BenchmarkCheckOffline is a whole check against the schemas of the corpus, without the start of the process.
func BenchmarkCheckOffline(b *testing.B) {
	system := System{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: os.Stderr, Env: given(nil, nil).env}
	for b.Loop() {
		if code := Main(b.Context(), []string{"webcheck", "schema", "check", "--against", "../schemas/testdata/corpus"}, system); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
}

// FuzzExport reads exports: one that is accepted says the same after it was written and read again.
func FuzzExport(f *testing.F) {
	for _, e := range []schemaExport{
		exportBuild([]judgedSchema{{subject: "a-value", text: `"string"`}}),
		{exportFormat, []exportedSubject{{"a", schemas.LevelFull, []exportedVersion{{1, 3, true, `"int"`}, {2, 4, false, `"long"`}}}, {Subject: "b"}}},
	} {
		text, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := parseExport(text)
		if err != nil {
			return
		}
		var out strings.Builder
		p := &program{System: System{Stdout: &out}}
		if err := p.writeExport(read); err != nil {
			t.Fatal(err)
		}
		again, err := parseExport([]byte(out.String()))
		if err != nil || !cmp.Equal(read, again) {
			t.Errorf("got %+v, %v, want %+v", again, err, read)
		}
	})
}
