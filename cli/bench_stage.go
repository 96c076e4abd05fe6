package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"
)

// stageOrder is what the process of a stage reads from its standard input, one line of JSON. The end of the input tells it
// to stop.
type stageOrder struct {
	Stage     string
	Events    int64
	Names     benchNames
	Group     string
	Endpoints endpoints
	Profile   string // file; empty: no profile
}

// stageLine is one line of a stage's standard output: a batch that is committed, or the end.
type stageLine struct {
	// At is when the batch was committed.
	At time.Time
	// Records that the batch took from the log, Dead those of them that could not be applied.
	Records, Dead int
	// Report is there in the last line, unless Error says why there is none.
	Report *stageReport `json:",omitempty"`
	Error  string       `json:",omitempty"`
}

func (l stageLine) end() (string, bool) { return l.Error, l.Report != nil }

// stageReport is what a stage took.
type stageReport struct {
	Events    int64
	Seconds   float64
	CPU       float64 // seconds of all cores
	PeakBytes int64   // resident at most
}

// benchStage is the action of a stage's process.
func (p *program) benchStage(c *urfave.Context) error {
	if err := p.load(c); err != nil {
		return err
	}
	p.quieten()
	in, out := bufio.NewReader(p.Stdin), json.NewEncoder(p.Stdout)
	var order stageOrder
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &order)
	}
	if err != nil {
		return usageError{withHint(fmt.Errorf("reading the order: %w", err), `run "webcheck bench process"`)}
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	r := &stageRun{p: p, order: order, meter: new(meter), tell: func(l stageLine) { _ = out.Encode(l) }}
	report, err := r.measure(ctx)
	if err != nil {
		r.tell(stageLine{Error: err.Error()})
		return nil // its starter says what is wrong
	}
	r.tell(stageLine{Report: report})
	return nil
}

// stageRun is one stage in a process of its own.
type stageRun struct {
	p     *program
	s     *services
	order stageOrder
	meter *meter
	tell  func(stageLine)
}

// measure reaches the services and runs the stage.
func (r *stageRun) measure(ctx context.Context) (report *stageReport, err error) {
	if r.s, err = r.p.reachAt(ctx, need{kafka: true, registry: true, postgres: true}, r.order.Endpoints); err != nil {
		return nil, err
	}
	defer r.s.close()
	stop, err := startProfile(r.order.Profile)
	if err != nil {
		return nil, err
	}
	run := map[string]func(context.Context) (int64, error){
		"consume": r.consume, "decode": r.decode, "copy": r.copyFromMemory, "plain": r.consumeAndCopy,
		stageVerify: r.verify, stageRebuild: r.rebuild,
	}[r.order.Stage]
	if run == nil {
		run = r.process
	}
	events, err := run(ctx)
	if err = errors.Join(err, stop()); err != nil {
		return nil, err
	}
	return &stageReport{Events: events, Seconds: r.meter.spent.Seconds(), CPU: r.meter.cpu.Seconds(), PeakBytes: peakBytes()}, nil
}

// startProfile begins a CPU profile in a file; without one it does nothing.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making a directory for profiles: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// meter adds up time and CPU time of this process while it runs. It may be used from several goroutines.
type meter struct {
	byHand     bool // requests for records do not start it
	mu         sync.Mutex
	running    bool
	at         time.Time
	cpuAt      time.Duration
	spent, cpu time.Duration
}

// start lets it run; one that runs already goes on.
func (m *meter) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		return
	}
	m.running, m.at, m.cpuAt = true, time.Now(), cpuTime()
}

// lap adds what passed since the start or the last lap.
func (m *meter) lap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running {
		return
	}
	now, cpu := time.Now(), cpuTime()
	m.spent, m.cpu = m.spent+now.Sub(m.at), m.cpu+cpu-m.cpuAt
	m.at, m.cpuAt = now, cpu
}

// stop is lap, and what comes then does not count.
func (m *meter) stop() {
	m.lap()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
}

// OnBrokerWrite starts the meter with the first request for records (kgo.HookBrokerWrite): to join a group takes seconds
// by the broker's configuration, and nobody's work.
func (m *meter) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	const fetch = 1
	if key == fetch && !m.byHand {
		m.start()
	}
}

// cpuTime is what this process has used of all cores.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peakBytes is the most memory that this process had resident. Linux tells it in /proc, where it begins anew with the
// program; getrusage's would count what the starting process had before.
func peakBytes() int64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if text, found := strings.CutPrefix(line, "VmHWM:"); found {
				kib, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
				return kib << 10
			}
		}
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" { // bytes there, KiB elsewhere
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
