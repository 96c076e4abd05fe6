package processor

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// namespace begins the name of every metric of the processor. Its label values come from closed lists, a topic's
// partitions, and brokers: never from an event.
const namespace = "webcheck_processor"

// metrics are what is counted and measured, once a batch and never once a record. They are there without a registry too,
// where nobody sees them.
type metrics struct {
	registry      prometheus.Registerer // nil: nobody looks
	batchRecords  prometheus.Histogram
	phaseSeconds  *prometheus.HistogramVec
	records       prometheus.Counter
	rowsInserted  prometheus.Counter
	rowsMerged    prometheus.Counter
	deadLetters   prometheus.Counter
	foldsAmended  prometheus.Counter
	schemaFetches prometheus.Counter
	schemaErrors  prometheus.Counter
	waiting       *prometheus.GaugeVec
	lastCommit    prometheus.Gauge
}

// newMetrics makes the metrics and shows them, and those of others, in registry, which may be nil. The error is that of a
// registry that has them already.
func newMetrics(registry prometheus.Registerer, others ...prometheus.Collector) (*metrics, error) {
	m := &metrics{
		registry: registry,
		// From a single event to the largest batch that is of use, 1 to 65536.
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "batch_records",
			Help: "Records that a committed batch took from the log.", Buckets: prometheus.ExponentialBuckets(1, 4, 9)}),
		// From half a millisecond to more than a batch may take, which is 20 s.
		phaseSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "batch_phase_seconds",
			Help: "Time of each phase of a committed batch; poll includes waiting for records, and is that of all batches of one poll.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"phase"}),
		records:       newCounter("records_total", "Records taken from the log and committed."),
		rowsInserted:  newCounter("rows_inserted_total", "Rows of checks that were new."),
		rowsMerged:    newCounter("rows_merged_total", "Rows of checks written by a merge, because an id of their batch was there before."),
		deadLetters:   newCounter("dead_letters_total", "Records that can never be applied."),
		foldsAmended:  newCounter("folds_amended_total", "Windows, incidents and rollups that late events changed after the fact."),
		schemaFetches: newCounter("schema_fetches_total", "Writer schemas that the registry was asked for."),
		schemaErrors:  newCounter("schema_fetch_errors_total", "Fetches of a writer schema that the registry did not answer."),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "waiting",
			Help: "1 while something is held up by Kafka, the registry or PostgreSQL; for brokers, how many could not be reached when last tried."}, []string{"doing"}),
		lastCommit: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "last_commit_timestamp_seconds",
			Help: "When the last batch was committed, in seconds since 1970; 0 before the first."}),
	}
	for _, name := range phaseNames {
		m.phaseSeconds.WithLabelValues(name)
	}
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range append(others, m.batchRecords, m.phaseSeconds, m.records, m.rowsInserted, m.rowsMerged, m.deadLetters,
		m.foldsAmended, m.schemaFetches, m.schemaErrors, m.waiting, m.lastCommit) {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

// outage gives an outage that the gauge follows; doing is what is held up.
func (m *metrics) outage(cfg Config, doing string) outage {
	return outage{logger: cfg.Logger, doing: doing, waiting: m.waiting.WithLabelValues(doing)}
}

// committed counts a batch.
func (m *metrics) committed(tally Tally, watch *stopwatch) {
	m.batchRecords.Observe(float64(tally.Records))
	for p, spent := range watch.spent {
		if spent > 0 {
			m.phaseSeconds.WithLabelValues(phaseNames[p]).Observe(spent.Seconds())
		}
	}
	m.records.Add(float64(tally.Records))
	m.rowsInserted.Add(float64(tally.Inserted))
	m.rowsMerged.Add(float64(tally.Merged))
	m.deadLetters.Add(float64(tally.Dead))
	m.foldsAmended.Add(float64(tally.Amended))
	m.lastCommit.SetToCurrentTime()
}

// schemaFetched counts a fetch; err is not nil when there was no answer.
func (m *metrics) schemaFetched(err error) {
	m.schemaFetches.Inc()
	if err != nil {
		m.schemaErrors.Inc()
	}
}

// KafkaMetrics makes a Kafka client show its own metrics in registry as webcheck_kafka_…, under the label client. It is for
// one client, and of clients that are there at once each has another name. A nil registry shows nothing.
func KafkaMetrics(registry prometheus.Registerer, client string) kgo.Opt {
	if registry == nil {
		return kgo.WithHooks()
	}
	return kgo.WithHooks(kprom.NewMetrics("webcheck_kafka", kprom.Registerer(registry),
		kprom.WithStaticLabel(prometheus.Labels{"client": client})))
}

// phase is a part of the work on a batch.
type phase int

// The phases, in their order.
const (
	phasePoll   phase = iota // waiting for records, too; all batches of one poll have it
	phaseDecode              // and making rows
	phaseRows                // offsets and rows into PostgreSQL
	phaseFolds               // what is folded from the rows
	phaseCommit              // dead letters and the commit
	phases
)

var phaseNames = [phases]string{"poll", "decode", "rows", "folds", "commit"}

// stopwatch measures the phases of one batch, one after the other.
type stopwatch struct {
	last  time.Time
	spent [phases]time.Duration
}

// start begins anew.
func (w *stopwatch) start() { *w = stopwatch{last: time.Now()} }

// resume begins the next phase now: the time since the last one was spent waiting for another batch.
func (w *stopwatch) resume() { w.last = time.Now() }

// lap ends a phase, and begins the next one.
func (w *stopwatch) lap(p phase) {
	now := time.Now()
	w.spent[p] += now.Sub(w.last)
	w.last = now
}
