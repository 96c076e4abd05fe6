package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// evolveCheckout is this checkout's files as they are, in a git repository of their own.
type evolveCheckout struct {
	t    *testing.T
	dir  string
	link string // of the program
}

func newEvolveCheckout(t *testing.T) *evolveCheckout {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := &evolveCheckout{t: t, dir: t.TempDir(), link: filepath.Join(t.TempDir(), "webcheck")}
	if err := os.Symlink(program, e.link); err != nil {
		t.Fatal(err)
	}
	listed, err := exec.CommandContext(t.Context(), "git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		if err := copyFile(filepath.Join("..", name), filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	e.git("init", "-q")
	e.commit()
	return e
}

func (e *evolveCheckout) git(args ...string) string {
	e.t.Helper()
	args = append([]string{"-C", e.dir, "-c", "user.name=test", "-c", "user.email=test@localhost"}, args...)
	out, err := exec.CommandContext(e.t.Context(), "git", args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (e *evolveCheckout) commit() {
	e.t.Helper()
	e.git("add", "-A")
	e.git("commit", "-q", "-m", "state")
}

// write changes a file.
func (e *evolveCheckout) write(name, old, text string) {
	e.t.Helper()
	before := mustReadFile(e.t, filepath.Join(e.dir, name))
	after := strings.Replace(before, old, text, 1)
	if before == after {
		e.t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(after), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

// evolve runs the command in a folder of the checkout and holds its exit code. It gives all that it prints.
func (e *evolveCheckout) evolve(want int, folder string, args ...string) string {
	e.t.Helper()
	cmd := exec.CommandContext(e.t.Context(), e.link, append([]string{"schema", "evolve"}, args...)...)
	cmd.Dir = filepath.Join(e.dir, folder)
	out, err := cmd.CombinedOutput()
	got := 0
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		got = exit.ExitCode()
	} else if err != nil {
		e.t.Fatal(err)
	}
	if got != want {
		e.t.Fatalf("%v: exit code %d, want %d:\n%s", args, got, want, out)
	}
	return string(out)
}

// unchanged holds that git finds nothing that is not committed, not even what it ignores.
func (e *evolveCheckout) unchanged(when string) {
	e.t.Helper()
	if out := e.git("status", "--porcelain", "--ignored", "--untracked-files=all"); out != "" {
		e.t.Errorf("%s: git status prints\n%s", when, out)
	}
}

func mustReadFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEvolveWritesTheWholeChangeAndGitUndoesIt(t *testing.T) {
	e := newEvolveCheckout(t)
	out := e.evolve(exitDone, "cli", "--add-field", "redirects:int", "--doc", "How many redirects were followed.")
	for _, want := range []string{"left for you:\n  fill Redirects in package prober", "to deploy it:\n  webcheck db migrate", "gen/event: generated, 1 file\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not print %q:\n%s", want, out)
		}
	}
	for file, want := range map[string]string{
		"gen/event/events.go":                  "Redirects *int32 `avro:\"redirects\"`",
		"gen/db/verify.sql.go":                 "&i.Redirects,",
		"schemas/testdata/corpus/v4/down.json": `"Redirects": `,
	} {
		if text := mustReadFile(t, filepath.Join(e.dir, file)); !strings.Contains(text, want) {
			t.Errorf("%s has no %q", file, want)
		}
	}
	if text, sample := mustReadFile(t, filepath.Join(e.dir, "schemas/events/CheckCompleted.avsc")), mustReadFile(t, filepath.Join(e.dir, "schemas/testdata/corpus/v4/schema.avsc")); text != sample {
		t.Error("the corpus has another schema")
	}
	e.evolve(exitFailed, ".", "--add-field", "hops:int", "--doc", "x") // before the first is committed
	e.git("checkout", "-q", ".")
	e.git("clean", "-q", "-f", "-d")
	e.unchanged("after undoing the change")
}

func TestEvolveWritesNothingWhenItRefusesOrFails(t *testing.T) {
	e := newEvolveCheckout(t)
	refuses := func(code int, want string, args ...string) {
		t.Helper()
		if out := e.evolve(code, ".", args...); !strings.Contains(out, want) {
			t.Errorf("%v: it does not print %q:\n%s", args, want, out)
		}
		e.unchanged(strings.Join(args, " "))
	}
	refuses(exitUsage, "not 0 of them")
	refuses(exitUsage, "not 2 of them", "--add-field", "x:int", "--remove-field", "y")
	refuses(exitUsage, `"redirects" is not NAME:TYPE`, "--add-field", "redirects")
	refuses(exitUsage, "--doc is for --add-field alone", "--remove-field", "dns_us", "--doc", "x")
	refuses(exitFailed, "hint: say it with --doc", "--add-field", "redirects:int")
	refuses(exitFailed, "hint: the types are boolean, int,", "--add-field", "redirects:decimal", "--doc", "x")
	refuses(exitFailed, "is never null", "--remove-field", "prober")

	e.write("Makefile", "\t$(TOOL) sqlc generate\n", "\t$(TOOL) sqlc generate\n\tfalse\n")
	e.commit()
	refuses(exitFailed, "nothing is changed: make -s generate", "--add-field", "redirects:int", "--doc", "x")

	e.write("schemas/events/CheckCompleted.avsc", `"doc": "Where the prober stands."`, `"doc": ""`)
	e.write("schemas/testdata/corpus/v3/schema.avsc", `"doc": "Where the prober stands."`, `"doc": ""`)
	e.commit()
	refuses(exitIncompatible, `field "location" has no doc`, "--add-field", "redirects:int", "--doc", "x")

	e.write("go.mod", "module webcheck\n", "module other\n")
	e.commit()
	refuses(exitFailed, "is no checkout of webcheck", "--remove-field", "dns_us")
}
