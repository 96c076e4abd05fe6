package prober

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"webcheck/gen/event"
)

// allMetrics is a registry with every metric of a prober that has checked.
func allMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	p := newTestProber(t, Config{Emit: newRecorder(), Metrics: registry, Targets: []Target{every("one", time.Second)}}, taking(time.Millisecond))
	if err := newBroker(t).emitter(t).Show(registry); err != nil {
		t.Fatal(err)
	}
	total, reason := int32(1500), event.FailureTimeout
	p.metrics.checked(&event.CheckCompleted{Outcome: event.OutcomeDown, Failure: &reason, Attempts: 1, TotalUs: &total})
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
	for _, row := range regexp.MustCompile("(?m)^\\| `webcheck_prober_.*").FindAllString(string(readme), -1) {
		for _, name := range regexp.MustCompile("`(webcheck_prober_[a-z_]+)").FindAllStringSubmatch(row, -1) {
			there = append(there, name[1])
		}
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

func TestMetricsCountWhatBecameOfEverySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		stop := run(t, newTestProber(t, Config{Emit: newRecorder(), Metrics: registry, Targets: []Target{every("one", time.Second)}}, taking(1500*time.Millisecond)))
		wait(20 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for _, metric := range []struct {
			name string
			want int
		}{{"webcheck_prober_lateness_seconds", 10}, {"webcheck_prober_checks_total", 20}, {"webcheck_prober_failures_total", 10}} {
			if got := total(t, registry, metric.name); got != metric.want {
				t.Errorf("%s: got %d, want %d", metric.name, got, metric.want)
			}
		}
	})
}

// total is the sum of a counter's values or of a histogram's observations, over all labels.
func total(t *testing.T, registry *prometheus.Registry, name string) (sum int) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += int(m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
