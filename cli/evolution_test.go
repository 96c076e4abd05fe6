package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/cli/evolve"
	"webcheck/embedded/testservices/programs"
)

// newerBuild is a copy of these sources in which CheckCompleted gets a field, as a person would add it.
type newerBuild struct {
	ctx     context.Context
	t       *testing.T
	dir     string
	program string
}

// newNewerBuild walks the way that README.md describes: the schema first, then what the compiler says.
func newNewerBuild(ctx context.Context, t *testing.T) *newerBuild {
	t.Helper()
	programs.Need(t, "git", "make")
	b := &newerBuild{ctx: ctx, t: t, dir: t.TempDir()}
	b.program = filepath.Join(b.dir, "build", "webcheck")
	if err := copyCheckout(ctx, "..", b.dir); err != nil {
		t.Fatal(err)
	}
	b.edit("schemas/events/CheckCompleted.avsc", "ran the check.\"}\n", "ran the check.\"},\n"+
		`    {"name": "redirects", "type": ["null", "int"], "default": null, "doc": "How many redirects were followed."}`+"\n")
	b.mustRun("make", "-s", "generate")
	out, err := b.run("go", "build", "./processor")
	if want := "processor/row.go"; err == nil || !strings.Contains(out, want) || !strings.Contains(out, "queriesChecksSQLHasToFollow") || !strings.Contains(out, "db.CopyChecksParams") {
		t.Fatalf("the compiler does not say which SQL has to follow: %v\n%s", err, out)
	}
	b.follow()
	b.mustRun("make", "-s", "generate")
	b.mustRun("go", "build", "-o", b.program, "./cli/webcheck")
	return b
}

// follow names the column in SQL, and lets the prober fill the field.
func (b *newerBuild) follow() {
	b.t.Helper()
	name := filepath.Join(b.dir, "queries", "migrations", "00008_redirects.sql")
	if err := writeFile(name, []byte("-- +goose Up\nALTER TABLE checks ADD COLUMN redirects integer;\n\n-- +goose Down\nALTER TABLE checks DROP COLUMN redirects;\n")); err != nil {
		b.t.Fatal(err)
	}
	b.edit("queries/checks.sql", "prober\n", "prober, redirects\n")
	b.edit("queries/checks.sql", "excluded.prober, redirects\n", "excluded.prober, excluded.redirects\n")
	b.edit("queries/checks.sql", "$26\n", "$26, $27\n")
	b.edit("queries/verify.sql", "prober\n", "prober, redirects\n")
	b.edit("prober/observe.go", "\to.describeHops(e)\n", "\to.describeHops(e)\n\te.Redirects = new(int32(3))\n")
}

// sameAsEvolve holds what was written by hand against what "webcheck schema evolve" would write: but for where lines end it is the same.
func (b *newerBuild) sameAsEvolve() {
	b.t.Helper()
	plan, err := evolve.New(os.DirFS(".."), evolve.Change{
		Kind: evolve.AddField, Event: "CheckCompleted", Name: "redirects", Type: "int", Doc: "How many redirects were followed.",
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"schemas/events/CheckCompleted.avsc", "queries/checks.sql", "queries/verify.sql"} {
		byHand, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			b.t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Fields(plan.Files[name]), strings.Fields(string(byHand))); diff != "" {
			b.t.Errorf("%s: evolve (-) writes something else than a person (+):\n%s", name, diff)
		}
	}
}

// edit replaces a text in a file, wherever it is.
func (b *newerBuild) edit(name, old, text string) {
	b.t.Helper()
	file := filepath.Join(b.dir, name)
	before, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	after := strings.ReplaceAll(string(before), old, text)
	if after == string(before) {
		b.t.Fatalf("%s has no %q", name, old)
	}
	if err := writeFile(file, []byte(after)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *newerBuild) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = b.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *newerBuild) mustRun(name string, args ...string) {
	b.t.Helper()
	if out, err := b.run(name, args...); err != nil {
		b.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// check holds what the new build says of its schemas, and of one that takes a field away that readers need.
func (b *newerBuild) check() {
	b.t.Helper()
	older, err := filepath.Abs("../schemas/events")
	if err != nil {
		b.t.Fatal(err)
	}
	b.mustRun(b.program, "schema", "check", "--against", older)
	broken := filepath.Join(b.dir, "build", "broken")
	for _, name := range []string{"CheckCompleted.avsc", "TargetDefined.avsc", "TargetTransitioned.avsc"} {
		if err := copyFile(filepath.Join(older, name), filepath.Join(broken, name)); err != nil {
			b.t.Fatal(err)
		}
	}
	b.edit("build/broken/CheckCompleted.avsc", `"name": "prober", "type": "string"`, `"name": "prober", "type": "int"`)
	out, err := b.run(b.program, "schema", "check", "--schemas", broken, "--against", older)
	if exitStatus(err) != exitIncompatible || !strings.Contains(out, "type_mismatch") {
		b.t.Errorf("the schema that breaks readers: %v\n%s", err, out)
	}
}

// exitStatus is the exit code that an error of a command stands for.
func exitStatus(err error) int {
	if exit, is := err.(*exec.ExitError); is {
		return exit.ExitCode()
	}
	return 0
}

// rollout is a location with its probers and processors, of which each is replaced by one of the newer build.
type rollout struct {
	*probers
	older, newer string
}

// Bounds of the upgrade: some hundred checks a second, and seconds of them in each of its states.
const (
	rolloutTargets  = 100
	rolloutInterval = 250 * time.Millisecond
	rolloutChecks   = 1000
)

func newRollout(ctx context.Context, t *testing.T, newer string) *rollout {
	t.Helper()
	p := newProbers(ctx, t, rolloutTargets, rolloutInterval)
	return &rollout{probers: p, older: p.program, newer: newer}
}

func (r *rollout) process(name string) *child {
	r.t.Helper()
	return r.start("process", "--processor-name", name)
}

// load waits until the probers of now have measured, and the processors of now have stored, what makes a state of the upgrade last.
func (r *rollout) load(state string) {
	r.t.Helper()
	r.await(state, rolloutChecks, "SELECT count(*) FROM checks WHERE outcome <> 'missed' AND started_at > $1", time.Now())
}

const filledRows = "SELECT count(*) FROM checks WHERE redirects = 3 AND prober = $1 AND started_at > $2"

// TestANewFieldIsRolledOutUnderLoadAndNothingIsLost adds a field by hand, and replaces two probers and two processors of this build one
// by one by those of the newer one while they work. A prober comes first and a prober last, so that each build reads what the other wrote.
func TestANewFieldIsRolledOutUnderLoadAndNothingIsLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*crashPatience)
	defer cancel()
	b := newNewerBuild(ctx, t)
	b.check()
	b.sameAsEvolve()
	r := newRollout(ctx, t, b.program)
	r.run("topics", "create")
	r.run("db", "migrate")
	r.run("schema", "register")
	r.run("targets", "apply")
	processors := []*child{r.process("one"), r.process("two")}
	oldProbers := []*child{r.probe("older-1"), r.probe("older-2")}
	for _, name := range []string{"older-1", "older-2"} {
		r.await(name+" has a share", 4, measuredBy, name, time.Time{})
	}
	r.load("all are older")

	r.program = r.newer
	r.run("db", "migrate")
	r.run("schema", "register")
	oldProbers[0].stop()
	since := time.Now()
	newProbers := []*child{r.probe("newer-1"), nil}
	r.await("older processors read the newer prober", 4, measuredBy+" AND redirects IS NULL", "newer-1", since)
	r.load("one prober is newer")
	for i, name := range []string{"one", "two"} {
		processors[i].stop()
		processors[i] = r.process(name)
		r.load("processor " + name + " is newer")
	}
	since = time.Now()
	r.await("newer processors read the older prober", 4, measuredBy, "older-2", since)
	r.await("newer processors read the newer prober", 4, filledRows, "newer-1", since)
	oldProbers[1].stop()
	newProbers[1] = r.probe("newer-2")
	since = time.Now()
	for _, name := range []string{"newer-1", "newer-2"} {
		r.await(name+" writes the field", rolloutTargets/4, filledRows, name, since)
	}
	r.load("all are newer")
	for _, p := range newProbers {
		p.stop()
	}
	r.awaitEnd()
	for _, p := range processors {
		p.stop()
	}
	r.checkRolledOut()
}

// checkRolledOut reads the log once more, which fills what the older processor left null, and holds rows and log against each other. A row
// that the replay adds is one that the upgrade lost.
func (r *rollout) checkRolledOut() {
	r.t.Helper()
	const missing = "SELECT count(*) FROM checks WHERE redirects IS NULL AND outcome <> 'missed' AND prober LIKE 'newer-%'"
	before, stored := r.count(missing), r.count("SELECT count(*) FROM checks")
	r.run("replay", "--from", "start")
	if all := r.count("SELECT count(*) FROM checks"); all != stored {
		r.t.Errorf("%d rows, and %d after a replay", stored, all)
	}
	if after := r.count(missing); before == 0 || after > 0 {
		r.t.Errorf("%d checks that newer probers measured are without the field, and %d after a replay", before, after)
	}
	if wrong := r.count("SELECT count(*) FROM checks WHERE redirects IS NOT NULL AND prober LIKE 'older-%'"); wrong > 0 {
		r.t.Errorf("%d checks of older probers have the field", wrong)
	}
	if dead := r.count("SELECT count(*) FROM dead_letters"); dead > 0 {
		r.t.Errorf("%d dead letters", dead)
	}
	r.checkNoGap()
	r.t.Logf("%d rows, %d of them missed; a replay filled %d", stored, r.count("SELECT count(*) FROM checks WHERE outcome = 'missed'"), before)
}
