// Package services_test shows that a client which is not webcheck's reads what webcheck writes, and judges schemas as it does.
//
// The folder has no other Go: its scripts start a real Kafka, schema registry and PostgreSQL ("make services-up"), and
// services/reader has Java programs ("make reader") that ask Apache's own libraries: Reader reads a topic, Judge judges schemas.
package services_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/programs"
	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// readTimeout covers the start of a Java machine on a busy computer.
const readTimeout = time.Minute

func TestMain(m *testing.M) { testservices.Main(m) }

func TestAJavaClientReadsEachFieldThroughTheRegistry(t *testing.T) {
	classpath := classpath(t, "Reader")
	ctx, cancel := context.WithTimeout(t.Context(), 2*readTimeout)
	defer cancel()
	kafka, registry := testservices.Kafka(t), testservices.Registry(t)
	topic := kafka.Topic(t, schemas.TopicChecks, 3)
	id, encoder := register(t, ctx, registry.URL, topic)

	sent := append([]*event.CheckCompleted{emptyEvent(), fullEvent()}, randomEvents(t, 200)...)
	want := produce(t, ctx, kafka, topic, encoder, sent)
	for i := range want {
		want[i].SchemaID = id
	}
	got := read(t, ctx, classpath, kafka.Brokers[0], registry.URL, topic, len(want))
	if diff := cmp.Diff(byPosition(want), byPosition(got)); diff != "" {
		t.Errorf("what the Java client read (+) is not what was sent (-):\n%s", diff)
	}
}

// record is one line of the reader's.
type record struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Key       string         `json:"key"`
	SchemaID  int            `json:"schema_id"`
	Value     map[string]any `json:"value"`
}

func byPosition(records []record) map[string]record {
	m := make(map[string]record, len(records))
	for _, r := range records {
		m[fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)] = r
	}
	return m
}

// classpath returns the Java class path of a program of services/reader. Where that is not built the test is skipped on a
// laptop, and fails where the environment promises it.
func classpath(t *testing.T, program string) string {
	t.Helper()
	programs.Need(t, "java")
	build, err := filepath.Abs("../build/reader")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(build, "classes", "webcheck", program+".class")); err != nil {
		programs.Absent(t, "the Java programs are not built (make reader): ", err)
	}
	return filepath.Join(build, "classes") + string(filepath.ListSeparator) + filepath.Join(build, "libs", "*")
}

func register(t *testing.T, ctx context.Context, url, topic string) (int, *schemas.Encoder) {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // the registry client's
	schema := schemas.CheckCompleted(topic)
	id, err := schemas.NewRegistry(client).Register(ctx, schema)
	if err != nil {
		t.Fatal(err)
	}
	return id, schemas.NewEncoder(schema, id)
}

// produce writes the events and returns what a reader must see of them, schema id apart.
func produce(t *testing.T, ctx context.Context, kafka *testservices.KafkaService, topic string, encoder *schemas.Encoder, events []*event.CheckCompleted) []record {
	t.Helper()
	client, err := kgo.NewClient(kafka.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var want []record
	for _, e := range events {
		value, err := encoder.AppendEncode(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(e.TargetID), Value: value}).First()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, record{Topic: topic, Partition: r.Partition, Offset: r.Offset, Key: e.TargetID, Value: onTheWire(e)})
	}
	return want
}

// onTheWire returns an event as Avro's own types: logical types as their numbers, what is absent as nil.
func onTheWire(e *event.CheckCompleted) map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(*e)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("avro"), v.Field(i)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				fields[name] = nil
				continue
			}
			field = field.Elem()
		}
		switch value := field.Interface().(type) {
		case time.Time:
			fields[name] = json.Number(strconv.FormatInt(value.UnixMicro(), 10))
		case int32:
			fields[name] = json.Number(strconv.FormatInt(int64(value), 10))
		default:
			fields[name] = value
		}
	}
	return fields
}

// read runs the Java client until it has read count records.
func read(t *testing.T, ctx context.Context, classpath, broker, registry, topic string, count int) []record {
	t.Helper()
	command := exec.CommandContext(ctx, "java", "-Xmx256m", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, "webcheck.Reader",
		"--brokers", broker, "--registry", registry, "--topic", topic,
		"--count", strconv.Itoa(count), "--timeout-seconds", strconv.Itoa(int(readTimeout.Seconds())))
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("the Java client: %v\n%s", err, &stderr)
	}
	var got []record
	decoder := json.NewDecoder(&stdout)
	decoder.UseNumber()
	for decoder.More() {
		var r record
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	return got
}

// emptyEvent has null wherever it may, and the smallest values elsewhere.
func emptyEvent() *event.CheckCompleted {
	slot := time.UnixMilli(0).UTC()
	return &event.CheckCompleted{
		EventID: schemas.EventID("a", "b", slot), TargetID: "a", Location: "b", Slot: slot, StartedAt: slot, Outcome: event.OutcomeMissed,
	}
}

// fullEvent has a value wherever it may, and awkward ones.
func fullEvent() *event.CheckCompleted {
	slot := time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC)
	e := &event.CheckCompleted{
		EventID: schemas.EventID("shop-é", "eu-west", slot), TargetID: "shop-é", Location: "eu-west", Slot: slot,
		StartedAt: slot.Add(time.Microsecond), Outcome: event.OutcomeDown, Failure: new(event.FailureOwnFault),
		FailureText: new(strings.Repeat("ü", schemas.MaxFailureTextBytes/2)), Assertion: new(`body =~ "a\"b\\c"`), AssertionValue: new("tab\t, newline\n, 🙂"),
		Attempts: math.MaxInt32, StatusCode: new(int32(599)), RemoteAddress: new("[2001:db8::1]:443"), HTTPVersion: new("2"),
		DNSUs: new(int32(0)), ConnectUs: new(int32(math.MaxInt32)), TLSUs: new(int32(1)), FirstByteUs: new(int32(63)), TransferUs: new(int32(64)), TotalUs: new(int32(1 << 20)),
		BodyBytes: new(int32(1 << 20)), BodyTruncated: new(true), RegexMatched: new(false),
		CertificateExpiresAt: new(time.Date(9999, 12, 31, 23, 59, 59, 999999e3, time.UTC)), DefinitionVersion: "0123456789ab", Prober: "prober-1",
	}
	return e
}

// randomEvents returns n events with fields that are there or not by chance, the same for the same seed.
func randomEvents(t *testing.T, n int) []*event.CheckCompleted {
	t.Helper()
	random := seed.Random(t)
	events := make([]*event.CheckCompleted, n)
	for i := range events {
		e := fullEvent()
		e.TargetID = fmt.Sprintf("target-%d", random.IntN(20))
		e.Slot = time.UnixMilli(random.Int64N(4e12)).UTC()
		e.StartedAt = e.Slot.Add(time.Duration(random.Int64N(1e9)) * time.Microsecond)
		e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
		v := reflect.ValueOf(e).Elem()
		for j := range v.NumField() {
			switch field := v.Field(j); {
			case field.Kind() == reflect.Pointer && random.IntN(2) == 0:
				field.SetZero()
			case field.Type() == reflect.TypeFor[*int32]():
				field.Set(reflect.ValueOf(new(random.Int32())))
			}
		}
		events[i] = e
	}
	return events
}
