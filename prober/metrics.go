package prober

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"webcheck/gen/event"
)

// namespace begins the name of every metric of the prober. Its label values come from closed lists: never from a target.
const namespace = "webcheck_prober"

// The names of a check's phases, as labels.
const (
	phaseDNS       = "dns"
	phaseConnect   = "connect"
	phaseTLS       = "tls"
	phaseFirstByte = "first_byte"
	phaseTransfer  = "transfer"
	phaseTotal     = "total"
)

// metrics are what is counted and measured of checks and of the scheduler. They are there without a registry too, where nobody
// sees them.
type metrics struct {
	outcomes   map[event.Outcome]prometheus.Counter
	reasons    *prometheus.CounterVec
	phases     map[string]prometheus.Observer
	lateness   prometheus.Histogram
	lost       prometheus.Counter
	inFlight   prometheus.Gauge
	waiting    prometheus.Gauge
	targets    prometheus.Gauge
	owed       prometheus.Gauge
	partitions prometheus.Gauge
}

// newMetrics makes the metrics and shows them in registry, which may be nil. The error is that of a registry that has them already.
func newMetrics(registry prometheus.Registerer, unanswered func() float64) (*metrics, error) {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "checks_total",
		Help: "Slots by the outcome of their event."}, []string{"outcome"})
	reasons := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "failures_total",
		Help: "Slots whose outcome is not up, by their failure."}, []string{"failure"})
	// From a fifth of a millisecond, which is a connection on the same machine, to the longest timeout that people give.
	phases := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "check_phase_seconds",
		Help: "Time of each phase of a check that finished it, summed over redirects.", Buckets: prometheus.ExponentialBuckets(0.0002, 3, 12)}, []string{"phase"})
	m := &metrics{
		outcomes: make(map[event.Outcome]prometheus.Counter), reasons: reasons, phases: make(map[string]prometheus.Observer),
		// From half a millisecond, which nobody notices, to half a minute, which is a take-over.
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "lateness_seconds",
			Help: "How long after its slot a check began.", Buckets: prometheus.ExponentialBuckets(0.0005, 3, 11)}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "events_lost_total",
			Help: "Events that were given up, because there was no room for them or they could not be encoded; their slots follow as missed."}),
		inFlight:   newGauge("checks_in_flight", "Checks that run."),
		waiting:    newGauge("slots_waiting", "Slots that wait for their turn, because of an earlier check or of a bound."),
		targets:    newGauge("targets", "Targets that are this prober's to check."),
		owed:       newGauge("targets_owing", "Definitions of targets with slots that passed and are still to be written as missed."),
		partitions: newGauge("partitions", "Partitions of the topic of definitions that are this prober's."),
	}
	for _, outcome := range []event.Outcome{event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeMissed} {
		m.outcomes[outcome] = outcomes.WithLabelValues(outcome)
	}
	for _, phase := range []string{phaseDNS, phaseConnect, phaseTLS, phaseFirstByte, phaseTransfer, phaseTotal} {
		m.phases[phase] = phases.WithLabelValues(phase)
	}
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{outcomes, reasons, phases, m.lateness, m.lost, m.inFlight, m.waiting, m.targets, m.owed, m.partitions,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "events_unanswered",
			Help: "Events that were handed over and are neither acknowledged by Kafka nor in the spool."}, unanswered)} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func newGauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

// checked counts the event of a slot.
func (m *metrics) checked(e *event.CheckCompleted) {
	if c := m.outcomes[e.Outcome]; c != nil {
		c.Inc()
	}
	if e.Failure != nil {
		m.reasons.WithLabelValues(*e.Failure).Inc()
	}
	if e.Attempts == 0 {
		return
	}
	m.lateness.Observe(e.StartedAt.Sub(e.Slot).Seconds())
	for _, phase := range []struct {
		name string
		us   *int32
	}{{phaseDNS, e.DNSUs}, {phaseConnect, e.ConnectUs}, {phaseTLS, e.TLSUs}, {phaseFirstByte, e.FirstByteUs}, {phaseTransfer, e.TransferUs}, {phaseTotal, e.TotalUs}} {
		if phase.us != nil {
			m.phases[phase.name].Observe((time.Duration(*phase.us) * time.Microsecond).Seconds())
		}
	}
}

// answered counts an event that was given up.
func (m *metrics) answered(err error) {
	if err != nil {
		m.lost.Inc()
	}
}

// turn shows what the scheduler has.
func (m *metrics) turn(p *Prober) {
	partitions := len(p.shares)
	if p.shares[fixed] != nil {
		partitions--
	}
	m.targets.Set(float64(p.targets()))
	m.inFlight.Set(float64(p.checks.running))
	m.waiting.Set(float64(p.waiting))
	m.owed.Set(float64(len(p.debts)))
	m.partitions.Set(float64(partitions))
}

// Show makes registry, which may be nil, show what the spool holds. The error is that of a registry that has it already.
func (s *SpoolEmitter) Show(registry prometheus.Registerer) error {
	if registry == nil {
		return nil
	}
	gauge := func(name, help string, value func(SpoolState) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, func() float64 { return value(s.State()) })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		gauge("spool_events", "Events that wait on disk for Kafka.", func(s SpoolState) float64 { return float64(s.Records) }),
		gauge("spool_bytes", "Bytes of the events that wait on disk for Kafka.", func(s SpoolState) float64 { return float64(s.Bytes) }),
		gauge("spooling", "1 while events go to the disk and not to Kafka.", func(s SpoolState) float64 {
			if s.Mode == SpoolIdle {
				return 0
			}
			return 1
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: "produce_errors_total",
			Help: "Events that Kafka or its client answered with an error; most are sent again."}, func() float64 { return float64(s.State().ProduceErrors) }),
	} {
		errs = append(errs, registry.Register(c))
	}
	return errors.Join(errs...)
}
