package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// graveyard is a database with dead letters, a registry, and the program as a process of its own.
type graveyard struct {
	t       *testing.T
	program string
	env     []string
	encoder *schemas.Encoder
	conn    *pgx.Conn
}

func newGraveyard(t *testing.T) *graveyard {
	t.Helper()
	registry, postgres := testservices.Registry(t), testservices.Postgres(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &graveyard{t: t, program: filepath.Join(t.TempDir(), "webcheck")}
	if err := os.Symlink(self, g.program); err != nil {
		t.Fatal(err)
	}
	g.env = append(os.Environ(), "WEBCHECK_REGISTRY_URL="+registry.URL, "WEBCHECK_POSTGRES_URL="+postgres.URL, "WEBCHECK_DATA_DIR="+t.TempDir())
	client, err := sr.NewClient(sr.URLs(registry.URL), sr.HTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	if err != nil {
		t.Fatal(err)
	}
	schema := schemas.CheckCompleted(schemas.TopicChecks)
	id, err := schemas.NewRegistry(client).Register(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	g.encoder = schemas.NewEncoder(schema, id)
	if out, err := g.run("db", "migrate"); err != nil {
		t.Fatalf("migrating: %v\n%s", err, out)
	}
	if g.conn, err = pgx.Connect(t.Context(), postgres.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.conn.Close(context.Background()) })
	return g
}

// run runs the program to its end and returns what it printed.
func (g *graveyard) run(args ...string) (string, error) {
	command := exec.CommandContext(g.t.Context(), g.program, args...)
	command.Env = g.env
	out, err := command.CombinedOutput()
	return string(out), err
}

// bury records values as dead letters of partition 0, from offset 0 on.
func (g *graveyard) bury(values ...[]byte) {
	g.t.Helper()
	_, err := g.conn.Exec(g.t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, timestamp_ms, key, value, headers, cause)
		SELECT $1, 0, n - 1, n, 'key', v, '', 'buried' FROM unnest($2::bytea[]) WITH ORDINALITY AS all_values (v, n)`, schemas.TopicChecks, values)
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *graveyard) count(sql string) (n int) {
	g.t.Helper()
	if err := g.conn.QueryRow(g.t.Context(), sql).Scan(&n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

// value gives the value of a target's n-th check.
func (g *graveyard) value(n int) []byte {
	g.t.Helper()
	slot := time.Now().UTC().Truncate(time.Hour).Add(-time.Duration(n) * time.Second)
	failure := "\x1b[2J\u202e"
	e := event.CheckCompleted{
		EventID: schemas.EventID("target", "here", slot), TargetID: "target", Location: "here", Slot: slot, StartedAt: slot,
		Outcome: event.OutcomeDown, FailureText: &failure, Attempts: 1, DefinitionVersion: "v", Prober: "p",
	}
	value, err := g.encoder.AppendEncode(nil, &e)
	if err != nil {
		g.t.Fatal(err)
	}
	return value
}

func TestTwoProcessesThatRetryAtOnceApplyEachLetterOnce(t *testing.T) {
	const good, bad = 2000, 300
	g := newGraveyard(t)
	var values [][]byte
	for n := range good {
		values = append(values, g.value(n))
	}
	for n := range bad {
		values = append(values, values[n][:20])
	}
	g.bury(values...)
	var wg sync.WaitGroup
	outs := make([]string, 2)
	for i := range outs {
		wg.Go(func() { outs[i], _ = g.run("dead", "retry", "--all") }) // with code 1, because of the bad ones
	}
	wg.Wait()
	applied := 0
	for _, out := range outs {
		said := regexp.MustCompile(`(?m)^(\d+) applied, (\d+) still dead$`).FindStringSubmatch(out)
		if said == nil || said[2] != strconv.Itoa(bad) || !strings.Contains(out, "cut off") || !strings.Contains(out, fmt.Sprintf("and %d more", bad-maxStillDead)) {
			t.Fatalf("a retry said:\n%s", out)
		}
		n, _ := strconv.Atoi(said[1])
		applied += n
	}
	if applied != good {
		t.Errorf("applied: got %d, want %d", applied, good)
	}
	if rows, letters := g.count("SELECT count(*) FROM checks"), g.count("SELECT count(*) FROM dead_letters"); rows != good || letters != bad {
		t.Errorf("%d rows and %d letters, want %d and %d", rows, letters, good, bad)
	}
}

func TestALetterIsShownDecodedUpToItsFault(t *testing.T) {
	g := newGraveyard(t)
	whole := g.value(1)
	g.bury(whole, whole[:len(whole)-1])
	for position, want := range map[string]string{"0": "decoded    every byte", "1": `fault      field "prober" at byte`} {
		out, err := g.run("dead", "show", "webcheck.checks/0@"+position)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{want, "CheckCompleted", "webcheck.checks-value/", `     5  event_id                 uuid               "`, `failure_text             string             "\x1b[2J\u202e"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", position, want, out)
			}
		}
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%s: the terminal is steered by %q", position, out)
		}
	}
	out, err := g.run("dead", "show", "--json", "webcheck.checks/0@1")
	var shown struct {
		Value  []byte `json:"value_base64"`
		Fault  string
		Fields []struct {
			Name  string
			Value any
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &shown) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if string(shown.Value) != string(whole[:len(whole)-1]) || shown.Fault == "" || shown.Fields[1].Name != "target_id" || shown.Fields[1].Value != "target" {
		t.Errorf("got %+v", shown)
	}
}

func TestWhateverARecordHasItIsShownWithoutSteeringTheTerminal(t *testing.T) {
	random := seed.Random(t)
	g := newGraveyard(t)
	hostile := func(size int) []byte {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for n := range 12 {
		size := []int{8, 3 * maxDumpBytes}[n%2]
		key, value, cause := hostile(size), hostile(size), strings.ToValidUTF8(strings.ReplaceAll(string(hostile(size)), "\x00", ""), "\u202e\x1b")
		header := append([]byte{byte(2 * 8)}, append(hostile(8), 1)...) // a key of eight bytes and no value
		if n%3 == 0 {
			copy(value, g.value(n)[:5])
		}
		_, err := g.conn.Exec(t.Context(), "INSERT INTO dead_letters VALUES ($1, 0, $2, $3, $4, $5, $6, $7, false, $7)",
			schemas.TopicChecks, n, int64(random.Uint64()), key, value, header, cause)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", fmt.Sprintf("webcheck.checks/0@%d", n)}, {"show", "--json", fmt.Sprintf("webcheck.checks/0@%d", n)}} {
			out, err := g.run(append([]string{"dead"}, args...)...)
			if err != nil {
				t.Fatalf("%q: %v\n%s", args, err, out)
			}
			if lines := strings.ReplaceAll(out, "\n", ""); printable(lines) != lines {
				t.Errorf("%q: the terminal is steered by %q", args, out)
			}
			if !slices.Contains(args, "--json") && len(out) > 40_000 {
				t.Errorf("%q: %d bytes are shown", args, len(out))
			}
		}
	}
}

func TestAMomentIsATimeADayOrHowLongAgo(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-03-01": "2026-03-01T00:00:00Z", "2026-03-01T10:00:00+02:00": "2026-03-01T08:00:00Z", "30d": "2026-02-12T15:09:26Z",
		"1h": "2026-03-14T14:09:26Z", "0s": "2026-03-14T15:09:26Z", "-1h": "", "yesterday": "", "": "", "2026-13-01": "", "12": "",
	} {
		got, err := parseMoment(text, now)
		said := ""
		if err == nil {
			said = got.UTC().Format(time.RFC3339)
		}
		if said != want {
			t.Errorf("%q: got %q, %v, want %q", text, said, err, want)
		}
	}
}

func TestEscapedJSONMeansTheSame(t *testing.T) {
	random := seed.Random(t)
	for range 300 {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteRune(rune(random.IntN([]int{0x100, 0x3000, 0x110000}[random.IntN(3)])))
		}
		want := b.String()
		var out strings.Builder
		if err := (&printer{out: &out}).json(map[string]string{"a": want}); err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
		if diff := cmp.Diff(want, got["a"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if line := strings.TrimSuffix(out.String(), "\n"); printable(line) != line {
			t.Errorf("%q is not printable", line)
		}
	}
}
