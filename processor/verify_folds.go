package processor

import (
	"context"
	"fmt"
	"time"

	"webcheck/gen/db"
)

// compareFolds compares the folds with the checks, day by day, and with one another.
func (v *verifier) compareFolds(ctx context.Context) error {
	last := v.now.Add(maxAhead).Truncate(day)
	first := v.firstDay()
	total := int64(last.Sub(first)/day) + 1
	for d := first; !d.After(last); d = d.Add(day) {
		if err := v.compareDay(ctx, d); err != nil {
			return fmt.Errorf("comparing the folds of %s: %w", d.Format(time.DateOnly), err)
		}
		v.progress("comparing folds with checks", int64(d.Sub(first)/day)+1, total)
	}
	if err := v.compareStates(ctx, first); err != nil {
		return fmt.Errorf("comparing states: %w", err)
	}
	gaps, err := v.queries.CountGaps(ctx, v.tx, db.CountGapsParams{Since: first, UpTo: v.room(ClassGaps)})
	if err != nil {
		return fmt.Errorf("counting gaps: %w", err)
	}
	for i, row := range gaps {
		v.find(ClassGaps, once(i, row.Total), "%s at %s: %d slots", row.TargetID, row.Location, row.Gaps)
	}
	return nil
}

// once is the total that each row of a query tells, for the first of them.
func once(i int, total int64) int64 {
	if i == 0 {
		return total
	}
	return 0
}

// compareDay compares the strips, rollups and last slots of a day.
func (v *verifier) compareDay(ctx context.Context, from time.Time) error {
	below := from.Add(day)
	firstID, belowID := firstID(from.UnixMilli()), firstID(below.UnixMilli())
	strips, err := v.queries.CompareStrips(ctx, v.tx, db.CompareStripsParams{
		FirstID: firstID, BelowID: belowID, FirstAt: from, BelowAt: below, UpTo: v.room(ClassStrips),
	})
	if err != nil {
		return err
	}
	for i, row := range strips {
		v.find(ClassStrips, once(i, row.Total), "%s at %s, strip of %s: %s", row.TargetID, row.Location,
			timeText(moment(row.StartsMs)), countsText(row.Kept, row.Made))
	}
	hours, err := v.queries.CompareHours(ctx, v.tx, db.CompareHoursParams{
		FirstID: firstID, BelowID: belowID, FirstAt: from, BelowAt: below, UpTo: v.room(ClassRollups),
	})
	if err != nil {
		return err
	}
	for i, row := range hours {
		v.find(ClassRollups, once(i, row.Total), "%s at %s, hour of %s: %s", row.TargetID, row.Location,
			timeText(row.StartsAt), countsText(row.Kept, row.Made))
	}
	days, err := v.queries.CompareDays(ctx, v.tx, db.CompareDaysParams{FirstAt: from, BelowAt: below, UpTo: v.room(ClassRollups)})
	if err != nil {
		return err
	}
	for i, row := range days {
		v.find(ClassRollups, once(i, row.Total), "%s at %s, day of %s: %d checks, and its hours have %d", row.TargetID, row.Location,
			from.Format(time.DateOnly), row.Kept, row.Made)
	}
	states, err := v.queries.CompareLastSlots(ctx, v.tx, db.CompareLastSlotsParams{FirstID: firstID, BelowID: belowID, UpTo: v.room(ClassStates)})
	if err != nil {
		return err
	}
	for i, row := range states {
		v.find(ClassStates, once(i, row.Total), "%s at %s: its state has not seen the check of %s", row.TargetID, row.Location, timeText(row.Slot))
	}
	return nil
}

func countsText(kept, made int64) string {
	if kept == made {
		return fmt.Sprintf("%d checks, as many as there are, and not the same", kept)
	}
	return fmt.Sprintf("%d checks, and there are %d", kept, made)
}

// compareStates compares the states with the checks and the transitions that they come from.
func (v *verifier) compareStates(ctx context.Context, since time.Time) error {
	locations, err := v.queries.CompareLastChecks(ctx, v.tx, db.CompareLastChecksParams{Since: since, UpTo: v.room(ClassStates)})
	if err != nil {
		return err
	}
	for i, row := range locations {
		v.find(ClassStates, once(i, row.Total), "%s at %s: its last check, of %s, is not as the state says", row.TargetID, row.Location,
			timeText(row.LastSlot))
	}
	targets, err := v.queries.CompareTargetStates(ctx, v.tx, v.room(ClassStates))
	if err != nil {
		return err
	}
	for i, row := range targets {
		v.find(ClassStates, once(i, row.Total), "%s is %s, and its last transition leads to %s", row.TargetID, row.State, row.Made)
	}
	transitions, err := v.queries.CompareTransitions(ctx, v.tx, v.room(ClassTransitions))
	if err != nil {
		return err
	}
	for i, row := range transitions {
		v.find(ClassTransitions, once(i, row.Total), "%s: the one of %s comes from %s, and the one before led to %s", row.TargetID,
			timeText(row.Slot), row.FromState, row.Made)
	}
	return nil
}

// compareLetters counts the dead letters by their causes.
func (v *verifier) compareLetters(ctx context.Context) error {
	rows, err := v.queries.CountLetters(ctx, v.tx, db.CountLettersParams{
		Topics: []string{v.cfg.Topic, v.cfg.TargetsTopic}, UpTo: v.room(ClassDead),
	})
	if err != nil {
		return fmt.Errorf("counting dead letters: %w", err)
	}
	for i, row := range rows {
		v.find(ClassDead, once(i, row.Total), "%d: %s", row.Letters, row.Cause)
		if n := once(i, row.Unpublishable); n > 0 {
			v.find(ClassUnpublished, n, "%d dead letters that %s refuses", n, v.cfg.DeadTopic)
		}
	}
	return nil
}

// compareSilence names the targets that have had no slot for too long, with the tables as they are now. While records wait,
// nobody can tell.
func (v *verifier) compareSilence(ctx context.Context) error {
	for _, p := range v.report.Partitions {
		if p.Lag > 0 {
			return nil
		}
	}
	at := time.Now().Add(-v.cfg.Patience)
	rows, err := v.queries.ListSilentTargets(ctx, v.cfg.Pool, db.ListSilentTargetsParams{Moment: at, UpTo: v.room(ClassSilent)})
	if err != nil {
		return fmt.Errorf("looking for silent targets: %w", err)
	}
	for i, row := range rows {
		v.find(ClassSilent, once(i, row.Total), "%s: no slot since %s", row.TargetID, timeText(row.LastSlot))
	}
	return nil
}

func timeText(at time.Time) string { return at.UTC().Format(time.RFC3339) }
