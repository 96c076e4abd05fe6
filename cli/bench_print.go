package cli

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// measurement is one run of one stage.
type measurement struct {
	Events    int64   `json:"events"`
	PerSecond float64 `json:"events_per_second"`
	Seconds   float64 `json:"seconds"`
	// CPU is of the stage's own processes, PostgresCPU of the server where it can be known, in seconds of all cores.
	CPU         float64  `json:"cpu_seconds"`
	PostgresCPU *float64 `json:"postgres_cpu_seconds,omitempty"`
	// PeakBytes is the most memory that one process had resident.
	PeakBytes int64 `json:"peak_resident_bytes"`
	// DeadRows is, for the redelivery, how many row versions it wrote for nothing.
	DeadRows *int64 `json:"dead_rows,omitempty"`
}

// sum makes one measurement of what the processes of a stage told.
func (r *stageReports) sum() (m measurement) {
	for _, lines := range r.lines {
		report := lines[len(lines)-1].Report
		m.Events += report.Events
		m.Seconds = max(m.Seconds, report.Seconds)
		m.CPU += report.CPU
		m.PeakBytes = max(m.PeakBytes, report.PeakBytes)
	}
	m.PerSecond = float64(m.Events) / m.Seconds
	if together, known := r.together(); known && len(r.lines) > 1 {
		m.PerSecond = together
	}
	return m
}

// together is the speed of all processes from when each of them had committed a batch; not known when one never did.
func (r *stageReports) together() (perSecond float64, known bool) {
	var begun, ended time.Time
	for _, lines := range r.lines {
		if lines[0].Records == 0 {
			return 0, false
		}
		if lines[0].At.After(begun) {
			begun = lines[0].At
		}
	}
	records := 0
	for _, line := range slices.Concat(r.lines...) {
		if line.At.After(begun) {
			records += line.Records
		}
		if line.At.After(ended) {
			ended = line.At
		}
	}
	perSecond = float64(records) / ended.Sub(begun).Seconds()
	return perSecond, records > 0
}

// benchResult is what was measured, and on what.
type benchResult struct {
	Events     int    `json:"events"`
	Targets    int    `json:"targets"`
	Interval   string `json:"interval"`
	Partitions int    `json:"partitions"`
	ValueBytes int64  `json:"value_bytes"`
	Batch      int    `json:"batch_records"`
	CPUs       int    `json:"cpus"`
	CPUModel   string `json:"cpu_model,omitempty"`
	Platform   string `json:"platform"`
	Go         string `json:"go"`
	// Load is the load average of the minute before, where Linux tells it: what others did to the figures.
	Load string `json:"load_average,omitempty"`

	KafkaEmbedded     bool   `json:"kafka_embedded"`
	PostgresEmbedded  bool   `json:"postgres_embedded"`
	PostgresVersion   string `json:"postgres_version"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	SharedBuffers     string `json:"shared_buffers"`

	Stages   []stageResult `json:"stages"`
	RowBytes int64         `json:"row_bytes,omitempty"` // of checks, with its index

	Queries []queryResult `json:"queries,omitempty"`
	Tables  []tableResult `json:"tables,omitempty"`
}

// stageResult is a stage with all its runs.
type stageResult struct {
	Name  string `json:"name"`
	Limit string `json:"limit,omitempty"`
	// Ratio is the speed by the limit's, both of the middle run; absent without a limit.
	Ratio *float64      `json:"ratio,omitempty"`
	Runs  []measurement `json:"runs"`

	text string
}

func newBenchResult(config *Config, options benchOptions) benchResult {
	return benchResult{
		Events: options.events, Targets: options.targets, Interval: formatDuration(options.interval),
		Partitions: config.Kafka.Topics.Partitions, Batch: config.Processor.BatchRecords,
		CPUs: runtime.GOMAXPROCS(0), CPUModel: cpuModel(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Load: loadAverage(),
	}
}

// cpuModel is the first core's name, where Linux tells it.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

func (r *benchResult) add(stage benchStage, m measurement) {
	for i := range r.Stages {
		if r.Stages[i].Name == stage.Name {
			r.Stages[i].Runs = append(r.Stages[i].Runs, m)
			return
		}
	}
	r.Stages = append(r.Stages, stageResult{Name: stage.Name, Limit: stage.Limit, text: stage.Text, Runs: []measurement{m}})
}

// middle is the run with the middle speed.
func (s stageResult) middle() measurement { return s.sorted()[len(s.Runs)/2] }

func (s stageResult) sorted() []measurement {
	return slices.SortedFunc(slices.Values(s.Runs), func(a, b measurement) int {
		if a.PerSecond < b.PerSecond {
			return -1
		}
		return 1
	})
}

// setRatios holds each stage against its limit.
func (r *benchResult) setRatios() {
	speeds := make(map[string]float64)
	for _, s := range r.Stages {
		speeds[s.Name] = s.middle().PerSecond
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; speeds[s.Limit] > 0 {
			s.Ratio = new(speeds[s.Name] / speeds[s.Limit])
		}
	}
}

// print writes the result as a table or as JSON; nothing when nothing was measured.
func (r *benchResult) print(p *program, asJSON bool) error {
	if len(r.Stages) == 0 {
		return nil
	}
	r.setRatios()
	out := newPrinter(p.Stdout, p.Env)
	if asJSON {
		return out.json(r)
	}
	out.printf("%d events of %d targets in %d partitions, %d bytes each; batches of %d", r.Events, r.Targets, r.Partitions, r.ValueBytes, r.Batch)
	machine := fmt.Sprintf("%s, %s, %s, %s", count(r.CPUs, "core"), printable(r.CPUModel), r.Platform, r.Go)
	if r.Load != "" {
		machine += ", load average before " + r.Load
	}
	out.printf("%s", machine)
	out.printf("PostgreSQL %s%s: fsync %s, synchronous_commit %s, shared_buffers %s; Kafka%s", printable(r.PostgresVersion), where(r.PostgresEmbedded),
		printable(r.Fsync), printable(r.SynchronousCommit), printable(r.SharedBuffers), where(r.KafkaEmbedded))
	several := len(r.Stages[0].Runs) > 1
	speedHead := fmt.Sprintf("%9s", "events/s")
	if several {
		speedHead = fmt.Sprintf("%9s  %9s  %9s", "least", "middle", "most")
	}
	out.printf("")
	out.printf("%-24s  %s  %7s  %6s  %10s  %8s  ratio", "stage", speedHead, "seconds", "cpu s", "postgres s", "peak MiB")
	for _, s := range r.Stages {
		r.printStage(out, s, several)
	}
	r.printRows(out)
	r.printQueries(out)
	return nil
}

func where(embedded bool) string {
	if embedded {
		return " (embedded)"
	}
	return ""
}

func (r *benchResult) printStage(out *printer, s stageResult, several bool) {
	m, sorted := s.middle(), s.sorted()
	speed := fmt.Sprintf("%9.0f", m.PerSecond)
	if several {
		speed = fmt.Sprintf("%9.0f  %9.0f  %9.0f", sorted[0].PerSecond, m.PerSecond, sorted[len(sorted)-1].PerSecond)
	}
	postgres := "-"
	if m.PostgresCPU != nil {
		postgres = fmt.Sprintf("%.2f", *m.PostgresCPU)
	}
	line := fmt.Sprintf("%-24s  %s  %7.2f  %6.2f  %10s  %8d", s.text, speed, m.Seconds, m.CPU, postgres, m.PeakBytes>>20)
	if s.Ratio != nil {
		line += fmt.Sprintf("  %.2f of %s", *s.Ratio, r.textOf(s.Limit))
	}
	out.printf("%s", line)
}

func (r *benchResult) textOf(name string) string {
	for _, s := range r.Stages {
		if s.Name == name {
			return strconv.Quote(s.text)
		}
	}
	return name
}

// printRows says what is not about speed.
func (r *benchResult) printRows(out *printer) {
	if r.RowBytes > 0 {
		out.printf("a row of checks with its index: %d bytes", r.RowBytes)
	}
	for _, s := range r.Stages {
		if s.Name != stageRedelivery {
			continue
		}
		dead := int64(0)
		for _, m := range s.Runs {
			dead += *m.DeadRows
		}
		out.printf("dead rows: %d", dead)
	}
}
