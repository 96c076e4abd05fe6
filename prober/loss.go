package prober

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"webcheck/gen/event"
)

// loss is what found no room of one target since the last event that said so.
type loss struct {
	events int
	first  time.Time             // the slot of the first
	last   *event.CheckCompleted // of which the slot is taken to say so
}

// lose takes note that e found no room.
func (s *SpoolEmitter) lose(e *event.CheckCompleted) {
	s.state.Lost++
	if s.losses == nil {
		s.losses = make(map[string]loss)
	}
	l := s.losses[e.TargetID]
	if l.events == 0 {
		l.first = e.Slot
	}
	s.losses[e.TargetID] = loss{events: l.events + 1, first: l.first, last: e}
}

// reportLosses emits an event for each target that lost some, now that there is room: the last slot without an event is
// missed, and says how many there are. Of a process that ends before that they are gaps without one.
func (s *SpoolEmitter) reportLosses() {
	s.mu.Lock()
	losses := s.losses
	s.losses = nil
	s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(losses)) {
		l := losses[id]
		s.Emit(l.event(), func(err error) {
			if err != nil {
				s.config.Logger.Error("losses are not written either", "target", id, "events", l.events, "err", err)
			}
		})
	}
}

// event is the missed event of l's last slot.
func (l loss) event() *event.CheckCompleted {
	reason := event.FailureOwnFault
	text := fmt.Sprintf("the spool was full: the results of %d slots from %s on were lost", l.events, l.first.Format(time.RFC3339))
	return &event.CheckCompleted{
		EventID: l.last.EventID, TargetID: l.last.TargetID, Location: l.last.Location, Slot: l.last.Slot, StartedAt: l.last.StartedAt,
		Outcome: event.OutcomeMissed, Failure: &reason, FailureText: &text, DefinitionVersion: l.last.DefinitionVersion, Prober: l.last.Prober,
	}
}
