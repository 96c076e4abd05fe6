package cli

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// probeMeasurement is one run of one stage.
type probeMeasurement struct {
	Targets int `json:"targets"`
	// Checks that ran in their slots, Missed slots that were written as missed, Gaps slots without an event (below 0: with more
	// than one), Down checks that found the site down though it answers everybody who waits.
	Checks int64 `json:"checks"`
	Missed int64 `json:"missed"`
	Gaps   int64 `json:"gaps"`
	Down   int64 `json:"down"`

	PerSecond float64 `json:"checks_per_second"`
	Seconds   float64 `json:"seconds"`
	// CPU is of the stage's own process, SiteCPU of that which is checked, in seconds of all cores.
	CPU         float64 `json:"cpu_seconds"`
	CPUPer1000  float64 `json:"cpu_seconds_per_1000"`
	SiteCPU     float64 `json:"site_cpu_seconds"`
	SitePer1000 float64 `json:"site_cpu_seconds_per_1000"`
	// LateP50, LateP99 and LateMost are from the slot to the beginning of its check, in milliseconds.
	LateP50  float64 `json:"late_p50_ms"`
	LateP99  float64 `json:"late_p99_ms"`
	LateMost float64 `json:"late_most_ms"`
	// LoadSeconds is from the prober's start until it had all its targets from Kafka, LoadCPU what that took of all cores. Where a
	// stage only loads, its other figures of speed and CPU are of definitions and not of checks.
	LoadSeconds float64 `json:"load_seconds,omitempty"`
	LoadCPU     float64 `json:"load_cpu_seconds,omitempty"`
	// ResidentBytes is the process's memory at the end of the time, PeakBytes the most until then.
	ResidentBytes int64 `json:"resident_bytes"`
	PeakBytes     int64 `json:"peak_resident_bytes"`

	handed int64 // checks that ended while CPU was measured
}

// divide works out what follows from the rest.
func (m *probeMeasurement) divide() {
	if m.handed > 0 {
		m.PerSecond = float64(m.handed) / m.Seconds
		m.CPUPer1000 = 1000 * m.CPU / float64(m.handed)
		m.SitePer1000 = 1000 * m.SiteCPU / float64(m.handed)
	}
}

// probeResult is what was measured, and on what.
type probeResult struct {
	CPUs     int    `json:"cpus"`
	CPUModel string `json:"cpu_model,omitempty"`
	Platform string `json:"platform"`
	Go       string `json:"go"`
	// Load is the load average of the minute before, where Linux tells it: what others did to the figures.
	Load string `json:"load_average,omitempty"`
	// Divide is by how much the targets were fewer than the stages' names say.
	Divide        int  `json:"divide"`
	KafkaEmbedded bool `json:"kafka_embedded"`

	Stages []probeStageResult `json:"stages"`
}

// probeStageResult is a stage with all its runs.
type probeStageResult struct {
	Name  string             `json:"name"`
	Limit string             `json:"limit,omitempty"`
	Goals []probeGoalResult  `json:"goals,omitempty"`
	Runs  []probeMeasurement `json:"runs"`

	stage probeStage
}

// probeGoalResult is a figure of the middle runs, and what it should not be above.
type probeGoalResult struct {
	What   string   `json:"what"`
	Figure float64  `json:"figure"`
	Goal   *float64 `json:"goal,omitempty"`

	text string
}

func newProbeResult(options probeOptions, embedded bool) probeResult {
	return probeResult{
		CPUs: runtime.GOMAXPROCS(0), CPUModel: cpuModel(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Load: loadAverage(),
		Divide: options.divide, KafkaEmbedded: embedded,
	}
}

func (r *probeResult) add(stage probeStage, m probeMeasurement) {
	i := slices.IndexFunc(r.Stages, func(s probeStageResult) bool { return s.Name == stage.Name })
	if i < 0 {
		i = len(r.Stages)
		r.Stages = append(r.Stages, probeStageResult{Name: stage.Name, Limit: stage.Limit, stage: stage})
	}
	r.Stages[i].Runs = append(r.Stages[i].Runs, m)
}

// sorted are the runs by CPU time a check, and by the time to load where there is none.
func (s probeStageResult) sorted() []probeMeasurement {
	return slices.SortedFunc(slices.Values(s.Runs), func(a, b probeMeasurement) int {
		return cmp.Or(cmp.Compare(a.CPUPer1000, b.CPUPer1000), cmp.Compare(a.LoadSeconds, b.LoadSeconds))
	})
}

func (s probeStageResult) middle() probeMeasurement { return s.sorted()[len(s.Runs)/2] }

// setGoals works out the goals from the middle runs.
func (r *probeResult) setGoals() {
	middles := make(map[string]probeMeasurement)
	for _, s := range r.Stages {
		middles[s.Name] = s.middle()
	}
	for i := range r.Stages {
		s := &r.Stages[i]
		for _, goal := range s.stage.goals {
			figure := goal.figure(middles[s.Name], middles[s.Limit])
			if math.IsNaN(figure) || math.IsInf(figure, 0) { // nothing ended in so short a time
				continue
			}
			g := probeGoalResult{What: goal.what, Figure: figure, text: goal.text(figure, s.Limit)}
			if !goal.open {
				g.Goal = new(goal.most)
				g.text += fmt.Sprintf(" (goal %g)", goal.most)
			}
			s.Goals = append(s.Goals, g)
		}
	}
}

// print writes the result as a table or as JSON; nothing when nothing was measured.
func (r *probeResult) print(p *program, asJSON bool) error {
	if len(r.Stages) == 0 {
		return nil
	}
	r.setGoals()
	out := newPrinter(p.Stdout, p.Env)
	if asJSON {
		return out.json(r)
	}
	machine := fmt.Sprintf("%s, %s, %s, %s", count(r.CPUs, "core"), printable(r.CPUModel), r.Platform, r.Go)
	if r.Load != "" {
		machine += ", load average before " + r.Load
	}
	out.printf("%s; Kafka%s", machine, where(r.KafkaEmbedded))
	if r.Divide > 1 {
		out.printf("with one in %d of the targets", r.Divide)
	}
	several := len(r.Stages[0].Runs) > 1
	cpuHead := fmt.Sprintf("%8s", "cpu s/k")
	if several {
		cpuHead = fmt.Sprintf("%7s %7s %7s", "least", "cpu s/k", "most")
	}
	out.printf("")
	out.printf("%-14s  %8s  %6s  %s  %8s  %24s  %6s  %5s  %4s  %5s", "stage", "checks", "/s", cpuHead, "site s/k", "ms late p50, p99, most", "missed", "down", "MiB", "peak")
	for _, s := range r.Stages {
		s.print(out, several)
	}
	r.printGoals(out)
	return nil
}

func (s probeStageResult) print(out *printer, several bool) {
	m, sorted := s.middle(), s.sorted()
	cpu := fmt.Sprintf("%8.3f", m.CPUPer1000)
	if several {
		cpu = fmt.Sprintf("%7.3f %7.3f %7.3f", sorted[0].CPUPer1000, m.CPUPer1000, sorted[len(sorted)-1].CPUPer1000)
	}
	if m.CPUPer1000 == 0 { // nothing ended
		cpu = fmt.Sprintf("%*s", len(cpu), "-")
	}
	late := "-"
	if m.LateMost > 0 {
		late = fmt.Sprintf("%7.1f %7.1f %7.1f", m.LateP50, m.LateP99, m.LateMost)
	}
	out.printf("%-14s  %8d  %6.0f  %s  %8.3f  %24s  %6d  %5d  %4d  %5d", s.Name, m.Checks, m.PerSecond, cpu, m.SitePer1000, late,
		m.Missed, m.Down, m.ResidentBytes>>20, m.PeakBytes>>20)
}

// printGoals says how far the stages are from what they are held against, and what should never be.
func (r *probeResult) printGoals(out *printer) {
	out.printf("")
	for _, s := range r.Stages {
		var texts []string
		for _, g := range s.Goals {
			texts = append(texts, g.text)
		}
		if gaps := s.middle().Gaps; gaps != 0 {
			texts = append(texts, fmt.Sprintf("%d slots without an event", gaps))
		}
		if len(texts) > 0 {
			out.printf("%-14s  %s", s.Name, strings.Join(texts, ", "))
		}
	}
}

// seeMemory notes what this process has resident. The kernel's two figures are not of the same moment.
func (m *probeMeasurement) seeMemory() {
	m.ResidentBytes = residentBytes()
	m.PeakBytes = max(peakBytes(), m.ResidentBytes)
}

// residentBytes is the memory that this process has resident, where Linux tells it, and else the most that it had.
func residentBytes() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return peakBytes()
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
