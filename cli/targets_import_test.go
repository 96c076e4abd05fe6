package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// importCorpus runs each archive of the corpus: files of other monitors, the arguments of the command in its first line, what is
// to be printed in want.yaml and want.notes.
func importCorpus(t *testing.T, do func(t *testing.T, args []string, want map[string]string)) {
	t.Helper()
	archives, err := filepath.Glob("testdata/import/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Chdir(t.TempDir())
			want := make(map[string]string)
			for _, file := range archive.Files {
				want[file.Name] = string(file.Data)
				if err := os.WriteFile(file.Name, file.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			do(t, strings.Fields(string(archive.Comment)), want)
		})
	}
}

// runImport returns what "webcheck targets import" prints, and its exit code.
func runImport(t *testing.T, args ...string) (code int, out, notes string) {
	t.Helper()
	var stdout, stderr strings.Builder
	system := System{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Env: given(nil, nil).env}
	code = Main(t.Context(), append([]string{"webcheck", "targets", "import"}, args...), system)
	return code, stdout.String(), stderr.String()
}

func TestAnImportIsReadAsTargetsAndSaysWhatIsLeft(t *testing.T) {
	importCorpus(t, func(t *testing.T, args []string, want map[string]string) {
		code, out, notes := runImport(t, args...)
		if code != exitDone {
			t.Fatalf("exit code %d: %s", code, notes)
		}
		if diff := cmp.Diff(want["want.yaml"], out); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want["want.notes"], notes); diff != "" {
			t.Error(diff)
		}
		if strings.Contains(out+notes, "hunter2") {
			t.Error("a secret is printed")
		}
		if again := exported(t, readTargetsText(t, out)...); again != out {
			t.Errorf("it is read as others: %s", cmp.Diff(out, again))
		}
		if code, _, errs := runImport(t, append(args, "--strict")...); code != exitFailed || !strings.Contains(errs, "not taken over\n") {
			t.Errorf("--strict: exit code %d: %s", code, errs)
		}
	})
}

func TestWhatIsNoFileOfAnotherMonitorIsSaid(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct{ text, want string }{
		"no YAML":            {"endpoints: [", "file.yaml:1:12: "},
		"not UTF-8":          {"\xff", "file.yaml: is not UTF-8 text"},
		"nothing":            {"", "file.yaml: there are no endpoints"},
		"another file":       {"targets: []", "file.yaml: there are no endpoints"},
		"no list":            {"endpoints: 1", "file.yaml:1:12: endpoints[0]: left out: it has no URL"},
		"an alias of itself": {"endpoints: &a\n  - <<: *b\n  - &b {<<: *b}\n  - *c\n", "endpoints[0]: left out: it has no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile("file.yaml", []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, errs := runImport(t, "gatus", "file.yaml")
			if !strings.Contains(errs, test.want) {
				t.Errorf("got  %s\nwant %s", errs, test.want)
			}
		})
	}
}

// FuzzImport holds that whatever is read ends, and that what it gives is valid.
func FuzzImport(f *testing.F) {
	archives, _ := filepath.Glob("testdata/import/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, read := range []func(*importer){
			(*importer).gatus, func(i *importer) { i.prometheus(usualModules()) }, func(i *importer) { i.prometheus(i.modules()) },
		} {
			i := newImporter("x.yaml", text)
			if len(i.d.faults) > 0 {
				return
			}
			read(i)
			for _, target := range i.targets {
				if faults := target.Validate(); len(faults) > 0 {
					t.Errorf("%+v: %v", target, faults)
				}
			}
		}
	})
}
