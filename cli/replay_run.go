package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"webcheck/processor"
	"webcheck/schemas"
)

// replayRun is one replay, and what a person sees of it.
type replayRun struct {
	p        *program
	replayer *processor.Replayer
	out      *printer
	line     *progressLine
	begun    time.Time
	speed    pace
}

// begin says what the question comes to and reads it. An unfinished replay comes first.
func (r *replayRun) begin(ctx context.Context, s *services, q processor.ReplayQuestion, dry bool) error {
	if !dry {
		unfinished, found, err := processor.FindUnfinishedReplay(ctx, s.pool, schemas.TopicChecks)
		if err != nil {
			return err
		}
		if found {
			return &processor.UnfinishedReplayError{Replay: unfinished}
		}
	}
	plan, err := r.plan(ctx, q)
	if err != nil || dry || plan.Records() == 0 {
		return err
	}
	r.start(0)
	progress, err := r.replayer.Run(ctx, plan)
	return r.end(progress, err)
}

// resume goes on with an unfinished replay.
func (r *replayRun) resume(ctx context.Context, s *services) error {
	unfinished, err := r.p.unfinishedReplay(ctx, s)
	if err != nil {
		return err
	}
	r.out.printf("going on with replay %d, %s", unfinished.ID, describeReplay(unfinished))
	r.start(unfinished.Records - unfinished.Left)
	progress, err := r.replayer.Resume(ctx, unfinished)
	return r.end(progress, err)
}

// plan looks into the log and says what is there to read.
func (r *replayRun) plan(ctx context.Context, q processor.ReplayQuestion) (processor.ReplayPlan, error) {
	plan, err := r.look(ctx, q)
	if err == nil {
		r.out.replayPlan(plan)
	}
	return plan, err
}

func (p *printer) replayPlan(plan processor.ReplayPlan) {
	q, only := plan.Question, ""
	if q.Target != "" {
		only = fmt.Sprintf(", of which those of target %s are replayed", printable(q.Target))
	}
	p.printf("%s, from %v to %v: %s to read%s", plan.Topic, q.From, q.To, count(int(plan.Records()), "record"), only)
	p.printf("%9s  %12s  %12s  %12s", "partition", "from", "to", "records")
	for _, span := range plan.Partitions {
		note := expiredText(q, span)
		if span.Processed >= 0 && span.Processed <= span.To && span.Processed < span.LogEnd {
			note += fmt.Sprintf("  %d from %d on wait for a processor, not for a replay", span.LogEnd-span.Processed, span.Processed)
		}
		p.printf("%9d  %12d  %12d  %12d%s", span.Partition, span.From, span.To, span.To-span.From, note)
	}
}

func (r *replayRun) look(ctx context.Context, q processor.ReplayQuestion) (processor.ReplayPlan, error) {
	limited, cancel := context.WithTimeout(ctx, r.p.config.ConnectTimeout)
	defer cancel()
	plan, err := r.replayer.Plan(limited, q)
	if errors.Is(err, processor.ErrNoPartition) {
		err = usageError{err}
	}
	return plan, err
}

// expiredText says what of the question the log does not have.
func expiredText(q processor.ReplayQuestion, span processor.ReplayRange) string {
	text := ""
	switch {
	case span.Expired > 0 && q.From == processor.AtStart():
		text = fmt.Sprintf("  %d older ones have expired", span.Expired)
	case span.AtMost:
		text = fmt.Sprintf("  up to %d of them have expired", span.Expired)
	case span.Expired > 0:
		text = fmt.Sprintf("  %d of them have expired", span.Expired)
	}
	if span.Short {
		text += fmt.Sprintf("  the log ends at %d", span.LogEnd)
	}
	return text
}

// reposition makes the processors go on where the question begins.
func (r *replayRun) reposition(ctx context.Context, q processor.ReplayQuestion, dry bool) error {
	plan, err := r.look(ctx, q)
	if err != nil {
		return err
	}
	moves, verb := make([]processor.Move, len(plan.Partitions)), "would go on"
	for i, span := range plan.Partitions {
		moves[i] = processor.Move{Partition: span.Partition, Before: span.Processed, After: span.From}
	}
	if !dry {
		verb = "go on"
		if moves, err = r.replayer.Reposition(ctx, plan); err != nil {
			return err
		}
	}
	for i, m := range moves {
		r.out.printf("%s/%d: processors %s at %d, %s%s", plan.Topic, m.Partition, verb, m.After, moveText(m), expiredText(q, plan.Partitions[i]))
	}
	if !dry {
		r.out.printf("one that runs finds out with its next batch")
	}
	return nil
}

func moveText(m processor.Move) string {
	switch {
	case m.Before < 0:
		return "where none had begun"
	case m.After < m.Before:
		return fmt.Sprintf("not at %d: %s once more", m.Before, count(int(m.Before-m.After), "record"))
	case m.After > m.Before:
		return fmt.Sprintf("not at %d: %s left out", m.Before, count(int(m.After-m.Before), "record"))
	}
	return "as before"
}

func (r *replayRun) start(done int64) {
	r.begun = time.Now()
	r.speed.add(r.begun, done)
}

// onProgress keeps the line of progress current.
func (r *replayRun) onProgress(progress processor.ReplayProgress) {
	now := time.Now()
	r.speed.add(now, progress.Total-progress.Left)
	r.line.show(now, progressText(progress, r.speed.perSecond()))
}

func progressText(progress processor.ReplayProgress, rate float64) string {
	return fmt.Sprintf("%s: %d of %d records, %.0f/s%s", percent(progress), progress.Total-progress.Left, progress.Total, rate, remainingText(progress.Left, rate))
}

// remainingText says how long what is left takes at a rate, nothing where that is not known.
func remainingText(left int64, rate float64) string {
	if rate <= 0 {
		return ""
	}
	// In seconds that are sure to be few enough for a duration.
	return ", " + formatDuration(time.Duration(min(float64(left)/rate, 1e9))*time.Second) + " left"
}

func percent(progress processor.ReplayProgress) string {
	if progress.Total == 0 {
		return "100 %"
	}
	return fmt.Sprintf("%d %%", (progress.Total-progress.Left)*100/progress.Total)
}

// end says what this run has done, and how to go on where it is not the end.
func (r *replayRun) end(progress processor.ReplayProgress, err error) error {
	r.line.clear()
	took := time.Since(r.begun)
	read := int64(progress.Records+progress.TooOld+progress.Others) + progress.Expired
	written := progress.Inserted + progress.Merged
	text := fmt.Sprintf("read %s in %s, %.0f/s: %s written, %d right as they were", count(int(read-progress.Expired), "record"),
		formatDuration(took.Round(time.Millisecond)), perSecond(read, took), count(int(written), "row"), int64(progress.Records-progress.Dead)-written)
	for _, part := range []struct {
		n    int64
		what string
	}{
		{int64(progress.Dead), "dead letters, each recorded once"},
		{int64(progress.TooOld), "left out, older than " + formatDuration(r.p.config.Processor.Retention)},
		{int64(progress.Others), "of other targets"},
		{progress.Expired, "expired before they were read"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if err == nil || errors.Is(err, processor.ErrReplayUnfinished) {
		r.out.printf("%s", text)
	}
	if errors.Is(err, processor.ErrReplayUnfinished) {
		return withHint(fmt.Errorf("stopped at %s: %w", percent(progress), err), `"webcheck replay --resume" goes on, "webcheck replay --abandon" gives it up`)
	}
	return err
}
