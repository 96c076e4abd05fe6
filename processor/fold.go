package processor

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
)

// definitionKey is one version of a target's definition.
type definitionKey struct{ target, version string }

// folder folds checks that were written into states, transitions and rollups, in their transaction. What comes out depends on
// the checks and definitions alone and not on their order, because a late check is folded again from its strip on. It is used
// by one goroutine at a time.
type folder struct {
	queries *db.Queries
	known   map[definitionKey]*rules
	silent  bool // nothing is announced, as in a replay
}

func newFolder(queries *db.Queries, silent bool) *folder {
	return &folder{queries: queries, known: make(map[definitionKey]*rules), silent: silent}
}

// maxKnown bounds the rules that are kept between batches.
const maxKnown = 1 << 18

// lockedTargets are the states of targets, by id, whose folds nobody else writes until the transaction ends.
type lockedTargets map[string]db.LockTargetsRow

// lock makes folds of the same targets wait for one another. It comes before the checks are written, so that what a merge
// replaces is what the folds have seen.
func (f *folder) lock(ctx context.Context, tx pgx.Tx, ids []string) (lockedTargets, error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	rows, err := f.queries.LockTargets(ctx, tx, ids)
	if err == nil && len(rows) < len(ids) {
		if err = f.queries.InsertTargets(ctx, tx, ids); err == nil {
			rows, err = f.queries.LockTargets(ctx, tx, ids)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("locking targets: %w", err)
	}
	locked := make(lockedTargets, len(rows))
	for _, row := range rows {
		locked[row.TargetID] = row
	}
	return locked, nil
}

// Folded counts what became of checks.
type Folded struct {
	Amended   int // folds of a target at a location that a late check changed from before its last one on
	Announced int // transitions that are on their way to their topic
}

// fold folds changes of locked targets. redefined has the moments, in milliseconds, from which targets are to be folded again
// for another reason.
func (f *folder) fold(ctx context.Context, tx pgx.Tx, locked lockedTargets, changes []change, redefined map[string]int64) (n Folded, err error) {
	folds := collect(changes, redefined)
	if len(folds) == 0 {
		return n, nil
	}
	if err := f.load(ctx, tx, folds); err != nil {
		return n, err
	}
	stored, err := f.recall(ctx, tx, folds, locked)
	if err != nil {
		return n, err
	}
	for _, t := range folds {
		of := f.rulesFor(t.id)
		for _, location := range t.tracks {
			location.prepare(of)
			if location.late() {
				n.Amended++
			}
		}
		t.run(of)
	}
	if err := f.recallEarlier(ctx, tx, folds, stored); err != nil {
		return n, err
	}
	if err := f.learnEarlier(ctx, tx, folds); err != nil {
		return n, err
	}
	for _, t := range folds {
		t.markFlapping(f.rulesFor(t.id))
	}
	w := &foldWriter{queries: f.queries, tx: tx}
	if err := w.write(ctx, folds, locked, stored); err != nil {
		return n, err
	}
	if !f.silent {
		n.Announced, err = f.announce(ctx, tx, folds, stored)
	}
	return n, err
}

// collect groups changes by target, in the order of targets.
func collect(changes []change, redefined map[string]int64) []*targetFold {
	byID := make(map[string]*targetFold)
	for id, fromMs := range redefined {
		byID[id] = &targetFold{id: id, fromMs: stripStart(fromMs)}
	}
	for i := range changes {
		c := &changes[i]
		t := byID[c.target]
		if t == nil {
			t = &targetFold{id: c.target, fromMs: math.MaxInt64}
			byID[c.target] = t
		}
		t.fromMs = min(t.fromMs, stripStart(c.slotMs))
		location := t.track(c.location)
		location.changes = append(location.changes, *c)
	}
	folds := make([]*targetFold, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		folds = append(folds, byID[id])
	}
	return folds
}

// load reads where each location stands, its strips from the moment on, and the rules of all versions in them.
func (f *folder) load(ctx context.Context, tx pgx.Tx, folds []*targetFold) error {
	byID := make(map[string]*targetFold, len(folds))
	ids := make([]string, len(folds))
	for i, t := range folds {
		ids[i], byID[t.id] = t.id, t
	}
	locations, err := f.queries.ListLocationStates(ctx, tx, ids)
	if err != nil {
		return fmt.Errorf("reading the states of locations: %w", err)
	}
	wanted := db.ListStripsParams{Earliest: moment(math.MaxInt64)}
	for _, row := range locations {
		t := byID[row.TargetID]
		location := t.track(row.Location)
		location.known, location.stored = true, locationFoldOf(row.Fold)
		if location.stored.slotMs < t.fromMs {
			continue // it has no strip from there on
		}
		from := moment(t.fromMs)
		if from.Before(wanted.Earliest) || len(wanted.Targets) == 0 {
			wanted.Earliest = from
		}
		wanted.Targets = append(wanted.Targets, row.TargetID)
		wanted.Locations = append(wanted.Locations, row.Location)
		wanted.Since = append(wanted.Since, from)
	}
	if len(wanted.Targets) > 0 {
		strips, err := f.queries.ListStrips(ctx, tx, wanted)
		if err != nil {
			return fmt.Errorf("reading strips: %w", err)
		}
		for _, row := range strips {
			location := byID[row.TargetID].track(row.Location)
			location.old = append(location.old, stripOf(row))
		}
	}
	return f.learn(ctx, tx, folds)
}

// learn reads the rules of versions that are not known yet.
func (f *folder) learn(ctx context.Context, tx pgx.Tx, folds []*targetFold) error {
	if len(f.known) > maxKnown {
		clear(f.known)
	}
	var wanted db.ListDefinitionsParams
	asked := make(map[definitionKey]bool)
	want := func(target, version string) {
		key := definitionKey{target, version}
		if f.known[key] == nil && !asked[key] {
			asked[key] = true
			wanted.Targets, wanted.Versions = append(wanted.Targets, target), append(wanted.Versions, version)
		}
	}
	for _, t := range folds {
		for _, location := range t.tracks {
			last := ""
			for i := range location.changes {
				if v := location.changes[i].version; v != last || i == 0 {
					want(t.id, v)
					last = v
				}
			}
			for i := range location.old {
				want(t.id, location.old[i].version)
			}
		}
	}
	return f.readRules(ctx, tx, wanted)
}

// learnEarlier reads the rules of transitions that have become the last one of their target, because those after them are gone: no
// check from the moment on need be of their version.
func (f *folder) learnEarlier(ctx context.Context, tx pgx.Tx, folds []*targetFold) error {
	var wanted db.ListDefinitionsParams
	for _, t := range folds {
		n := len(t.earlier)
		if n == 0 || len(t.found) > 0 || f.known[definitionKey{t.id, t.earlier[n-1].version}] != nil {
			continue
		}
		wanted.Targets, wanted.Versions = append(wanted.Targets, t.id), append(wanted.Versions, t.earlier[n-1].version)
	}
	return f.readRules(ctx, tx, wanted)
}

func (f *folder) readRules(ctx context.Context, tx pgx.Tx, wanted db.ListDefinitionsParams) error {
	if len(wanted.Targets) == 0 {
		return nil
	}
	rows, err := f.queries.ListDefinitions(ctx, tx, wanted)
	if err != nil {
		return fmt.Errorf("reading definitions: %w", err)
	}
	for _, row := range rows {
		r := rulesOf(row)
		f.known[definitionKey{row.TargetID, row.DefinitionVersion}] = &r
	}
	return nil
}

// rulesFor gives the rules of a target's versions; those that were never seen have the default ones.
func (f *folder) rulesFor(target string) func(version string) *rules {
	var last *rules
	lastVersion := ""
	return func(version string) *rules {
		if last == nil || version != lastVersion {
			lastVersion = version
			if last = f.known[definitionKey{target, version}]; last == nil {
				last = &defaultRules
			}
		}
		return last
	}
}

// storedTransitions are those in the table of the targets that need them, from fromMs on and as far back as flapping looks.
type storedTransitions map[string][]db.Transition

// recall sets each target to where it stood before the moment. Where its state has not changed since, that is its state now.
func (f *folder) recall(ctx context.Context, tx pgx.Tx, folds []*targetFold, locked lockedTargets) (storedTransitions, error) {
	var changed []*targetFold
	for _, t := range folds {
		row := locked[t.id]
		if row.Since == nil {
			continue
		}
		if row.Since.UnixMilli() >= t.fromMs {
			changed = append(changed, t)
			continue
		}
		t.state = stateOf(row.State)
		if t.state == stateDown {
			t.openedMs = row.Since.UnixMilli()
		}
	}
	stored := make(storedTransitions)
	if err := f.listTransitions(ctx, tx, changed, stored); err != nil {
		return nil, err
	}
	for _, t := range changed {
		t.resume()
	}
	return stored, nil
}

// resume sets the target to where the last of the transitions before the moment has left it.
func (f *targetFold) resume() {
	n := len(f.earlier)
	if n == 0 {
		return
	}
	f.state = f.earlier[n-1].to
	if f.state == stateDown {
		f.openedMs = f.earlier[n-1].slotMs
	}
}

// recallEarlier reads, for targets that have new transitions, those before them.
func (f *folder) recallEarlier(ctx context.Context, tx pgx.Tx, folds []*targetFold, stored storedTransitions) error {
	var changed []*targetFold
	for _, t := range folds {
		if _, read := stored[t.id]; len(t.found) > 0 && !read {
			changed = append(changed, t)
		}
	}
	return f.listTransitions(ctx, tx, changed, stored)
}

func (f *folder) listTransitions(ctx context.Context, tx pgx.Tx, folds []*targetFold, stored storedTransitions) error {
	if len(folds) == 0 {
		return nil
	}
	var wanted db.ListTransitionsParams
	byID := make(map[string]*targetFold, len(folds))
	for _, t := range folds {
		byID[t.id], stored[t.id] = t, nil
		wanted.Targets = append(wanted.Targets, t.id)
		wanted.Since = append(wanted.Since, moment(t.fromMs))
	}
	rows, err := f.queries.ListTransitions(ctx, tx, wanted)
	if err != nil {
		return fmt.Errorf("reading transitions: %w", err)
	}
	for _, row := range rows {
		t := byID[row.TargetID]
		if row.Slot.UnixMilli() < t.fromMs {
			t.earlier = append(t.earlier, transitionOf(row))
			continue
		}
		stored[row.TargetID] = append(stored[row.TargetID], row)
	}
	return nil
}
