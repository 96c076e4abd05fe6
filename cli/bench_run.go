package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// The stages that are named elsewhere.
const (
	stageChecks     = "checks"
	stageFolds      = "folds"
	stageRedelivery = "redelivery"
	stageVerify     = "verify"
	stageRebuild    = "rebuild"
	stageTwo        = "two"
	stageQueries    = "queries" // asks of what the last stage that folds leaves; it is no speed of a process, and so none of benchStages
)

// benchStopTimeout is how long a stage's process may take to stop, which is longer than a processor takes.
const benchStopTimeout = 20 * time.Second

// benchStage is one thing to measure.
type benchStage struct {
	// Name is for flags and JSON, Text for people.
	Name, Text string
	// Limit names the stage whose speed this one's is held against; empty when it is a limit itself.
	Limit string
	// processes run it together.
	processes int
	// store says which tables it wants made anew, and has its rows when it is over.
	store store
}

// store is where a stage leaves rows.
type store int

const (
	storeNothing store = iota
	storePlain         // the table without partitions
	storeTables        // the processor's
	storeKept          // the processor's as the stage before left them
)

// benchStages are the stages in the order in which they run.
func benchStages() []benchStage {
	return []benchStage{
		{Name: "consume", Text: "consume", processes: 1},
		{Name: "decode", Text: "consume, decode", Limit: "consume", processes: 1},
		{Name: "copy", Text: "COPY from memory", processes: 1, store: storePlain},
		{Name: "plain", Text: "consume, decode, COPY", Limit: "copy", processes: 1, store: storePlain},
		{Name: stageChecks, Text: "processor without folds", Limit: "plain", processes: 1, store: storeTables},
		{Name: stageFolds, Text: "processor", Limit: "plain", processes: 1, store: storeTables},
		{Name: stageRedelivery, Text: "processor, all once more", Limit: stageFolds, processes: 1, store: storeKept},
		{Name: stageVerify, Text: "verify", Limit: stageFolds, processes: 1, store: storeKept},
		{Name: stageRebuild, Text: "rebuild, compare, swap", Limit: stageFolds, processes: 1, store: storeKept},
		{Name: stageTwo, Text: "two processors", Limit: stageFolds, processes: 2, store: storeTables},
	}
}

func stageNames() []string {
	var names []string
	for _, stage := range benchStages() {
		names = append(names, stage.Name)
	}
	return append(names, stageQueries)
}

// bench is one measurement.
type bench struct {
	p         *program
	s         *services
	options   benchOptions
	names     benchNames
	arguments []string  // settings for the stages' processes
	endpoints endpoints // of embedded services
	groups    []string  // consumer groups that were used

	registered bool // the subject is there
	postgres   postgresCPU
	result     benchResult
}

func newBench(p *program, s *services, options benchOptions) *bench {
	return &bench{p: p, s: s, options: options, names: newBenchNames()}
}

// run makes the events, measures, and prints what there is, also when it could not do all.
func (b *bench) run(ctx context.Context) error {
	if err := b.describe(ctx); err != nil {
		return err
	}
	b.p.notice("making %d events", b.options.events)
	begun := time.Now()
	var err error
	if b.result.ValueBytes, err = b.produce(ctx); err != nil {
		return err
	}
	b.p.notice("made them in %s", time.Since(begun).Round(time.Millisecond))
	err = b.runStages(ctx)
	return errors.Join(err, b.result.print(b.p, b.options.json))
}

func (b *bench) runStages(ctx context.Context) error {
	for n := range b.options.runs {
		for _, stage := range benchStages() {
			if !b.wants(stage) {
				continue
			}
			b.p.notice("run %d of %d: %s", n+1, b.options.runs, stage.Text)
			m, err := b.measure(ctx, n, stage)
			if err != nil {
				return fmt.Errorf("measuring %q: %w", stage.Text, err)
			}
			b.result.add(stage, m)
		}
	}
	if !slices.Contains(b.options.stages, stageQueries) {
		return nil
	}
	// Behind all stages: the year that it writes is in the way of none.
	b.p.notice("status queries")
	if err := b.measureQueries(ctx); err != nil {
		return fmt.Errorf("measuring status queries: %w", err)
	}
	return nil
}

// wants reports whether a stage is asked for, or one that goes on where it ends.
func (b *bench) wants(stage benchStage) bool {
	asked := b.options.stages
	goesOn := slices.ContainsFunc(asked, func(name string) bool {
		return slices.Contains([]string{stageRedelivery, stageVerify, stageRebuild, stageQueries}, name)
	})
	return len(asked) == 0 || slices.Contains(asked, stage.Name) || stage.Name == stageFolds && goesOn
}

// measure runs a stage's processes, and looks into the database before and after.
func (b *bench) measure(ctx context.Context, n int, stage benchStage) (m measurement, err error) {
	if err := b.ready(ctx, stage); err != nil {
		return m, err
	}
	before, err := b.look(ctx, stage)
	if err != nil {
		return m, err
	}
	reports, err := b.runProcesses(ctx, n, stage)
	if err != nil {
		return m, err
	}
	m = reports.sum()
	if stage.store == storeNothing {
		return m, nil
	}
	after, err := b.look(ctx, stage)
	if err != nil {
		return m, err
	}
	if after.rows != int64(b.options.events) {
		return m, fmt.Errorf("the table has %d rows after %d events", after.rows, b.options.events)
	}
	if before.cpu != nil && after.cpu != nil {
		m.PostgresCPU = new(*after.cpu - *before.cpu)
	}
	switch stage.Name {
	case stageChecks:
		b.result.RowBytes = after.bytes / after.rows
	case stageRedelivery:
		m.DeadRows = new(after.written - before.written)
	}
	return m, nil
}

// ready makes the tables as the stage wants them.
func (b *bench) ready(ctx context.Context, stage benchStage) error {
	switch {
	case stage.store == storePlain:
		return b.freshPlain(ctx)
	case stage.store == storeTables:
		return b.freshTables(ctx)
	case stage.Name == stageRedelivery:
		return b.rewind(ctx)
	}
	return nil
}

// stageReports are the outputs of a stage's processes: what was told on the way, and the ends.
type stageReports struct {
	lines [][]stageLine
}

// runProcesses starts the processes of a stage and returns what they told. Processors are stopped when together they have
// had every event; the others end by themselves.
func (b *bench) runProcesses(ctx context.Context, n int, stage benchStage) (*stageReports, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	order := stageOrder{Stage: stage.Name, Events: int64(b.options.events), Names: b.names, Endpoints: b.endpoints}
	order.Group = fmt.Sprintf("%s-%s-%d", b.names.Group, stage.Name, n)
	b.groups = append(b.groups, order.Group)
	type told struct {
		process int
		line    stageLine
	}
	lines, ended := make(chan told), make(chan error)
	stop := make(chan struct{}) // closed when all is done
	for i := range stage.processes {
		if b.options.profiles != "" {
			order.Profile = filepath.Join(b.options.profiles, fmt.Sprintf("%s-%d-%d.pprof", stage.Name, n, i))
		}
		order := order
		go func() {
			ended <- b.runProcess(ctx, order, stop, func(line stageLine) { lines <- told{i, line} })
		}()
	}
	reports := &stageReports{lines: make([][]stageLine, stage.processes)}
	var failure error
	for running, left := stage.processes, b.options.events; running > 0; {
		select {
		case err := <-ended:
			if running--; err != nil && failure == nil {
				failure = err
				cancel()
			}
		case l := <-lines:
			reports.lines[l.process] = append(reports.lines[l.process], l.line)
			if l.line.Dead > 0 && failure == nil {
				failure = fmt.Errorf("%d events became dead letters", l.line.Dead)
				cancel()
			}
			if l.line.Records > 0 {
				if left -= l.line.Records; left == 0 {
					close(stop)
				}
			}
		}
	}
	return reports, failure
}

// runProcess runs one process of a stage; see runChild.
func (b *bench) runProcess(ctx context.Context, order stageOrder, stop <-chan struct{}, tell func(stageLine)) error {
	return b.p.runChild(ctx, append([]string{"bench", "stage"}, b.arguments...), order, stop, func(out io.Reader) error {
		return readLines(out, tell)
	})
}

// runChild runs this program once more. The process reads order from its input, as one line of JSON, and its output is read's.
// Its input ends, and so it stops, when stop is closed or ctx ends.
func (p *program) runChild(ctx context.Context, arguments []string, order any, stop <-chan struct{}, read func(io.Reader) error) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if runtime.GOOS == "linux" { // it may have been built anew meanwhile
		program = "/proc/self/exe"
	}
	cmd := exec.Command(program, arguments...)
	cmd.Args[0] = "webcheck"
	cmd.Stderr = p.Stderr
	// A group of its own: Ctrl-C in a terminal is for this process, which then tells the other.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the process of a stage: %w", err)
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-stop:
		case <-ctx.Done():
			defer time.AfterFunc(benchStopTimeout, func() { _ = cmd.Process.Kill() }).Stop()
		case <-done:
		}
		_ = in.Close()
		<-done
	}()
	if err = json.NewEncoder(in).Encode(order); err == nil {
		err = read(out)
	}
	waitErr := cmd.Wait()
	close(done)
	if err == nil {
		err = waitErr
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// childLine is a line of another process's output. The last one has a report, unless it says why there is none.
type childLine interface {
	end() (failure string, reported bool)
}

// readLines tells each line of a process's output, and returns the error that it ends with, if it does.
func readLines[L childLine](out io.Reader, tell func(L)) error {
	decoder := json.NewDecoder(bufio.NewReader(out))
	var last L
	for {
		var line L
		if err := decoder.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("reading the output of a process: %w", err)
		}
		last = line
		tell(line)
	}
	switch failure, reported := last.end(); {
	case failure != "":
		return errors.New(failure)
	case !reported:
		return errors.New("the process ended without a report")
	}
	return nil
}
