package processor

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
)

// Rules say how a target's state follows from its checks. They are within the bounds that a definition's have; what is not is
// brought to the nearest bound.
type Rules struct {
	// DownAfter and DownOf: a location goes down when DownAfter of its last DownOf observations are down.
	DownAfter, DownOf int
	// UpAfter and UpOf: a location comes back when UpAfter of its last UpOf observations are not down.
	UpAfter, UpOf int
	// Quorum is how many locations must agree; 0 is the majority of those that report.
	Quorum int
	// FlapTransitions and FlapWindow: so many transitions within the window, in whole seconds, are flapping.
	FlapTransitions int
	FlapWindow      time.Duration
	// SilentAfter is for how many intervals a location counts after its last observation.
	SilentAfter int
}

// at gives the rules as checks are folded by, of which one comes every intervalMs; 0: it is not known.
func (r Rules) at(intervalMs int64) *rules {
	folded := rulesOf(db.ListDefinitionsRow{
		IntervalMs: int32(intervalMs), DownAfter: int32(r.DownAfter), DownOf: int32(r.DownOf), UpAfter: int32(r.UpAfter), UpOf: int32(r.UpOf),
		Quorum: int32(r.Quorum), FlapTransitions: int32(r.FlapTransitions), FlapWindowS: int32(r.FlapWindow / time.Second), SilentAfter: int32(r.SilentAfter),
	})
	return &folded
}

// inPlaceOf gives r for each version. The version's interval stays: it says how the checks were made, which no rule changes any
// more.
func (r Rules) inPlaceOf(rulesOf func(version string) *rules) func(version string) *rules {
	made := make(map[int64]*rules) // by interval
	return func(version string) *rules {
		interval := rulesOf(version).intervalMs
		if made[interval] == nil {
			made[interval] = r.at(interval)
		}
		return made[interval]
	}
}

// WhatIfQuestion asks what other rules would have made of the checks that are stored.
type WhatIfQuestion struct {
	// Rules are the other rules, by target. A target without is not looked at.
	Rules map[string]Rules
	// From is the slot from which on they would have applied, taken down to ten minutes. What was before stays as it was. Zero: the
	// first check that strips still have.
	From time.Time
	// To is the slot before which the folding ends; zero: all checks.
	To time.Time
}

// WhatIfTally is what was asked about and not folded.
type WhatIfTally struct {
	// Unchecked are the targets that have rules in the question and no checks in its time, in order.
	Unchecked []string
	// Others is the number of targets that have checks and no rules in the question.
	Others int
}

// WhatIf folds the checks of each target in the question twice, by the rules of its definitions and by the other ones, and calls
// each with what comes out, in the order of ids, for the targets that have checks in that time.
//
// All of it is read in one snapshot, by a transaction that may not write. In memory are the checks of one target in one day and
// its transitions. Both folds take it that every check came in time. The error is a [PermanentError] when the tables do not fit
// this build.
func WhatIf(ctx context.Context, pool *pgxpool.Pool, q WhatIfQuestion, each func(WhatIfTarget)) (WhatIfTally, error) {
	var tally WhatIfTally
	if err := checkMigrated(ctx, pool); err != nil {
		return tally, err
	}
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) error {
		w := newWhatIf(tx, q)
		for _, id := range slices.Sorted(maps.Keys(q.Rules)) {
			t, err := w.twins(ctx, id)
			if err != nil {
				return err
			}
			if t == nil {
				tally.Unchecked = append(tally.Unchecked, id)
				continue
			}
			each(t.compare(w.toMs))
		}
		checked, err := w.folder.queries.CountCheckedTargets(ctx, tx)
		if err != nil {
			return fmt.Errorf("counting targets: %w", err)
		}
		tally.Others = int(checked) - w.checked
		return nil
	})
	if err != nil {
		return tally, fmt.Errorf("folding by other rules: %w", err)
	}
	return tally, nil
}

// whatIf folds targets for one question.
type whatIf struct {
	tx           pgx.Tx
	folder       *folder
	rules        map[string]Rules
	fromMs, toMs int64
	checked      int // targets that were ever checked
}

func newWhatIf(tx pgx.Tx, q WhatIfQuestion) *whatIf {
	w := &whatIf{tx: tx, folder: newFolder(db.New(), true), rules: q.Rules, toMs: math.MaxInt64}
	if !q.From.IsZero() {
		w.fromMs = stripStart(q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		w.toMs = q.To.UnixMilli()
	}
	return w
}

// twins are one target, folded over the same checks by the rules of its definitions and by others.
type twins struct {
	was, would            *targetFold
	wasRules, wouldRules  func(version string) *rules
	firstMs, lastMs       int64 // slots of the first and the last check; firstMs is MaxInt64 before there is one
	stripsFromMs, untilMs int64 // the first strip starts at the one, and no location has a check after the other
	older                 bool  // some of the checks in the asked time have no strip any more
	stored                storedTransitions
}

// twins folds a target; nil when it has no check in the time.
func (w *whatIf) twins(ctx context.Context, id string) (*twins, error) {
	t := &twins{
		was: &targetFold{id: id}, would: &targetFold{id: id}, firstMs: math.MaxInt64, stripsFromMs: math.MaxInt64,
		stored: make(storedTransitions),
	}
	clear(w.folder.known) // those of the target before
	t.wasRules = w.folder.rulesFor(id)
	t.wouldRules = w.rules[id].inPlaceOf(t.wasRules)
	if err := w.begin(ctx, t); err != nil {
		return nil, fmt.Errorf("reading the locations of %q: %w", id, err)
	}
	for fromMs := t.stripsFromMs - t.stripsFromMs%dayMs; fromMs <= t.untilMs && fromMs < w.toMs; fromMs += dayMs {
		if err := w.foldDay(ctx, t, fromMs); err != nil {
			return nil, err
		}
	}
	if t.firstMs == math.MaxInt64 {
		return nil, nil
	}
	t.was.markFlapping(t.wasRules)
	t.would.markFlapping(t.wouldRules)
	return t, nil
}

// begin sets both twins to where the target stood before the first strip.
func (w *whatIf) begin(ctx context.Context, t *twins) error {
	id := t.was.id
	locations, err := w.folder.queries.ListLocationsSince(ctx, w.tx, db.ListLocationsSinceParams{TargetID: id, Since: moment(w.fromMs)})
	if err != nil {
		return err
	}
	if len(locations) > 0 {
		w.checked++
	}
	for _, row := range locations {
		if startsMs := row.StartsAt.UnixMilli(); startsMs > 0 {
			t.stripsFromMs = min(t.stripsFromMs, startsMs)
		}
		stood := locationFoldOf(row.Stood)
		t.older = t.older || stood.slotMs > 0 && stood.slotMs >= w.fromMs
		t.untilMs = max(t.untilMs, row.LastSlot.UnixMilli())
		t.was.track(row.Location).fold, t.would.track(row.Location).fold = stood, stood
	}
	if t.stripsFromMs == math.MaxInt64 {
		return nil
	}
	t.was.fromMs = t.stripsFromMs
	if err := w.folder.listTransitions(ctx, w.tx, []*targetFold{t.was}, t.stored); err != nil {
		return err
	}
	t.would.earlier = t.was.earlier
	t.was.resume()
	t.would.resume()
	return nil
}

// foldDay folds the checks of a day.
func (w *whatIf) foldDay(ctx context.Context, t *twins, dayFromMs int64) error {
	rows, err := w.folder.queries.ListStripsBetween(ctx, w.tx, db.ListStripsBetweenParams{
		TargetID: t.was.id, Since: moment(max(dayFromMs, w.fromMs)), Until: moment(min(dayFromMs+dayMs, w.toMs)),
	})
	if err != nil {
		return fmt.Errorf("reading the strips of %q: %w", t.was.id, err)
	}
	for _, row := range rows {
		location := t.was.track(row.Location)
		location.old = append(location.old, stripOf(db.ListStripsRow(row)))
	}
	if err := w.folder.learn(ctx, w.tx, []*targetFold{t.was}); err != nil {
		return err
	}
	for _, location := range t.was.tracks {
		all := observations(location.old)
		for len(all) > 0 && all[len(all)-1].slotMs >= w.toMs {
			all = all[:len(all)-1]
		}
		if len(all) > 0 {
			t.firstMs, t.lastMs = min(t.firstMs, all[0].slotMs), max(t.lastMs, all[len(all)-1].slotMs)
		}
		location.all, t.would.track(location.location).all = all, all
	}
	t.was.run(t.wasRules)
	t.would.run(t.wouldRules)
	for _, location := range slices.Concat(t.was.tracks, t.would.tracks) { // of a day that is over nothing is kept
		location.old, location.all, location.strips = nil, nil, nil
	}
	return nil
}
