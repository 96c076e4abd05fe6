package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

// rebuildFlags are the flags that only a rebuild has.
var rebuildFlags = []string{"accept", "rollback", "discard"}

// errDiffers ends a rebuild that has not swapped. It is not printed: the report says it.
var errDiffers = fmt.Errorf("the new tables differ from those in use: %w", errSomethingDown)

// rebuildRun is one rebuild, and what a person sees of it.
type rebuildRun struct {
	rebuilder *processor.Rebuilder
	out       *printer
	line      *progressLine
	json      bool
	stage     processor.RebuildStage
	speed     pace
	done      int64 // in all stages
	last      int64 // in this one
}

func (p *program) rebuild(c *urfave.Context) error {
	if err := checkRebuildFlags(c); err != nil {
		return err
	}
	run := &rebuildRun{out: newPrinter(p.Stdout, p.Env), line: p.showProgress(), json: c.Bool("json")}
	defer run.line.clear()
	s, err := p.loadAndReach(c, need{kafka: true, registry: true, postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	if err := p.needTopics(c.Context, s, schemas.TopicChecks); err != nil {
		return err
	}
	cfg := processor.RebuildConfig{Config: p.readingConfig(s), OnProgress: run.onProgress}
	if run.rebuilder, err = processor.NewRebuilder(c.Context, cfg); err != nil {
		return err
	}
	defer run.rebuilder.Close()
	switch {
	case c.Bool("discard"):
		return run.discard(c.Context)
	case c.Bool("rollback"):
		return run.end(run.rebuilder.Rollback(c.Context))
	}
	return run.begin(c.Context, c.Bool("accept"), c.Bool("dry-run"))
}

func checkRebuildFlags(c *urfave.Context) error {
	for _, other := range []string{"from", "to", "partition", "target", "resume", "abandon", "reposition"} {
		if c.IsSet(other) {
			return usageError{fmt.Errorf("--%s does not go with --rebuild", other)}
		}
	}
	var given []string
	for _, name := range append([]string{"dry-run"}, rebuildFlags...) {
		if c.Bool(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return usageError{fmt.Errorf("%s do not go together", strings.Join(given, " and "))}
	}
	return nil
}

// begin says what is to be done and does it, or goes on with it.
func (r *rebuildRun) begin(ctx context.Context, accept, dry bool) error {
	plan, err := r.rebuilder.Plan(ctx)
	if err != nil {
		return err
	}
	if !r.json {
		r.out.rebuildPlan(plan)
	}
	if dry {
		return nil
	}
	return r.end(r.rebuilder.Run(ctx, accept))
}

func (p *printer) rebuildPlan(plan processor.RebuildPlan) {
	verb := "making"
	if plan.Stage != "" {
		verb = fmt.Sprintf("going on, %s, with", plan.Stage)
	}
	p.printf("%s the tables of schema %s anew in schema %s, beside those in use, which take %.1f MiB", verb, printable(plan.Live), printable(plan.Next), float64(plan.Bytes)/(1<<20))
	p.replayPlan(plan.Log)
	if plan.FirstDay.Before(plan.FromSlot) {
		p.printf("taken over from the tables in use: checks of slots from %s to %s, which may have expired from the log, or are too old by now",
			plan.FirstDay.Format(time.DateOnly), plan.FromSlot.Format(time.RFC3339))
	}
}

// onProgress keeps the line of progress current.
func (r *rebuildRun) onProgress(progress processor.RebuildProgress) {
	now := time.Now()
	if progress.Stage != r.stage || progress.Done < r.last {
		r.stage, r.last = progress.Stage, 0
	}
	r.done += progress.Done - r.last
	r.last = progress.Done
	r.speed.add(now, r.done)
	r.line.show(now, rebuildProgressText(progress, r.speed.perSecond()))
}

func rebuildProgressText(progress processor.RebuildProgress, rate float64) string {
	switch {
	case progress.Stage == processor.StageSeeding:
		return fmt.Sprintf("%s: %d checks, %.0f/s", progress.Stage, progress.Done, rate)
	case progress.Left < 0:
		return string(progress.Stage)
	}
	return fmt.Sprintf("%s: %d records left, %.0f/s%s", progress.Stage, progress.Left, rate, remainingText(progress.Left, rate))
}

// rebuildJSON is the report of a rebuild as one line of JSON.
type rebuildJSON struct {
	Swapped bool                        `json:"swapped"`
	Kept    string                      `json:"kept_schema,omitempty"`
	Differs bool                        `json:"differs"`
	Tables  []processor.TableComparison `json:"tables"`
}

// end says what the rebuild or rollback came to.
func (r *rebuildRun) end(result processor.RebuildResult, err error) error {
	r.line.clear()
	if errors.Is(err, processor.ErrRebuildUnfinished) {
		return withHint(err, "the tables in use are as they were; the same command goes on, \"webcheck replay --rebuild --discard\" gives it up")
	}
	if err != nil {
		return err
	}
	if r.json {
		report := rebuildJSON{Swapped: result.Swapped, Differs: result.Differs(), Tables: result.Compared}
		if result.Swapped {
			report.Kept = result.Kept
		}
		err = r.out.json(report)
	} else {
		r.out.rebuilt(result)
	}
	if err == nil && !result.Swapped {
		err = errDiffers
	}
	return err
}

func (p *printer) rebuilt(result processor.RebuildResult) {
	for _, c := range result.Compared {
		if !c.Differing() {
			p.printf("%-16s %12d rows, the same in both", c.Table, c.LiveRows)
			continue
		}
		p.printf("%-16s %12d rows in use, %d new: %d of %s differ", c.Table, c.LiveRows, c.NextRows, c.DifferingBuckets, count(c.Buckets, "part"))
		for _, d := range c.Differences {
			p.printf("    %s %s", printable(d.Key), differenceTexts[d.In])
		}
		if n := len(c.Differences); n == processor.ListedDifferences {
			p.printf("    these are the first %d", n)
		}
	}
	if !result.Swapped {
		p.printf("nothing was swapped: \"webcheck replay --rebuild --accept\" puts the new tables into use though they differ, \"--discard\" drops them")
		return
	}
	p.printf("the tables are swapped; those from before are kept in schema %s: \"webcheck replay --rebuild --rollback\" brings them back, \"--discard\" drops them", printable(result.Kept))
}

// differenceTexts say where a row is that is not the same in both.
var differenceTexts = map[string]string{"live": "is in use only", "next": "is new only", "both": "is not the same"}

func (r *rebuildRun) discard(ctx context.Context) error {
	dropped, err := r.rebuilder.Discard(ctx)
	for _, schema := range dropped {
		r.out.printf("dropped schema %s", printable(schema))
	}
	if err == nil && len(dropped) == 0 {
		r.out.printf("there is nothing to drop")
	}
	return err
}
