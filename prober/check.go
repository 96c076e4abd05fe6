package prober

import (
	"context"
	"time"

	"webcheck/gen/event"
)

// Check checks t once, now, and returns what it saw. It needs no services. EventID, Slot, Location and Prober are left
// empty: only a caller with a schedule knows them. The target must be valid, see [Target.Validate].
//
// A failing target is no error: it is a result. When ctx ends first, the outcome is missed with failure shutdown.
func Check(ctx context.Context, t Target) *event.CheckCompleted {
	return newChecker().check(ctx, &t, t.Version())
}

// check runs the attempts of a slot, of which the last one counts: build and do of every hop lie in http.go and its
// neighbours, and judge.go says what came of it.
func (c *checker) check(ctx context.Context, t *Target, version string) *event.CheckCompleted {
	within, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	o, v := c.attempt(ctx, within, t)
	began, attempts := o.started, int32(1)
	for v.outcome == event.OutcomeDown && attempts <= int32(t.Retries) && waitFor(within, t.RetryGap) {
		o, v = c.attempt(ctx, within, t)
		attempts++
	}
	if v.outcome == event.OutcomeDown && attempts <= int32(t.Retries) && ctx.Err() != nil { // who may ask again is not down yet
		v = ownFault(event.FailureShutdown, stoppedText)
	}
	if c.canaries != nil && isSilence(v, o) {
		v = c.canaries.hold(ctx, o.started, v)
	}
	if v.outcome == event.OutcomeMissed {
		return missed(t, version, began, v.failure, v.text)
	}
	e := &event.CheckCompleted{
		TargetID: t.ID, StartedAt: atMicros(began), Outcome: v.outcome, Attempts: attempts, DefinitionVersion: version,
	}
	o.describe(e)
	v.describe(e)
	return e
}

func (c *checker) attempt(own, within context.Context, t *Target) (*observation, verdict) {
	o := c.do(within, t)
	return o, judge(own, within, t, o)
}

// waitFor waits for d, and reports whether another attempt can follow before ctx ends.
func waitFor(ctx context.Context, d time.Duration) bool {
	if deadline, has := ctx.Deadline(); ctx.Err() != nil || has && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// missed is the event of a slot in which nothing was measured, noticed at that moment.
func missed(t *Target, version string, noticed time.Time, reason event.Failure, text string) *event.CheckCompleted {
	text = clean(text, maxFailureTextBytes)
	return &event.CheckCompleted{
		TargetID: t.ID, StartedAt: atMicros(noticed), Outcome: event.OutcomeMissed, Failure: &reason, FailureText: &text,
		DefinitionVersion: version,
	}
}

// atMicros is a time as it is at rest: UTC and whole microseconds, without the monotonic clock's reading.
func atMicros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
