package evolve_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"webcheck/cli"
	"webcheck/cli/evolve"
	"webcheck/embedded/testservices/programs"
)

// Exit codes of the command (README, "Exit codes").
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitIncompatible = 100
)

// clone is this checkout's files as they are, in a git repository of their own.
type clone struct {
	t   *testing.T
	dir string
}

func newClone(t *testing.T) *clone {
	t.Helper()
	programs.Need(t, "git", "make")
	c := &clone{t: t, dir: t.TempDir()}
	evolve.CopyCheckout(t, c.dir)
	c.git("init", "-q")
	c.commit()
	return c
}

func (c *clone) git(args ...string) string {
	c.t.Helper()
	args = append([]string{"--git-dir", filepath.Join(c.dir, ".git"), "--work-tree", c.dir, "-C", c.dir, "-c", "user.name=test", "-c", "user.email=test@localhost"}, args...)
	out, err := exec.CommandContext(c.t.Context(), "git", args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (c *clone) commit() {
	c.t.Helper()
	c.git("add", "-A")
	c.git("commit", "-q", "-m", "state")
}

// write changes a file.
func (c *clone) write(name, old, text string) {
	c.t.Helper()
	before := mustReadFile(c.t, filepath.Join(c.dir, name))
	after := strings.Replace(before, old, text, 1)
	if before == after {
		c.t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(after), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// evolve runs the command in a folder of the clone and holds its exit code. It gives all that it prints.
func (c *clone) evolve(want int, folder string, args ...string) string {
	c.t.Helper()
	c.t.Chdir(filepath.Join(c.dir, folder))
	var out strings.Builder
	system := cli.System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Env: func(string) (string, bool) { return "", false }}
	if got := cli.Main(c.t.Context(), append([]string{"webcheck", "schema", "evolve"}, args...), system); got != want {
		c.t.Fatalf("%v: exit code %d, want %d:\n%s", args, got, want, out.String())
	}
	return out.String()
}

// unchanged holds that git finds nothing that is not committed, not even what it ignores.
func (c *clone) unchanged(when string) {
	c.t.Helper()
	if out := c.git("status", "--porcelain", "--ignored", "--untracked-files=all"); out != "" {
		c.t.Errorf("%s: git status prints\n%s", when, out)
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
	c := newClone(t)
	out := c.evolve(exitDone, "cli", "--add-field", "redirects:int", "--doc", "How many redirects were followed.")
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
		if text := mustReadFile(t, filepath.Join(c.dir, file)); !strings.Contains(text, want) {
			t.Errorf("%s has no %q", file, want)
		}
	}
	if text, sample := mustReadFile(t, filepath.Join(c.dir, "schemas/events/CheckCompleted.avsc")), mustReadFile(t, filepath.Join(c.dir, "schemas/testdata/corpus/v4/schema.avsc")); text != sample {
		t.Error("the corpus has another schema")
	}
	if out := c.evolve(exitFailed, ".", "--add-field", "hops:int", "--doc", "x"); !strings.Contains(out, "changed and not committed") {
		t.Errorf("before the first is committed it prints\n%s", out)
	}
	c.git("checkout", "-q", ".")
	c.git("clean", "-q", "-f", "-d")
	c.unchanged("after undoing the change")
}

func TestEvolveWritesNothingWhenItRefusesOrFails(t *testing.T) {
	c := newClone(t)
	refuses := func(code int, want string, args ...string) {
		t.Helper()
		if out := c.evolve(code, ".", args...); !strings.Contains(out, want) {
			t.Errorf("%v: it does not print %q:\n%s", args, want, out)
		}
		c.unchanged(strings.Join(args, " "))
	}
	refuses(exitUsage, "not 0 of them")
	refuses(exitUsage, "not 2 of them", "--add-field", "x:int", "--remove-field", "y")
	refuses(exitUsage, `"redirects" is not NAME:TYPE`, "--add-field", "redirects")
	refuses(exitUsage, "--doc is for --add-field alone", "--remove-field", "dns_us", "--doc", "x")
	refuses(exitFailed, "hint: say it with --doc", "--add-field", "redirects:int")
	refuses(exitFailed, "hint: the types are boolean, int,", "--add-field", "redirects:decimal", "--doc", "x")
	refuses(exitFailed, "is never null", "--remove-field", "prober")

	c.write("Makefile", "\t$(TOOL) sqlc generate\n", "\t$(TOOL) sqlc generate\n\tfalse\n")
	c.commit()
	refuses(exitFailed, "nothing is changed: make -s generate", "--add-field", "redirects:int", "--doc", "x")

	c.write("schemas/events/CheckCompleted.avsc", `"doc": "Where the prober stands."`, `"doc": ""`)
	c.write("schemas/testdata/corpus/v3/schema.avsc", `"doc": "Where the prober stands."`, `"doc": ""`)
	c.commit()
	refuses(exitIncompatible, `field "location" has no doc`, "--add-field", "redirects:int", "--doc", "x")

	c.write("go.mod", "module webcheck\n", "module other\n")
	c.commit()
	refuses(exitFailed, "is no checkout of webcheck", "--remove-field", "dns_us")
}
