package prober

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"webcheck/gen/event"
)

// Defaults and bounds of a prober.
const (
	// DefaultMaxInFlight keeps sockets and bodies in check: with MaxBodyBytes each that is 256 MiB at the very worst, and far
	// below the 1024 descriptors that most systems give a process. Two hanging targets in three fit at 1,000 targets with
	// a timeout of 10 s and an interval of 60 s.
	DefaultMaxInFlight = 256
	// DefaultShutdownTimeout fits DefaultTimeout, and what service managers wait before they kill (10 s for containers,
	// 90 s for systemd).
	DefaultShutdownTimeout = 10 * time.Second
	// DefaultCatchUp is how old slots may be that a prober writes as missed because no prober ran: long enough for a night's
	// maintenance to be seen in full, and not a flood from a laptop that slept for a week.
	DefaultCatchUp = 6 * time.Hour
	// DefaultMaxPerHost is a quarter of DefaultMaxInFlight: a host that hangs must not stop the checks of all others.
	DefaultMaxPerHost = 64
)

// Config is what a prober needs. [New] reports all its faults at once.
type Config struct {
	// Location is where this prober stands: a slug, part of every event and of its id. Required.
	Location string
	// Name tells this prober from others of its location; 1 to 255 bytes. Required.
	Name string
	// Targets to check, each valid and with an id of its own; at least one unless Follow is given.
	Targets []Target
	// Follow says where the definitions of targets are, which are followed while the prober runs; nil means Targets alone.
	Follow *Follow
	// Emit takes the events. Required.
	Emit Emitter
	// OnCheck is called for each event after the emitter has it acknowledged, never before; nil means not at all. It must be
	// quick and must not change the event: with a [SpoolEmitter] it runs in the client's goroutine. It may still be called
	// after Run, for events that Run reported as not written and that were acknowledged at the last moment.
	OnCheck func(*event.CheckCompleted)
	// Metrics takes the prober's metrics; nil means none.
	Metrics prometheus.Registerer
	// Logger takes what people should know; nil discards it.
	Logger *slog.Logger
	// MaxInFlight bounds the checks that run at once; 0 means DefaultMaxInFlight. A slot that is due beyond it waits for a tenth of
	// its interval and at most a second, and is then written as missed, overload.
	MaxInFlight int
	// MaxPerHost bounds those of them that are of one host and port, in the same way; 0 means DefaultMaxPerHost.
	MaxPerHost int
	// CatchUp is how old a slot may be that is written as missed afterwards; 0 means DefaultCatchUp. Older ones have no event, and
	// their number is in the log.
	CatchUp time.Duration
	// Addresses says which addresses checks may connect to; the zero value refuses those of clouds' metadata services.
	Addresses Addresses
	// Secrets returns what a reference in a target points to, or an error that names the reference and does not hold the secret. It says which references
	// whoever defines targets may use; nil resolves none. It is called for each attempt, from several goroutines.
	Secrets func(reference string) (string, error)
	// Canaries are asked before a check that nothing answered counts as down; nil means that it does.
	Canaries *Canaries
	// ShutdownTimeout is how long Run may go on after its context ended; 0 means DefaultShutdownTimeout. Running checks may use
	// three quarters of it, and writing what is left.
	ShutdownTimeout time.Duration
	// CheckAtStart runs the slot that each target is in at the start at once, instead of waiting for the next one, so that a
	// person sees something before an interval has passed. The event is that slot's, so a restart within the slot adds no
	// row. At most MaxInFlight targets start this way, and none whose next slot is so near that its check might still run
	// then: the others wait for their next slot.
	CheckAtStart bool
}

// withDefaults returns c with zero values replaced, or every fault of it.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, arguments ...any) { faults = append(faults, fmt.Errorf(format, arguments...)) }
	if !slug.MatchString(c.Location) {
		fault("location: is %q; it %s", c.Location, slugRule)
	}
	if c.Name == "" || len(c.Name) > 255 || clean(c.Name, 255) != c.Name {
		fault("name: is %q; it must be 1 to 255 bytes of printable UTF-8", c.Name)
	}
	if c.Emit == nil {
		fault("emitter: is missing")
	}
	if c.MaxInFlight < 0 {
		fault("max_in_flight: is %d; it must be at least 1", c.MaxInFlight)
	}
	if c.MaxPerHost < 0 {
		fault("max_per_host: is %d; it must be at least 1", c.MaxPerHost)
	}
	if c.CatchUp < 0 {
		fault("catch_up: is %v; it must be more than 0", c.CatchUp)
	}
	if c.ShutdownTimeout < 0 {
		fault("shutdown_timeout: is %v; it must be more than 0", c.ShutdownTimeout)
	}
	faults = append(faults, targetFaults(c.Targets, c.Follow != nil)...)
	if err := errors.Join(faults...); err != nil {
		return c, fmt.Errorf("preparing the prober: %w", err)
	}
	c.Targets = slices.Clone(c.Targets)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultMaxInFlight
	}
	if c.MaxPerHost == 0 {
		c.MaxPerHost = DefaultMaxPerHost
	}
	if c.CatchUp == 0 {
		c.CatchUp = DefaultCatchUp
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = DefaultShutdownTimeout
	}
	return c, nil
}

func targetFaults(targets []Target, mayBeNone bool) []error {
	if len(targets) == 0 && !mayBeNone {
		return []error{errors.New("targets: there is none")}
	}
	var faults []error
	taken := make(map[string]bool, len(targets))
	for _, t := range targets {
		for _, fault := range t.Validate() {
			faults = append(faults, fmt.Errorf("target %q: %w", t.ID, fault))
		}
		if taken[t.ID] {
			faults = append(faults, fmt.Errorf("target %q: id: is taken by another target", t.ID))
		}
		taken[t.ID] = true
	}
	return faults
}
