package cli

import (
	"bufio"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// probeWarmUp is what a stage runs before it is measured: connections to Kafka are made, and the heap has its size.
const probeWarmUp = time.Second

// benchProbeProcess is the action of another process of a measurement.
func (p *program) benchProbeProcess(c *urfave.Context) error {
	if err := p.load(c); err != nil {
		return err
	}
	p.quieten()
	in, out := bufio.NewReader(p.Stdin), json.NewEncoder(p.Stdout)
	r := &probeRun{p: p, tell: func(l probeLine) { _ = out.Encode(l) }}
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r.order)
	}
	if err != nil {
		return usageError{withHint(fmt.Errorf("reading the order: %w", err), `run "webcheck bench probe"`)}
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	report, err := r.run(ctx)
	if err != nil {
		r.tell(probeLine{Error: err.Error()})
		return nil // its starter says what is wrong
	}
	r.tell(probeLine{Report: report})
	return nil
}

// probeRun is one process of a measurement.
type probeRun struct {
	p     *program
	s     *services
	order probeOrder
	stage probeStage
	tell  func(probeLine)
}

func (r *probeRun) run(ctx context.Context) (*probeMeasurement, error) {
	if r.order.Process == probeSiteProcess {
		return r.siteProcess(ctx)
	}
	var known bool
	if r.stage, known = findProbeStage(r.order.Stage, r.order.Divide); !known {
		return nil, fmt.Errorf("there is no stage %q", r.order.Stage)
	}
	if err := trustOnly(r.order.Place.Roots); err != nil {
		return nil, err
	}
	switch {
	case r.order.Process == probeDefineProcess:
		return r.define(ctx)
	case r.stage.kind == kindBare:
		return r.bare(ctx)
	case r.stage.kind == kindSpread:
		return r.spread(ctx)
	}
	return r.probe(ctx)
}

// trustOnly has this process believe certificates of the authorities in a PEM text, and of no others.
func trustOnly(roots string) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(roots)) {
		return errors.New("the site's authority is not in PEM form")
	}
	if err := os.Setenv("GODEBUG", "x509usefallbackroots=1"); err != nil {
		return err
	}
	x509.SetFallbackRoots(pool)
	return nil
}

// reach finds Kafka and the registry.
func (r *probeRun) reach(ctx context.Context) (err error) {
	r.s, err = r.p.reachAt(ctx, need{kafka: true, registry: true}, r.order.Endpoints)
	return err
}

// window measures this process and the site from now on into m, while checks are counted by handed.
func (r *probeRun) window(ctx context.Context, handed func() int64, m *probeMeasurement) error {
	siteBefore, err := r.siteCPU(ctx)
	if err != nil {
		return err
	}
	stop, err := startProfile(r.order.Profile)
	if err != nil {
		return err
	}
	begun, cpu, count := time.Now(), cpuTime(), handed()
	err = pause(ctx, r.order.Window)
	m.Seconds, m.CPU, m.handed = time.Since(begun).Seconds(), (cpuTime() - cpu).Seconds(), handed()-count
	m.seeMemory()
	siteAfter, siteErr := r.siteCPU(ctx)
	m.SiteCPU = (siteAfter - siteBefore).Seconds()
	m.divide()
	return cmp.Or(err, siteErr, stop())
}

// pause lets time pass; it ends early with ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// siteCPU is what the site's process has used of all cores.
func (r *probeRun) siteCPU(ctx context.Context) (time.Duration, error) {
	body, err := ask(ctx, bareClient(), "http://"+r.order.Place.Plain[0]+siteCPU, io.ReadAll)
	if err != nil {
		return 0, err
	}
	spent, err := strconv.ParseInt(string(body), 10, 64)
	return time.Duration(spent), err
}

// bareClient opens a connection a request, as a check has to, and adds nothing else.
func bareClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// ask gets a page that must be there, and reads it.
func ask[T any](ctx context.Context, client *http.Client, url string, read func(io.Reader) (T, error)) (body T, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return body, err
	}
	response, err := client.Do(request)
	if err != nil {
		return body, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return body, fmt.Errorf("the site answered %s", response.Status)
	}
	return read(response.Body)
}
