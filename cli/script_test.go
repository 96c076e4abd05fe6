package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
	"webcheck/schemas"
)

// TestScripts runs what a user could type. Beside the usual commands a script has those of scriptCommands, and URL, a site
// that is up, with /down, /slow and /private below it.
func TestScripts(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
		case "down":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "slow":
			<-r.Context().Done()
		case "private":
			if r.Header.Get("X-Key") != "hunter2" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = io.WriteString(w, r.Header.Get("X-Key"))
		case "rude":
			w.Header().Set("Location", "http://127.0.0.1:1/\x1b[2J")
			w.WriteHeader(http.StatusFound)
		default:
			_, _ = io.WriteString(w, "Welcome\n")
		}
	}))
	t.Cleanup(site.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setUpScript(env, site.URL) },
		Cmds:                scriptCommands(t),
	})
}

// setUpScript puts the program on the path and gives the script a data directory that PostgreSQL's user can pass through.
func setUpScript(env *testscript.Env, siteURL string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	bin := filepath.Join(env.WorkDir, ".bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(program, filepath.Join(bin, "webcheck")); err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "webcheck-script-")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(data) })
	if err := os.Chmod(data, 0o711); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_CACHE_HOME", cache)
	env.Setenv("WEBCHECK_DATA_DIR", filepath.Join(data, "data"))
	env.Setenv("GORACE", "atexit_sleep_ms=0") // with the race detector each of many processes would wait a second at its end
	env.Setenv("URL", siteURL)
	env.Setenv("HOSTPORT", strings.TrimPrefix(siteURL, "http://"))
	return nil
}

func scriptCommands(t *testing.T) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":    exits,
		"service":  func(ts *testscript.TestScript, neg bool, args []string) { service(t, ts, neg, args) },
		"rows":     rows,
		"listens":  listens,
		"running":  running,
		"garbage":  garbage,
		"free":     free,
		"answers":  answers,
		"broker":   broker,
		"registry": registry,
	}
}

// exits runs a command and holds its exit code: exits 3 webcheck check URL.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// service sets a variable to the place of a service of the tests: service kafka KAFKA.
func service(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: service kafka|registry|postgres VARIABLE")
	}
	switch args[0] {
	case "kafka":
		ts.Setenv(args[1], strings.Join(testservices.Kafka(t).Brokers, ","))
	case "registry":
		ts.Setenv(args[1], testservices.Registry(t).URL)
	case "postgres":
		ts.Setenv(args[1], testservices.Postgres(t).URL)
	default:
		ts.Fatalf("there is no service %q", args[0])
	}
}

// broker sets a variable to the place of a Kafka of the script's own, in which nothing is: broker KAFKA.
func broker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: broker VARIABLE")
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	ts.Check(err)
	ts.Defer(cluster.Close)
	ts.Setenv(args[0], strings.Join(cluster.ListenAddrs(), ","))
}

// registry sets a variable to the place of a schema registry of the script's own, in which nothing is: registry REGISTRY.
func registry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: registry VARIABLE")
	}
	server, err := embedded.StartRegistry(context.Background(), embedded.RegistryConfig{Dir: ts.MkAbs(".registry-" + args[0])})
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Close()) })
	ts.Setenv(args[0], server.URL())
}

// rows holds that a query on a database gives a number that is not less: rows URL QUERY MINIMUM. For the URL, "up" is the
// database of the "webcheck up" that runs.
func rows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: rows URL|up QUERY MINIMUM")
	}
	database := args[0]
	if database == "up" {
		found, err := readEndpoints(ts.Getenv("WEBCHECK_DATA_DIR"))
		ts.Check(err)
		database = found.Postgres
	}
	least, err := strconv.ParseInt(args[2], 10, 64)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	ts.Check(err)
	defer conn.Close(ctx)
	var got int64
	ts.Check(conn.QueryRow(ctx, args[1]).Scan(&got))
	ts.Logf("%s: %d", args[1], got)
	if got < least {
		ts.Fatalf("%s: got %d, want %d or more", args[1], got, least)
	}
}

// running waits until a "webcheck up" in the background has stored a check of a target that no other start had.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: running")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			ts.Fatalf("webcheck up does not store anything")
		case <-tick.C:
		}
		found, err := readEndpoints(ts.Getenv("WEBCHECK_DATA_DIR"))
		if err != nil || found.Postgres == "" {
			continue
		}
		conn, err := pgx.Connect(ctx, found.Postgres)
		if err != nil {
			continue
		}
		var stored bool
		err = conn.QueryRow(ctx, "SELECT count(DISTINCT target_id) >= 2 FROM checks WHERE target_id LIKE '127-%'").Scan(&stored)
		_ = conn.Close(ctx)
		if err == nil && stored {
			tick.Stop()
			return
		}
	}
}

// garbage puts a record that is no event into the topic of checks of the "webcheck up" that runs.
func garbage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: garbage")
	}
	found, err := readEndpoints(ts.Getenv("WEBCHECK_DATA_DIR"))
	ts.Check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(found.Kafka...))
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ts.Check(client.ProduceSync(ctx, &kgo.Record{Topic: schemas.TopicChecks, Key: []byte("garbage"), Value: []byte("\x1b[2Jgarbage")}).FirstErr())
}

// listens sets a variable to the address of a listener that accepts connections and says nothing, until the script ends.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listens VARIABLE")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = listener.Close() })
	ts.Setenv(args[0], listener.Addr().String())
}

// TestDropGoesOnOnlyWithTheName drops the tables of a database of its own, with the name that is not known before.
func TestDropGoesOnOnlyWithTheName(t *testing.T) {
	ctx := t.Context()
	url := testservices.Postgres(t).URL
	run := func(want int, args ...string) string {
		t.Helper()
		var out strings.Builder
		system := System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Env: given(nil, map[string]string{"WEBCHECK_POSTGRES_URL": url}).env}
		if got := Main(ctx, append([]string{"webcheck"}, args...), system); got != want {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, want, out.String())
		}
		return out.String()
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	run(exitDone, "db", "migrate")
	run(exitFailed, "db", "drop", "--yes-drop", config.Database+"x")
	run(exitDone, "db", "status")
	if out := run(exitDone, "db", "drop", "--yes-drop", config.Database); !strings.Contains(out, config.Database) {
		t.Errorf("got %q", out)
	}
	run(exitFailed, "db", "status")
	run(exitDone, "db", "migrate")
}
