package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
)

// The table of checks has a partition a day (UTC), by the time in the event id, which is the slot's.
const (
	day = 24 * time.Hour
	// maxAhead is how far in the future a slot may lie: a prober's clock that is wrong by more than a day is broken, and its
	// events would make partitions that retention reaches in a hundred years.
	maxAhead = day
	// daysAhead is how many partitions are made before their day begins, so that no batch of tomorrow waits for one.
	daysAhead = 2
	// tidyEvery is how often partitions are made ahead and dropped. Three times a day would do.
	tidyEvery = time.Hour
)

// errTooOld says that a slot has left the retention.
var errTooOld = errors.New("older than what is kept")

// partitions makes and drops the partitions of checks and strips, and drops old rollups.
type partitions struct {
	pool      *pgxpool.Pool
	queries   *db.Queries
	retention time.Duration
	// rollupRetention is how long the rollups of hours are kept.
	rollupRetention time.Duration
	logger          *slog.Logger
	now             func() time.Time
	outage          outage
}

// accepts says why a slot has no place in the table: it is older than the retention, or absurdly far in the future.
func (p *partitions) accepts(slot time.Time) error {
	now := p.now()
	switch {
	case slot.Before(now.Add(-p.retention)):
		return fmt.Errorf("its slot %s is %w, %v", slot.Format(time.RFC3339), errTooOld, p.retention)
	case slot.After(now.Add(maxAhead)):
		return fmt.Errorf("its slot %s is more than %v in the future", slot.Format(time.RFC3339), maxAhead)
	}
	return nil
}

// ensure makes the partition of each of days that has none.
func (p *partitions) ensure(ctx context.Context, days []time.Time) error {
	for _, d := range days {
		made, err := p.queries.EnsureChecksPartition(ctx, p.pool, d)
		if err == nil {
			_, err = p.queries.EnsureStripsPartition(ctx, p.pool, d)
		}
		if err != nil {
			return fmt.Errorf("making the partitions of %s: %w", d.Format(time.DateOnly), err)
		}
		if made {
			p.logger.Debug("partition made", "day", d.Format(time.DateOnly))
		}
	}
	return nil
}

// run keeps partitions made ahead, and drops those of days that have passed out of the retention, until ctx ends.
func (p *partitions) run(ctx context.Context) error {
	again := time.NewTicker(tidyEvery)
	defer again.Stop()
	for {
		if err := p.tidy(ctx); err == nil {
			p.outage.end()
		} else if ctx.Err() == nil && !isPermanent(err) { // that the processor stops on, and says itself
			p.outage.begin(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

func (p *partitions) tidy(ctx context.Context) error {
	today := p.now().UTC().Truncate(day)
	var days []time.Time
	for n := range daysAhead + 1 {
		days = append(days, today.Add(time.Duration(n)*day))
	}
	if err := p.ensure(ctx, days); err != nil {
		return err
	}
	// A day more than the retention: a processor whose clock is a little behind may still bring rows of that day.
	before := today.Add(-p.retention - day).Truncate(day)
	dropped, err := p.queries.DropChecksPartitions(ctx, p.pool, before)
	if err == nil {
		_, err = p.queries.DropStripsPartitions(ctx, p.pool, before)
	}
	if err != nil {
		return fmt.Errorf("dropping partitions before %s: %w", before.Format(time.DateOnly), err)
	}
	if _, err := p.queries.DropHours(ctx, p.pool, today.Add(-p.rollupRetention)); err != nil {
		return fmt.Errorf("dropping old rollups: %w", err)
	}
	if dropped > 0 {
		p.logger.Info("old checks dropped", "days", dropped, "before", before.Format(time.DateOnly))
	}
	return nil
}

// daysOf lists the days of the rows, each once.
func daysOf(rows []db.CopyChecksParams, known map[time.Time]bool) []time.Time {
	var days []time.Time
	seen := make(map[time.Time]bool)
	for i := range rows {
		d := rows[i].Slot.Truncate(day)
		if !known[d] && !seen[d] {
			seen[d] = true
			days = append(days, d)
		}
	}
	return days
}
