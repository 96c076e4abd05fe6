package prober

import (
	"fmt"
	"time"
)

// Bounds of a target's rules; [Target.Validate] holds them.
const (
	// MaxObservations is the longest memory that going down or coming back may need: more only delays the news.
	MaxObservations = 20
	// MaxQuorum is more locations than anybody has.
	MaxQuorum = 100
	// MinFlapTransitions, MaxFlapTransitions bound the transitions that make a target flap: fewer than two are no change back.
	MinFlapTransitions = 2
	MaxFlapTransitions = 100
	// MinFlapWindow, MaxFlapWindow bound the time that these must lie in.
	MinFlapWindow = time.Minute
	MaxFlapWindow = 24 * time.Hour
	// MinSilentAfter, MaxSilentAfter bound the intervals after which a location is silent: one would end with the first late check.
	MinSilentAfter = 2
	MaxSilentAfter = 100
)

// Rules say how the state of a target follows from its checks. The prober does not apply them, it only publishes them with
// the definition. Every field means what it holds: [DefaultRules] gives those with all the defaults.
type Rules struct {
	// DownAfter and DownOf: a location goes down when DownAfter of its last DownOf observations are down; from 1 to DownOf, and
	// that at most MaxObservations.
	DownAfter, DownOf int
	// UpAfter and UpOf: a location comes back when UpAfter of its last UpOf observations are not down; bounds as for going down.
	UpAfter, UpOf int
	// Quorum is how many locations must agree, from 0 to MaxQuorum; 0 is the majority of those that report.
	Quorum int
	// FlapTransitions and FlapWindow: the target is flapping when at least FlapTransitions of its transitions lie in FlapWindow,
	// which is in whole seconds.
	FlapTransitions int
	FlapWindow      time.Duration
	// SilentAfter is for how many intervals a location counts after its last observation.
	SilentAfter int
}

// DefaultRules returns the rules when nothing is said. One bad check in a row is noise, and two in three are not; two good
// ones in a row are no luck; five changes within the hour are no news one by one; a location that misses three slots is silent.
// They are those of an event that was written without rules.
func DefaultRules() Rules {
	return Rules{DownAfter: 2, DownOf: 3, UpAfter: 2, UpOf: 2, FlapTransitions: 5, FlapWindow: time.Hour, SilentAfter: 3}
}

// down, up, flapping and quorum write the rules as the configuration file does.
func (r Rules) down() string     { return fmt.Sprintf("%d of %d", r.DownAfter, r.DownOf) }
func (r Rules) up() string       { return fmt.Sprintf("%d of %d", r.UpAfter, r.UpOf) }
func (r Rules) flapping() string { return fmt.Sprintf("%d in %v", r.FlapTransitions, r.FlapWindow) }

func (r Rules) quorum() any {
	if r.Quorum == 0 {
		return "majority"
	}
	return r.Quorum
}

func (r Rules) validate(f *faults) {
	validateCount(f, "rules.down", r.down(), r.DownAfter, r.DownOf)
	validateCount(f, "rules.up", r.up(), r.UpAfter, r.UpOf)
	if r.Quorum < 0 || r.Quorum > MaxQuorum {
		f.add("rules.quorum", "is %d; it must be from 0 to %d, and 0 is the majority", r.Quorum, MaxQuorum)
	}
	if r.FlapTransitions < MinFlapTransitions || r.FlapTransitions > MaxFlapTransitions {
		f.add("rules.flapping", "has %d transitions; it must have from %d to %d", r.FlapTransitions, MinFlapTransitions, MaxFlapTransitions)
	}
	switch {
	case r.FlapWindow < MinFlapWindow || r.FlapWindow > MaxFlapWindow:
		f.add("rules.flapping", "has a window of %v; it must be from %v to %v", r.FlapWindow, MinFlapWindow, MaxFlapWindow)
	case r.FlapWindow%time.Second != 0:
		f.add("rules.flapping", "has a window of %v; it must be whole seconds", r.FlapWindow)
	}
	if r.SilentAfter < MinSilentAfter || r.SilentAfter > MaxSilentAfter {
		f.add("rules.silent_after", "is %d; it must be from %d to %d", r.SilentAfter, MinSilentAfter, MaxSilentAfter)
	}
}

func validateCount(f *faults, field, text string, after, of int) {
	if after < 1 || after > of || of > MaxObservations {
		f.add(field, "is %q; the first number must be from 1 to the second, and that at most %d", text, MaxObservations)
	}
}

// versionLines calls line for each rule that is not the default one.
func (r Rules) versionLines(line func(name, value string)) {
	defaults := DefaultRules()
	for _, rule := range []struct {
		name      string
		is, usual int64
	}{
		{"down_after", int64(r.DownAfter), int64(defaults.DownAfter)},
		{"down_of", int64(r.DownOf), int64(defaults.DownOf)},
		{"up_after", int64(r.UpAfter), int64(defaults.UpAfter)},
		{"up_of", int64(r.UpOf), int64(defaults.UpOf)},
		{"quorum", int64(r.Quorum), int64(defaults.Quorum)},
		{"flap_transitions", int64(r.FlapTransitions), int64(defaults.FlapTransitions)},
		{"flap_window", r.FlapWindow.Nanoseconds(), defaults.FlapWindow.Nanoseconds()},
		{"silent_after", int64(r.SilentAfter), int64(defaults.SilentAfter)},
	} {
		if rule.is != rule.usual {
			line(rule.name, fmt.Sprint(rule.is))
		}
	}
}
