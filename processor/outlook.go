package processor

import (
	"cmp"
	"math"
	"time"
)

// WhatIfTarget is what other rules would have made of a target's checks.
type WhatIfTarget struct {
	// ID is the target's.
	ID string
	// First and Last are the slots of the first and the last check that were folded.
	First, Last time.Time
	// Was is what the target's own rules make of the checks, Would what the other ones do.
	Was, Would Outlook
	// Changes are the incidents that differ, in the order of time.
	Changes []IncidentChange
	// PagesGone and PagesNew are how many pages only the one or only the other rules send.
	PagesGone, PagesNew int
	// Stale is whether the tables have other transitions than the target's own rules make of its checks.
	Stale bool
	// Older is whether there were checks in the asked time whose strips have been dropped. They are not folded: what they had led to
	// is where both begin.
	Older bool
}

// Differs reports whether anything would have been different.
func (t *WhatIfTarget) Differs() bool {
	return t.Was != t.Would || len(t.Changes) > 0 || t.PagesGone+t.PagesNew > 0
}

// Outlook is what people see of targets in a time.
type Outlook struct {
	// Incidents is how many were open at some moment of it.
	Incidents int
	// Pages is how many times somebody would have been told that a target is down, or that it is down no more. While a target is
	// flapping nobody is.
	Pages int
	// UpMs, DegradedMs and DownMs are how long targets were in which state, from their first check to their last, in milliseconds: a
	// time.Duration ends at 292 years, which 1,200 targets have together in three months. The time before a state is known counts as none of them,
	// that without checks as the state before it.
	UpMs, DegradedMs, DownMs int64
}

// Uptime is the share, from 0 to 1, of the time with a known state in which that is not down. It is not known where there is no
// such time. The share of checks that are not down is another number, which no rule changes.
func (o Outlook) Uptime() (share float64, known bool) {
	all := o.UpMs + o.DegradedMs + o.DownMs
	if all == 0 {
		return 0, false
	}
	return float64(o.UpMs+o.DegradedMs) / float64(all), true
}

// Plus gives the sum of both.
func (o Outlook) Plus(other Outlook) Outlook {
	return Outlook{
		Incidents: o.Incidents + other.Incidents, Pages: o.Pages + other.Pages,
		UpMs: o.UpMs + other.UpMs, DegradedMs: o.DegradedMs + other.DegradedMs, DownMs: o.DownMs + other.DownMs,
	}
}

// Incident is a time in which a target is down.
type Incident struct {
	// OpenedAt is the slot with which it began, which may be before the first check that was folded.
	OpenedAt time.Time
	// ClosedAt is the slot with which the target came back; zero: it has not by the last check.
	ClosedAt time.Time
}

// IncidentChange is what would have become of incidents that overlap.
type IncidentChange struct {
	// Kind is new, gone, longer, shorter, moved (as long, at another time), joined (fewer of them) or split (more).
	Kind string
	// Was and Would are the incidents by the target's own rules and by the other ones, in the order of time.
	Was, Would []Incident
}

// compare says what is different between both folds, of which the time ends before toMs.
func (t *twins) compare(toMs int64) WhatIfTarget {
	c := WhatIfTarget{ID: t.was.id, First: moment(t.firstMs), Last: moment(t.lastMs), Stale: t.stale(toMs), Older: t.older}
	was, would := t.was.incidents(), t.would.incidents()
	c.Was, c.Would = t.was.outlook(t.firstMs, t.lastMs), t.would.outlook(t.firstMs, t.lastMs)
	c.Was.Incidents, c.Would.Incidents = len(was), len(would)
	c.Changes = incidentChanges(was, would, t.lastMs)
	c.PagesGone, c.PagesNew = pagesApart(t.was.pages(), t.would.pages())
	return c
}

// stale says whether the table's transitions before toMs are others than those found by the target's own rules.
func (t *twins) stale(toMs int64) bool {
	i := 0
	for _, row := range t.stored[t.was.id] {
		if row.Slot.UnixMilli() >= toMs {
			break
		}
		if i == len(t.was.found) || t.was.found[i].slotMs != row.Slot.UnixMilli() || !sameTransition(row, t.was.found[i].row(t.was.id)) {
			return true
		}
		i++
	}
	return i < len(t.was.found)
}

// began gives the state before the first transition found.
func (f *targetFold) began() state {
	if len(f.found) > 0 {
		return f.found[0].from
	}
	return f.state
}

// outlook measures the states and counts the pages.
func (f *targetFold) outlook(firstMs, lastMs int64) Outlook {
	var held [len(stateNames)]int64
	now, sinceMs := f.began(), firstMs
	for i := range f.found {
		held[now] += f.found[i].slotMs - sinceMs
		now, sinceMs = f.found[i].to, f.found[i].slotMs
	}
	held[now] += lastMs - sinceMs
	return Outlook{Pages: len(f.pages()), UpMs: held[stateUp], DegradedMs: held[stateDegraded], DownMs: held[stateDown]}
}

// pages are the transitions that somebody would have been told of.
func (f *targetFold) pages() []*transition {
	var told []*transition
	for i := range f.found {
		t := &f.found[i]
		if (t.to == stateDown || t.from == stateDown) && !t.flapping {
			told = append(told, t)
		}
	}
	return told
}

// pagesApart counts the pages that only the one or only the other list has.
func pagesApart(was, would []*transition) (gone, added int) {
	for len(was) > 0 && len(would) > 0 {
		switch {
		case was[0].slotMs < would[0].slotMs:
			gone, was = gone+1, was[1:]
		case was[0].slotMs > would[0].slotMs:
			added, would = added+1, would[1:]
		default:
			if (was[0].to == stateDown) != (would[0].to == stateDown) {
				gone, added = gone+1, added+1
			}
			was, would = was[1:], would[1:]
		}
	}
	return gone + len(was), added + len(would)
}

// downtime is an incident in milliseconds; one that is open ends at MaxInt64.
type downtime struct{ openedMs, closedMs int64 }

// incidents are those that were open at some moment from the first check on.
func (f *targetFold) incidents() []downtime {
	var all []downtime
	if f.began() == stateDown {
		all = append(all, downtime{f.earlier[len(f.earlier)-1].slotMs, math.MaxInt64})
	}
	for i := range f.found {
		t := &f.found[i]
		if t.from == stateDown {
			all[len(all)-1].closedMs = t.slotMs
		}
		if t.to == stateDown {
			all = append(all, downtime{t.slotMs, math.MaxInt64})
		}
	}
	return all
}

// incidentChanges groups the incidents of both lists by which overlap, and gives the groups in which both are not the same.
func incidentChanges(was, would []downtime, lastMs int64) []IncidentChange {
	var changes []IncidentChange
	for len(was)+len(would) > 0 {
		var endMs int64 // of the first of them, and then of all that overlap
		if len(would) == 0 || len(was) > 0 && was[0].openedMs < would[0].openedMs {
			endMs = was[0].closedMs
		} else {
			endMs = would[0].closedMs
		}
		i, k := 0, 0
		for grown := true; grown; {
			grown = false
			for ; i < len(was) && was[i].openedMs < endMs; i++ {
				endMs, grown = max(endMs, was[i].closedMs), true
			}
			for ; k < len(would) && would[k].openedMs < endMs; k++ {
				endMs, grown = max(endMs, would[k].closedMs), true
			}
		}
		if i != 1 || k != 1 || was[0] != would[0] {
			changes = append(changes, IncidentChange{
				Kind: changeKind(was[:i], would[:k], lastMs), Was: asIncidents(was[:i]), Would: asIncidents(would[:k]),
			})
		}
		was, would = was[i:], would[k:]
	}
	return changes
}

func changeKind(was, would []downtime, lastMs int64) string {
	switch {
	case len(was) == 0:
		return "new"
	case len(would) == 0:
		return "gone"
	case len(would) < len(was):
		return "joined"
	case len(would) > len(was):
		return "split"
	}
	return map[int]string{-1: "shorter", 0: "moved", 1: "longer"}[cmp.Compare(howLong(would, lastMs), howLong(was, lastMs))]
}

// howLong is for how many milliseconds all of them last, up to the last check.
func howLong(all []downtime, lastMs int64) (ms int64) {
	for _, d := range all {
		ms += min(d.closedMs, lastMs) - d.openedMs
	}
	return ms
}

func asIncidents(all []downtime) []Incident {
	var incidents []Incident
	for _, d := range all {
		i := Incident{OpenedAt: moment(d.openedMs)}
		if d.closedMs < math.MaxInt64 {
			i.ClosedAt = moment(d.closedMs)
		}
		incidents = append(incidents, i)
	}
	return incidents
}
