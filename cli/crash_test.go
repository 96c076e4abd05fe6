package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// Bounds of the crash test: at least so many kills, and then until so many events are there.
const (
	crashKills    = 12
	crashTargets  = 30
	crashEvents   = 1500
	crashPatience = 3 * time.Minute
)

func TestAProcessorKilledAtRandomMomentsWritesEachEventOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), crashPatience)
	defer cancel()
	random := seed.Random(t)
	c := newCrash(ctx, t)
	c.run("topics", "create")
	c.run("db", "migrate")
	c.run("targets", "apply")
	probe := c.start("probe")
	for kills := 0; kills < crashKills || c.count("SELECT count(*) FROM checks") < crashEvents; kills++ {
		process := c.start("process", "--processor-name", "only")
		// From before it has joined the group to the midst of a batch.
		moment := time.NewTimer(time.Duration(20+random.IntN(1500)) * time.Millisecond)
		select {
		case <-moment.C:
		case err := <-process.done:
			t.Fatalf("the processor stopped by itself: %v\n%s", err, process.output)
		case <-ctx.Done():
			t.Fatalf("%d events after %d kills and %v", c.count("SELECT count(*) FROM checks"), kills, crashPatience)
		}
		process.kill()
	}
	probe.stop()
	process := c.start("process", "--processor-name", "only")
	c.awaitEnd()
	process.stop()
	c.checkInvariants()
}

// crash is the program with real processes, on services of this test.
type crash struct {
	ctx      context.Context
	t        *testing.T
	program  string
	dir      string
	env      []string
	client   *kgo.Client
	kafka    *testservices.KafkaService
	registry string
	conn     *pgx.Conn
}

func newCrash(ctx context.Context, t *testing.T) *crash {
	t.Helper()
	kafka, registry, postgres := testservices.Kafka(t), testservices.Registry(t), testservices.Postgres(t)
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(site.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &crash{ctx: ctx, t: t, dir: t.TempDir(), registry: registry.URL}
	c.program = filepath.Join(c.dir, "webcheck")
	if err := os.Symlink(self, c.program); err != nil {
		t.Fatal(err)
	}
	// With the race detector each of many processes would wait a second at its end. The environment's own word counts.
	c.env = append(append([]string{"GORACE=atexit_sleep_ms=0"}, os.Environ()...),
		"WEBCHECK_KAFKA_BROKERS="+strings.Join(kafka.Brokers, ","),
		"WEBCHECK_KAFKA_TOPICS_PARTITIONS=4",
		"WEBCHECK_REGISTRY_URL="+registry.URL,
		"WEBCHECK_REGISTRY_AUTO_REGISTER=true",
		"WEBCHECK_POSTGRES_URL="+postgres.URL,
		"WEBCHECK_DATA_DIR="+filepath.Join(c.dir, "data"),
	)
	var file bytes.Buffer
	file.WriteString("targets:\n")
	for i := range crashTargets {
		fmt.Fprintf(&file, "  - {id: site-%d, url: %q, interval: 100ms, timeout: 100ms}\n", i, site.URL)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "webcheck.yaml"), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c.kafka = kafka
	if c.client, err = kgo.NewClient(kafka.Opts()...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	c.deleteTopics()
	t.Cleanup(c.deleteTopics)
	if c.conn, err = pgx.Connect(ctx, postgres.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.conn.Close(context.Background()) })
	return c
}

// deleteTopics removes the topics of the program, which have the same names in every test.
func (c *crash) deleteTopics() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin := kadm.NewClient(c.client)
	for _, topic := range schemas.Topics() {
		// It need not be there.
		_, _ = admin.DeleteTopics(ctx, topic.Name)
	}
}

func (c *crash) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	command, output := exec.CommandContext(c.ctx, c.program, args...), new(bytes.Buffer)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.dir, c.env, output, output
	command.WaitDelay = 5 * time.Second
	return command, output
}

func (c *crash) run(args ...string) {
	c.t.Helper()
	command, output := c.command(args...)
	if err := command.Run(); err != nil {
		c.t.Fatalf("webcheck %v: %v\n%s", args, err, output)
	}
}

// child is a process of the program.
type child struct {
	t       *testing.T
	command *exec.Cmd
	output  *bytes.Buffer
	done    chan error
}

func (c *crash) start(args ...string) *child {
	c.t.Helper()
	command, output := c.command(args...)
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	p := &child{t: c.t, command: command, output: output, done: make(chan error, 1)}
	go func() { p.done <- command.Wait(); close(p.done) }()
	c.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-p.done
	})
	return p
}

// kill ends the process as kill -9 does, if it has not ended by itself in this moment.
func (p *child) kill() {
	p.t.Helper()
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	<-p.done
}

// stop ends the process as Ctrl-C does.
func (p *child) stop() {
	p.t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.done; err != nil {
		p.t.Fatalf("%v: %v\n%s", p.command.Args, err, p.output)
	}
}

func (c *crash) count(sql string) int64 {
	c.t.Helper()
	var n int64
	if err := c.conn.QueryRow(c.ctx, sql).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// ends gives the end of each partition of the log of checks.
func (c *crash) ends() map[int32]int64 {
	c.t.Helper()
	listed, err := kadm.NewClient(c.client).ListEndOffsets(c.ctx, schemas.TopicChecks)
	if err != nil {
		c.t.Fatal(err)
	}
	ends := make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends
}

// stored gives the next offset of each partition.
func (c *crash) stored() map[int32]int64 {
	c.t.Helper()
	rows, err := c.conn.Query(c.ctx, "SELECT partition, next_offset FROM offsets")
	if err != nil {
		c.t.Fatal(err)
	}
	stored := make(map[int32]int64)
	var partition int32
	var next int64
	if _, err := pgx.ForEachRow(rows, []any{&partition, &next}, func() error { stored[partition] = next; return nil }); err != nil {
		c.t.Fatal(err)
	}
	return stored
}

// awaitEnd waits until the processor has read the whole log.
func (c *crash) awaitEnd() {
	c.t.Helper()
	ends := c.ends()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !maps.Equal(ends, c.stored()) {
		select {
		case <-ticker.C:
		case <-c.ctx.Done():
			c.t.Fatalf("offsets are at %v, want %v", c.stored(), ends)
		}
	}
}

// checkInvariants reads the log once more and holds the table against it.
func (c *crash) checkInvariants() {
	c.t.Helper()
	var total int64
	for _, end := range c.ends() {
		total += end
	}
	registry, err := sr.NewClient(sr.URLs(c.registry))
	if err != nil {
		c.t.Fatal(err)
	}
	decoder := schemas.NewDecoder(schemas.NewRegistry(registry), schemas.CheckCompleted(schemas.TopicChecks))
	// Not before: a topic of the same name that another test has left would be read as well.
	reader, err := kgo.NewClient(append(c.kafka.Opts(), kgo.ConsumeTopics(schemas.TopicChecks))...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reader.Close()
	var want []string
	for read := int64(0); read < total; {
		fetches := reader.PollFetches(c.ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("reading the log after %d of %d: %v", read, total, err)
		}
		for _, r := range fetches.Records() {
			read++
			var e event.CheckCompleted
			if err := decoder.Decode(c.ctx, r.Value, &e); err != nil {
				c.t.Fatalf("decoding offset %d of partition %d: %v", r.Offset, r.Partition, err)
			}
			want = append(want, e.EventID)
		}
	}
	slices.Sort(want)
	rows, err := c.conn.Query(c.ctx, "SELECT event_id::text FROM checks ORDER BY event_id")
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.t.Fatal(err)
	}
	if unique := slices.Compact(slices.Clone(want)); !slices.Equal(got, unique) {
		c.t.Errorf("the table has %d events, the log %d", len(got), len(unique))
	}
	if ends, stored := c.ends(), c.stored(); !maps.Equal(ends, stored) {
		c.t.Errorf("offsets: got %v, want the log's ends %v", stored, ends)
	}
	if dead := c.count("SELECT count(*) FROM dead_letters"); dead != 0 {
		c.t.Errorf("dead letters: got %d, want none", dead)
	}
	c.t.Logf("%d events in the log, %d rows", len(want), len(got))
}
