package cli

import (
	"fmt"
	"slices"
	"time"

	"webcheck/prober"
)

// How a stage of "webcheck bench probe" asks.
type probeKind int

const (
	kindBare   probeKind = iota // net/http, one request after the other in each of some goroutines
	kindSpread                  // net/http, a request whenever one is due
	kindFixed                   // a prober with targets that it is given
	kindFollow                  // a prober that reads its targets from the topic
	kindLoad                    // the same, until it has read them
)

// The stages that are named elsewhere.
const (
	probeBare    = "bare"
	probeBareTLS = "bare-tls"
	probeSpread  = "bare-spread"
	probeSteady  = "steady"
	probeOne     = "targets-1"
)

// hangingID begins the ids of targets that hang until their timeout, every tenth where a stage has them.
const (
	hangingID = "hangs-"
	hangingOf = 10
)

// probeStage is one thing to measure of the prober.
type probeStage struct {
	// Name is for flags, JSON and people.
	Name string
	kind probeKind
	// Limit names the stage that this one's figures are held against; empty when it is a limit itself.
	Limit    string
	targets  int
	interval time.Duration
	tls      bool
	hanging  bool // every hangingOf-th target hangs
	goals    []probeGoal
}

// probeStages are the stages in the order in which they run: each limit shortly before what is held against it.
func probeStages() []probeStage {
	each := func(goals ...probeGoal) []probeGoal { return goals }
	return []probeStage{
		{Name: probeBare, kind: kindBare, targets: 1000},
		{Name: "probe", kind: kindFixed, Limit: probeBare, targets: 1000, interval: 250 * time.Millisecond, goals: each(goalRatio(1.15))},
		{Name: probeBareTLS, kind: kindBare, targets: 1000, tls: true},
		{Name: "probe-tls", kind: kindFixed, Limit: probeBareTLS, targets: 1000, interval: 1250 * time.Millisecond, tls: true, goals: each(goalRatio(1.10))},
		{Name: probeSpread, kind: kindSpread, targets: 800, interval: time.Second},
		{Name: "probe-800", kind: kindFixed, Limit: probeSpread, targets: 800, interval: time.Second, goals: each(goalCPU(0.16), goalRatio(0))},
		{Name: "late-5000", kind: kindFixed, targets: 1000, interval: 200 * time.Millisecond, goals: each(goalLate(10), goalMissed(0.5))},
		{Name: "late-8000", kind: kindFixed, targets: 1000, interval: 125 * time.Millisecond, goals: each(goalLate(25), goalMissed(0.5))},
		{Name: probeSteady, kind: kindFixed, targets: 1000, interval: time.Second},
		{Name: "hanging", kind: kindFixed, Limit: probeSteady, targets: 1000, interval: time.Second, hanging: true, goals: each(goalLater(20))},
		{Name: "targets-10000", kind: kindFixed, targets: 10_000, interval: time.Minute, goals: each(goalPeak(60))},
		{Name: probeOne, kind: kindFollow, targets: 1, interval: time.Second},
		{Name: "targets-100000", kind: kindFollow, Limit: probeOne, targets: 100_000, interval: time.Minute,
			goals: each(goalLoad(5), goalMissed(0), goalLate(100), goalIdle(6))},
		{Name: "load-1000000", kind: kindLoad, targets: 1_000_000, interval: time.Hour, goals: each(goalLoad(13))},
	}
}

func probeStageNames() []string {
	var names []string
	for _, stage := range probeStages() {
		names = append(names, stage.Name)
	}
	return names
}

// findProbeStage returns the stage of that name with an nth of its targets, at least one.
func findProbeStage(name string, n int) (probeStage, bool) {
	stages := probeStages()
	i := slices.IndexFunc(stages, func(s probeStage) bool { return s.Name == name })
	if i < 0 {
		return probeStage{}, false
	}
	stage := stages[i]
	stage.targets = max(stage.targets/n, 1)
	return stage, true
}

// follows reports whether the stage's targets come from a topic.
func (s probeStage) follows() bool { return s.kind == kindFollow || s.kind == kindLoad }

// window is how long the stage is measured where nobody says: one with a whole minute of slots takes that.
func (s probeStage) window() time.Duration {
	if s.kind == kindFollow {
		return max(probeWindow, s.interval)
	}
	return probeWindow
}

// target is the nth target of the stage, of those that listen at a place.
func (s probeStage) target(n int, place probePlace) prober.Target {
	scheme, addresses, path, id := "http", place.Plain, sitePage, "bench-"
	if s.tls {
		scheme, addresses = "https", place.TLS
	}
	if s.hanging && n%hangingOf == 0 {
		path, id = siteHole, hangingID
	}
	t := prober.NewTarget(fmt.Sprintf("%s%07d", id, n), scheme+"://"+addresses[n%len(addresses)]+path)
	if s.interval > 0 {
		t.Interval, t.Timeout = s.interval, prober.DefaultTimeoutFor(s.interval)
	}
	return t
}

// probeGoal is what a figure of a stage should not be above.
type probeGoal struct {
	// what names the figure in JSON.
	what string
	most float64
	// figure is that of a run, held against the limit's run where the stage has one; text is for people.
	figure func(m, limit probeMeasurement) float64
	text   func(figure float64, limit string) string
	// open has nobody's bound: the figure is shown, and no more.
	open bool
}

// goalRatio bounds CPU time by that of the limit; 0 only shows it.
func goalRatio(most float64) probeGoal {
	return probeGoal{what: "cpu_ratio", most: most, open: most == 0,
		figure: func(m, limit probeMeasurement) float64 { return m.CPUPer1000 / limit.CPUPer1000 },
		text:   func(figure float64, limit string) string { return fmt.Sprintf("%.2f x %s", figure, limit) }}
}

// plainGoal is a goal for a figure that is held against nothing.
func plainGoal(what string, most float64, format string, figure func(probeMeasurement) float64) probeGoal {
	return probeGoal{what: what, most: most,
		figure: func(m, _ probeMeasurement) float64 { return figure(m) },
		text:   func(figure float64, _ string) string { return fmt.Sprintf(format, figure) }}
}

func goalCPU(most float64) probeGoal {
	return plainGoal("cpu_seconds_per_1000", most, "%.3f cpu s/1000", func(m probeMeasurement) float64 { return m.CPUPer1000 })
}

func goalLate(most float64) probeGoal {
	return plainGoal("late_p99_ms", most, "p99 %.1f ms late", func(m probeMeasurement) float64 { return m.LateP99 })
}

func goalMissed(most float64) probeGoal {
	return plainGoal("missed_percent", most, "%.2f %% missed", func(m probeMeasurement) float64 {
		return 100 * float64(m.Missed) / float64(max(m.Checks+m.Missed, 1))
	})
}

func goalPeak(most float64) probeGoal {
	return plainGoal("peak_mib", most, "%.0f MiB at most", func(m probeMeasurement) float64 { return float64(m.PeakBytes) / (1 << 20) })
}

func goalLoad(most float64) probeGoal {
	return plainGoal("load_seconds", most, "loaded in %.1f s", func(m probeMeasurement) float64 { return m.LoadSeconds })
}

// goalLater bounds by how much the 99th percentile of lateness is above the limit's, in milliseconds.
func goalLater(most float64) probeGoal {
	return probeGoal{what: "later_p99_ms", most: most,
		figure: func(m, limit probeMeasurement) float64 { return m.LateP99 - limit.LateP99 },
		text:   func(figure float64, limit string) string { return fmt.Sprintf("p99 %+.1f ms to %s", figure, limit) }}
}

// goalIdle bounds the memory of a target between its checks, in thousands of bytes.
func goalIdle(most float64) probeGoal {
	return probeGoal{what: "idle_target_kb", most: most,
		figure: func(m, limit probeMeasurement) float64 {
			return float64(m.ResidentBytes-limit.ResidentBytes) / 1e3 / float64(m.Targets)
		},
		text: func(figure float64, limit string) string {
			return fmt.Sprintf("%.1f kB a target above %s", figure, limit)
		}}
}
