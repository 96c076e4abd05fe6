package cli

import (
	"context"
	"runtime"
	"time"
)

const (
	// coresLook is how often it is decided on how many cores a prober runs.
	coresLook = 250 * time.Millisecond
	// Below fewLoad of one core, of which checks take a sixth more on several, one is enough; above manyLoad a burst would wait for it.
	fewLoad  = 0.3
	manyLoad = 0.5
	// calmLooks in a row are below fewLoad before one core is enough.
	calmLooks = 4
)

// cores decides on how many cores a prober runs.
type cores struct {
	few  bool
	calm int // looks in a row with little load
}

// look takes the CPU time since the last look, as a part of one core's, and reports whether few has changed.
func (c *cores) look(load float64) (changed bool) {
	if c.calm++; load >= fewLoad {
		c.calm = 0
	}
	before := c.few
	c.few = c.calm >= calmLooks || before && load <= manyLoad
	return c.few != before
}

// saveCores has Go run this process on one core while it needs a part of one, until stop is called, unless the environment says on how
// many. A goroutine that becomes ready wakes up another core where one is idle, and at a low rate that is a sixth of what checks cost.
func saveCores(env func(string) (string, bool)) (stop func()) {
	if _, given := env("GOMAXPROCS"); given {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchCores(ctx)
	}()
	return func() { cancel(); <-ended }
}

// watchCores leaves all cores to Go when ctx ends.
func watchCores(ctx context.Context) {
	defer runtime.SetDefaultGOMAXPROCS()
	again := time.NewTicker(coresLook)
	defer again.Stop()
	var c cores
	at, spent := time.Now(), cpuTime()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		now, cpu := time.Now(), cpuTime()
		changed := c.look((cpu - spent).Seconds() / now.Sub(at).Seconds())
		at, spent = now, cpu
		switch {
		case changed && c.few:
			runtime.GOMAXPROCS(1)
		case changed:
			runtime.SetDefaultGOMAXPROCS()
		}
	}
}
