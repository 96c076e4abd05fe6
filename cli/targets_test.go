package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/prober"
	"webcheck/schemas"
)

// targetsTopic is a Kafka of the test's own with an empty topic of definitions.
type targetsTopic struct {
	client    *kgo.Client
	variables map[string]string
}

func newTargetsTopic(t *testing.T) *targetsTopic {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, schemas.TopicTargets))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &targetsTopic{client, map[string]string{
		"WEBCHECK_KAFKA_BROKERS": strings.Join(cluster.ListenAddrs(), ","), "WEBCHECK_REGISTRY_URL": closingRegistry(t),
		"WEBCHECK_REGISTRY_AUTO_REGISTER": "true",
	}}
}

// closingRegistry is the tests' registry at another place, which closes all connections at the test's end: a command leaves that to
// the end of its process.
func closingRegistry(t *testing.T) string {
	t.Helper()
	registry, err := url.Parse(testservices.Registry(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := httputil.NewSingleHostReverseProxy(registry)
	proxy.Transport = transport
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// run runs a command, wants its exit code, and returns what it printed.
func (k *targetsTopic) run(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	system := System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Env: given(nil, k.variables).env}
	if got := Main(t.Context(), append([]string{"webcheck", "targets"}, args...), system); got != want {
		t.Fatalf("%q: exit code %d, want %d: %s%s", args, got, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func (k *targetsTopic) put(t *testing.T, key string, value []byte) {
	t.Helper()
	record := &kgo.Record{Topic: schemas.TopicTargets, Key: []byte(key), Value: value}
	if err := k.client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// targetsCodec returns an encoder and a decoder of definitions for a topic.
func targetsCodec(t *testing.T, registryURL, topic string) (*schemas.EncoderOf[event.TargetDefined], *schemas.DecoderOf[event.TargetDefined]) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := sr.NewClient(sr.URLs(registryURL), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	schema, registry := schemas.TargetDefined(topic), schemas.NewRegistry(client)
	id, err := registry.Register(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	return schemas.NewEncoderOf[event.TargetDefined](schema, id), schemas.NewDecoderOf[event.TargetDefined](registry, schema)
}

// foreign is the value of a definition that another program wrote.
func (k *targetsTopic) foreign(t *testing.T, id, version, definition string) []byte {
	t.Helper()
	encoder, _ := targetsCodec(t, k.variables["WEBCHECK_REGISTRY_URL"], schemas.TopicTargets)
	value, err := encoder.AppendEncode(nil, &event.TargetDefined{
		TargetID: id, DefinitionVersion: version, DefinedAt: time.Now(), URL: "https://example.com/", IntervalMs: 60_000, TimeoutMs: 10_000, Definition: definition,
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestTheTopicHasWhatWasWrittenLast writes and removes some of ten targets again and again, on the Kafka of the tests.
func TestTheTopicHasWhatWasWrittenLast(t *testing.T) {
	random, kafka := seed.Random(t), testservices.Kafka(t)
	topic := kafka.Topic(t, schemas.TopicTargets, 3)
	d := prober.Definitions{Kafka: kafka.Opts(), Topic: topic}
	d.Encoder, d.Decoder = targetsCodec(t, testservices.Registry(t).URL, topic)
	want := make(map[string]string) // definitions by id
	for range seed.Runs(t, 10) {
		known, err := d.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for _, one := range definedTargets(known) {
			got[one.ID] = one.Definition
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		var publish []prober.Target
		var gone []string
		for n := range 10 {
			switch target := randomTarget(random, n); random.IntN(4) {
			case 0:
				publish, want[target.ID] = append(publish, target), target.Definition()
			case 1:
				gone = append(gone, target.ID)
				delete(want, target.ID)
			}
		}
		if err := d.Write(t.Context(), known, publish, gone); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADefinitionThatCannotBeReadIsShownAndReplaced(t *testing.T) {
	k := newTargetsTopic(t)
	later := strings.Replace(prober.NewTarget("later", "https://example.com/").Definition(), `{`, `{"colour":"\u001b[2Jred",`, 1)
	liar := prober.NewTarget("liar", "https://example.com/")
	k.put(t, "later", k.foreign(t, "later", "000000000000", later))
	k.put(t, "liar", k.foreign(t, "liar", liar.Version(), `{"id":"liar"`))
	k.put(t, "odd\x1b[2J\u202e", []byte("\x1b[2Jgarbage"))
	k.put(t, "good", k.foreign(t, "good", "111111111111", prober.NewTarget("good", "https://example.com/").Definition()))
	out := k.run(t, exitDone, "list") + k.run(t, exitDone, "list", "--json") + k.run(t, exitDone, "show", "later") +
		k.run(t, exitDone, "show", "liar") + k.run(t, exitDone, "show", "odd\x1b[2J\u202e") + k.run(t, exitDone, "show", "--json", "later") + k.run(t, exitFailed, "export")
	for _, want := range []string{
		`later             https://example.com/        1m  unreadable  000000000000`, `odd\x1b[2J\u202e                  `,
		`"cause":"reading a definition: \"colour\" is no key of a target that this build knows"`, `colour              \x1b[2Jred`,
		`id: good`, `webcheck: target "later" at webcheck.targets/`, `and 2 definitions more`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q: %s", want, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("it steers the terminal: %q", out)
	}
	if out := k.run(t, exitFailed, "pause", "good", "later"); !strings.Contains(out, `"colour" is no key`) {
		t.Error(out)
	}
	if out := k.run(t, exitDone, "list", "--paused"); out != "there is no such target\n" {
		t.Errorf("another one was paused: %s", out)
	}
	file := filepath.Join(t.TempDir(), "targets.yaml")
	if err := os.WriteFile(file, []byte(exported(t, prober.NewTarget("later", "https://example.com/"), liar)), 0o600); err != nil {
		t.Fatal(err)
	}
	out = k.run(t, exitDone, "apply", "-f", file)
	for _, want := range []string{`colour: \x1b[2Jred -> (none)`, "~ liar\n    the definition there cannot be read: ", "published 2 definitions"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q: %s", want, out)
		}
	}
	if out := k.run(t, exitDone, "remove", "odd\x1b[2J\u202e"); !strings.Contains(out, `odd\x1b[2J\u202e is removed`) {
		t.Error(out)
	}
	k.run(t, exitDone, "export")
}

// BenchmarkApplyWithoutChange applies a file of a hundred thousand targets that the topic has already.
func BenchmarkApplyWithoutChange(b *testing.B) {
	const targets = 100_000
	var text strings.Builder
	text.WriteString("targets:\n")
	for i := range targets {
		fmt.Fprintf(&text, "  - id: site-%d\n    url: https://site-%d.example.com/health\n    labels: {team: web}\n", i, i)
	}
	file := filepath.Join(b.TempDir(), "targets.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, schemas.TopicTargets))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	variables := map[string]string{"WEBCHECK_KAFKA_BROKERS": strings.Join(cluster.ListenAddrs(), ","), "WEBCHECK_REGISTRY_URL": testservices.Registry(b).URL,
		"WEBCHECK_REGISTRY_AUTO_REGISTER": "true"}
	apply := func() {
		system := System{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: os.Stderr, Env: given(nil, variables).env}
		if code := Main(b.Context(), []string{"webcheck", "targets", "apply", "-f", file}, system); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
	apply()
	for b.Loop() {
		apply()
	}
}
