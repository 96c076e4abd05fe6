package processor

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readings gives the value of every metric by its name and labels, "name{label=value}"; of a histogram the number of
// observations.
func readings(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.Counter != nil:
				values[name] = m.Counter.GetValue()
			case m.Gauge != nil:
				values[name] = m.Gauge.GetValue()
			case m.Histogram != nil:
				values[name] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return values
}

// awaitReading waits until a metric has the value.
func awaitReading(t *testing.T, registry prometheus.Gatherer, name string, want float64) {
	t.Helper()
	until(t, func() (bool, string) {
		got := readings(t, registry)[name]
		return got == want, fmt.Sprintf("%s: got %v, want %v", name, got, want)
	})
}

func checkReadings(t *testing.T, registry prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	got := readings(t, registry)
	for name, value := range want {
		if reading, there := got[name]; !there || reading != value {
			t.Errorf("%s: got %v (there: %v), want %v", name, reading, there, value)
		}
	}
}

func TestMetricsTellWhatBecameOfEveryRecord(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(100)
	p.produce(2, events...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")}, &kgo.Record{Topic: p.topic, Value: append([]byte{0, 0x7f, 0, 0, 1}, p.value(events[0])[5:]...)})
	registry := prometheus.NewRegistry()
	begin := float64(time.Now().Unix())
	r := p.start(func(c *Config) { c.Metrics, c.BatchRecords = registry, 102 })
	r.await(102)
	const amended = "webcheck_processor_folds_amended_total"
	before := readings(t, registry)[amended] // how the polls split the partitions decides on what comes late
	again := events[0]                       // the same slot, measured by an earlier attempt: it replaces the row
	again.StartedAt = again.StartedAt.Add(-time.Millisecond)
	p.produce(1, again)
	r.await(103)
	awaitReading(t, registry, "webcheck_processor_waiting{doing=publishing dead letters}", 0)
	checkReadings(t, registry, map[string]float64{
		"webcheck_processor_records_total":             103,
		"webcheck_processor_rows_inserted_total":       100,
		"webcheck_processor_rows_merged_total":         1,
		"webcheck_processor_dead_letters_total":        2,
		amended:                                        before + 1,
		"webcheck_processor_schema_fetches_total":      2, // of the schema, and of one that there is not
		"webcheck_processor_schema_fetch_errors_total": 0,
		"webcheck_processor_partitions_owned":          2,
		"webcheck_processor_lag_records{partition=0}":  0,
		"webcheck_processor_lag_records{partition=1}":  0,
		"webcheck_processor_lag_seconds{partition=0}":  0,
		"webcheck_processor_lag_seconds{partition=1}":  0,
		"webcheck_processor_waiting{doing=processing}": 0,
	})
	got := readings(t, registry)
	batches := got["webcheck_processor_batch_records"]
	for _, name := range []string{"poll", "decode", "rows", "commit"} {
		if n := got["webcheck_processor_batch_phase_seconds{phase="+name+"}"]; n != batches || n < 2 {
			t.Errorf("phase %s was measured %v times in %v batches", name, n, batches)
		}
	}
	if at := got["webcheck_processor_last_commit_timestamp_seconds"]; at < begin || at > float64(time.Now().Unix())+1 {
		t.Errorf("last commit: got %v, want a time since the test began, %v", at, begin)
	}
	fetched := 0.0
	for name, value := range got {
		if strings.HasPrefix(name, "webcheck_kafka_fetch_bytes_total{client=processor,") && strings.Contains(name, "topic="+p.topic) {
			fetched += value
		}
	}
	if fetched == 0 {
		t.Error("the Kafka client shows no bytes that it fetched")
	}
	r.finish()
}

func TestAnOutageShowsInTheMetricsAndEndsReadiness(t *testing.T) {
	p := newPipeline(t, 1)
	u, err := url.Parse(p.postgres)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Host)
	u.Host = g.addr()
	pool := connect(t, u.String())
	registry := prometheus.NewRegistry()
	events := newEvents(60)
	p.produce(1, events[:20]...)
	r := p.start(func(c *Config) { c.Metrics, c.Pool = registry, pool })
	r.await(20)
	if err := r.processor.Ready(); err != nil {
		t.Errorf("while it processes it is not ready: %v", err)
	}
	g.close()
	p.produce(1, events[20:]...)
	awaitReading(t, registry, "webcheck_processor_waiting{doing=processing}", 1)
	if err := r.processor.Ready(); err == nil || !strings.HasPrefix(err.Error(), "waiting: ") {
		t.Errorf("ready in an outage: got %v, want what it waits for", err)
	}
	awaitReading(t, registry, "webcheck_processor_partitions_owned", 0)
	ends, err := kadm.NewClient(p.client).ListEndOffsets(t.Context(), p.topic)
	if err != nil {
		t.Fatal(err)
	}
	r.processor.lag.ends(ends)
	got := readings(t, registry)
	if n := got["webcheck_processor_lag_records{partition=0}"]; n != 40 {
		t.Errorf("lag in an outage: got %v records, want 40", n)
	}
	if age := got["webcheck_processor_lag_seconds{partition=0}"]; age <= 0 {
		t.Errorf("lag in an outage: got %v s, want more than none", age)
	}
	g.open()
	r.await(60)
	awaitReading(t, registry, "webcheck_processor_waiting{doing=processing}", 0)
	checkReadings(t, registry, map[string]float64{
		"webcheck_processor_lag_records{partition=0}": 0,
		"webcheck_processor_lag_seconds{partition=0}": 0,
	})
	if err := r.processor.Ready(); err != nil {
		t.Errorf("after the outage it is not ready: %v", err)
	}
	r.finish()
	if err := r.processor.Ready(); !errors.Is(err, errNotMember) {
		t.Errorf("ready after the end: got %v, want %v", err, errNotMember)
	}
	p.checkInvariants(events, 0)
}

func TestOneBrokerThatAnswersIsEnoughToBeReady(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	const away = "webcheck_processor_waiting{doing=reaching Kafka}"
	b := newBrokers(slog.New(slog.DiscardHandler), m.waiting.WithLabelValues("reaching Kafka"))
	one, other := kgo.BrokerMetadata{Host: "one", Port: 9092}, kgo.BrokerMetadata{Host: "other", Port: 9092}
	refused := errors.New("refused")
	b.OnBrokerConnect(one, 0, nil, refused)
	b.OnBrokerConnect(one, 0, nil, refused)
	if err := b.trouble(); !errors.Is(err, refused) {
		t.Errorf("the only broker is away: got %v", err)
	}
	checkReadings(t, registry, map[string]float64{away: 1})
	b.OnBrokerConnect(other, 0, nil, nil)
	if err := b.trouble(); err != nil {
		t.Errorf("the other broker is there: got %v", err)
	}
	b.OnBrokerConnect(other, 0, nil, refused)
	if b.trouble() == nil {
		t.Error("both brokers are away, and there is no trouble")
	}
	checkReadings(t, registry, map[string]float64{away: 2})
	b.OnBrokerConnect(one, 0, nil, nil)
	b.OnBrokerConnect(other, 0, nil, nil)
	checkReadings(t, registry, map[string]float64{away: 0})
}

func TestLagIsTheDistanceToTheEndAndTheAgeOfTheLastRecordProcessed(t *testing.T) {
	l := newLag("checks")
	now := time.UnixMilli(1_000_000)
	l.now = func() time.Time { return now }
	registry := prometheus.NewRegistry()
	registry.MustRegister(l)
	fetch := func(end int64, timestamps ...int64) kgo.Fetches {
		partition := kgo.FetchPartition{Partition: 3, HighWatermark: end}
		for _, ms := range timestamps {
			partition.Records = append(partition.Records, &kgo.Record{Topic: "checks", Partition: 3, Timestamp: time.UnixMilli(ms)})
		}
		return kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "checks", Partitions: []kgo.FetchPartition{partition}}}}}
	}
	records, seconds := "webcheck_processor_lag_records{partition=3}", "webcheck_processor_lag_seconds{partition=3}"
	l.assigned(map[int32]int64{3: 10})
	checkReadings(t, registry, map[string]float64{records: 0, seconds: 0, "webcheck_processor_partitions_owned": 1})
	l.fetched(fetch(15, 900_000, 910_000))
	checkReadings(t, registry, map[string]float64{records: 5, seconds: 100})
	l.committed(map[int32]advance{3: {expected: 10, next: 12}})
	checkReadings(t, registry, map[string]float64{records: 3, seconds: 90})
	l.leaving()
	l.lost([]int32{3})
	now = now.Add(time.Minute)
	checkReadings(t, registry, map[string]float64{records: 3, seconds: 150, "webcheck_processor_partitions_owned": 0})
	l.assigned(map[int32]int64{4: 0})
	if got := readings(t, registry); !math.IsNaN(lookUp(got, records)) {
		t.Errorf("the lag of a partition that another has taken over is still there: %v", got)
	}
	l.lost([]int32{4})
	checkReadings(t, registry, map[string]float64{"webcheck_processor_partitions_owned": 0})
}

func lookUp(readings map[string]float64, name string) float64 {
	if value, there := readings[name]; there {
		return value
	}
	return math.NaN()
}

func TestARegistryThatDoesNotAnswerIsCounted(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	m.schemaFetched(nil)
	m.schemaFetched(errors.New("away"))
	if fetches, failed := testutil.ToFloat64(m.schemaFetches), testutil.ToFloat64(m.schemaErrors); fetches != 2 || failed != 1 {
		t.Errorf("got %v fetches, %v without an answer, want 2 and 1", fetches, failed)
	}
}

func TestABatchIsCountedWithItsPhasesAndFolds(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	var watch stopwatch
	watch.start()
	watch.lap(phaseRows)
	watch.lap(phaseFolds)
	watch.spent[phaseRows], watch.spent[phaseFolds] = time.Second, time.Second
	m.committed(Tally{Records: 7, Inserted: 3, Merged: 2, Dead: 1, Folded: Folded{Amended: 5}}, &watch)
	checkReadings(t, registry, map[string]float64{
		"webcheck_processor_batch_records":                     1,
		"webcheck_processor_batch_phase_seconds{phase=rows}":   1,
		"webcheck_processor_batch_phase_seconds{phase=folds}":  1,
		"webcheck_processor_batch_phase_seconds{phase=decode}": 0,
		"webcheck_processor_folds_amended_total":               5,
		"webcheck_processor_records_total":                     7,
	})
}

func TestOneRegistryIsForOneProcessor(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("a second processor's metrics were taken")
	}
}

// allMetrics gives a registry with every metric of the processor, each with a value.
func allMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	lag := newLag("checks")
	m, err := newMetrics(registry, lag)
	if err != nil {
		t.Fatal(err)
	}
	lag.assigned(map[int32]int64{0: 0})
	m.waiting.WithLabelValues("processing")
	return registry
}

func TestMetricsHaveNamesAsPrometheusWantsThem(t *testing.T) {
	problems, err := testutil.GatherAndLint(allMetrics(t))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestREADMEListsEveryMetric(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := allMetrics(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(webcheck_processor_[a-z_]+)").FindAllStringSubmatch(string(readme), -1) {
		there = append(there, row[1])
	}
	var want []string
	for _, family := range families {
		want = append(want, family.GetName())
	}
	slices.Sort(there)
	if !slices.Equal(there, want) {
		t.Errorf("README.md has the metrics %q, and the program %q", there, want)
	}
}
