package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
)

// TestBenchMeasuresEveryStageAndLeavesNothing runs all stages twice on few events. It holds what was counted, and no time.
func TestBenchMeasuresEveryStageAndLeavesNothing(t *testing.T) {
	s := newBenchServices(t)
	const events = 2000
	code, out, notices := s.run(t.Context(), nil, "process", "--events", "2000", "--targets", "7", "--runs", "2", "--json", "--processor-batch-records", "500")
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, notices)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	if result.Events != events || result.ValueBytes < 100 || result.RowBytes < 100 || result.PostgresVersion == "" || result.Fsync == "" {
		t.Errorf("got %+v", result)
	}
	if len(result.Stages) != len(benchStages()) {
		t.Fatalf("got %d stages, want %d", len(result.Stages), len(benchStages()))
	}
	for i, want := range benchStages() {
		got := result.Stages[i]
		if got.Name != want.Name || got.Limit != want.Limit || (got.Ratio == nil) != (want.Limit == "") || len(got.Runs) != 2 {
			t.Errorf("stage %d is %+v, want %+v", i, got, want)
		}
		for _, m := range got.Runs {
			if m.Events != events || m.PerSecond <= 0 || m.Seconds <= 0 || m.CPU <= 0 || m.PeakBytes < 1<<20 {
				t.Errorf("%s: got %+v", got.Name, m)
			}
			if (m.DeadRows == nil) != (got.Name != stageRedelivery) {
				t.Errorf("%s: dead rows %v", got.Name, m.DeadRows)
			}
		}
	}
	s.holdNothing(t)
}

// TestBenchAsksWhatAStatusPageAsks holds what was counted, and no time.
func TestBenchAsksWhatAStatusPageAsks(t *testing.T) {
	s := newBenchServices(t)
	code, out, notices := s.run(t.Context(), nil, "process", "--events", "2000", "--targets", "7", "--stages", "queries", "--json")
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, notices)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]int)
	for _, q := range result.Queries {
		if rows[q.Query] = q.Rows; q.Least <= 0 || q.Least > q.Middle || q.Middle > q.Most || q.Limit != 50 {
			t.Errorf("got %+v", q)
		}
	}
	want := map[string]int{
		"state of all targets": 7, "state of a page's targets": 4, "states and last checks of all by location": 7, "checks of a page's targets in a day": 7,
		"a year of a target by hour, uptime, 3 locations": yearHours,
		"the same with percentiles, 1 location":           yearHours, "the same with percentiles, 3 locations": yearHours,
		"the same in a chart of at most 1000 points": 365, "the last 1000 hours of it, 3 locations": 1000, "incidents of a target": 100,
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows by query (-want +got):\n%s", diff)
	}
	if len(result.Tables) == 0 || result.Tables[0].Table != "checks" || result.Tables[0].Rows != 2000 || result.Tables[0].Bytes == 0 {
		t.Errorf("tables: got %+v", result.Tables)
	}
	s.holdNothing(t)
}

// TestBenchThatIsInterruptedLeavesNothing interrupts it in a processor's stage, or, when what it says is read late, in one of
// those that follow.
func TestBenchThatIsInterruptedLeavesNothing(t *testing.T) {
	s := newBenchServices(t)
	ctx, interrupt := context.WithCancel(t.Context())
	code, out, notices := s.run(ctx, func(notice string) {
		if strings.Contains(notice, "run 1 of 3: processor\n") {
			interrupt()
		}
	}, "process", "--events", "2000", "--stages", "consume,folds", "--runs", "3")
	if code != exitFailed || !strings.Contains(notices, "webcheck: interrupted\n") {
		t.Errorf("exit code %d: %s", code, notices)
	}
	if !strings.Contains(out, "\nconsume ") {
		t.Errorf("what was measured before is not printed: %q", out)
	}
	s.holdNothing(t)
}

// benchServices are services in which a test measures.
type benchServices struct {
	kafka    *testservices.KafkaService
	registry string
	postgres string
}

func newBenchServices(t *testing.T) benchServices {
	s := benchServices{testservices.Kafka(t), testservices.Registry(t).URL, testservices.Postgres(t).URL}
	// In the environment, which the processes of the stages have too.
	t.Setenv("WEBCHECK_KAFKA_BROKERS", strings.Join(s.kafka.Brokers, ","))
	t.Setenv("WEBCHECK_REGISTRY_URL", s.registry)
	t.Setenv("WEBCHECK_POSTGRES_URL", s.postgres)
	return s
}

// run runs a measurement and returns its exit code and what it wrote. onNotice, which may be nil, sees each piece of its
// standard error. The end of ctx interrupts it, as Ctrl-C does.
func (s benchServices) run(ctx context.Context, onNotice func(string), args ...string) (code int, out, notices string) {
	var stdout strings.Builder
	stderr := &noticeWriter{see: onNotice}
	program, err := os.Executable()
	if err != nil {
		return -1, "", err.Error()
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"bench"}, args...)...)
	cmd.Args[0] = "webcheck"
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	_ = cmd.Run() // the exit code tells
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.text.String()
}

// noticeWriter keeps what is written, and shows it to see.
type noticeWriter struct {
	see  func(string)
	text strings.Builder
}

func (w *noticeWriter) Write(p []byte) (int, error) {
	if w.see != nil {
		w.see(string(p))
	}
	return w.text.Write(p)
}

// holdNothing holds that there is no topic, group, subject or schema of a measurement. Other tests measure on other
// databases, and at no time in parallel to this one. A real Kafka takes a moment to delete.
func (s benchServices) holdNothing(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(s.kafka.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin, again := kadm.NewClient(client), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := admin.ListGroups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		left := append(topics.Names(), groups.Groups()...)
		if !strings.Contains(strings.Join(left, " "), "bench-") {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("topics and groups that are left: %v", left)
		case <-again.C:
		}
	}
	s.holdNoSubject(ctx, t)
	conn, err := pgx.Connect(ctx, s.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var schemas int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'webcheck%'").Scan(&schemas); err != nil {
		t.Fatal(err)
	}
	if schemas > 0 {
		t.Errorf("%d schemas are left", schemas)
	}
}

func (s benchServices) holdNoSubject(ctx context.Context, t *testing.T) {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(s.registry), sr.HTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := client.Subjects(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(subjects, " "), "bench-") {
		t.Errorf("subjects that are left: %v", subjects)
	}
}
