package cli

import (
	"time"

	"webcheck/processor"
)

// rulesJSON is what a question about other rules came to, as JSON. Moments are slots in UTC.
type rulesJSON struct {
	Rules      string       `json:"rules"`
	Targets    int          `json:"targets"` // that were folded
	Differ     int          `json:"differ"`
	FirstCheck *time.Time   `json:"first_check"` // null: no target has a check in the time
	LastCheck  *time.Time   `json:"last_check"`
	Was        outlookJSON  `json:"was"`
	Would      outlookJSON  `json:"would"`
	PagesGone  int          `json:"pages_gone"`
	PagesNew   int          `json:"pages_new"`
	Unchecked  []string     `json:"unchecked"` // targets of the file without a check in the time
	Others     int          `json:"others"`    // targets with checks that are not in the file
	Older      []string     `json:"older"`     // targets of which older checks are not kept any more
	Stale      []string     `json:"stale"`     // targets whose stored transitions are not what their checks make
	List       []targetJSON `json:"list"`      // targets that differ
}

type targetJSON struct {
	ID         string       `json:"id"`
	FirstCheck time.Time    `json:"first_check"`
	LastCheck  time.Time    `json:"last_check"`
	Was        outlookJSON  `json:"was"`
	Would      outlookJSON  `json:"would"`
	PagesGone  int          `json:"pages_gone"`
	PagesNew   int          `json:"pages_new"`
	Incidents  []changeJSON `json:"incidents"` // that differ
}

type outlookJSON struct {
	Incidents  int      `json:"incidents"`
	Pages      int      `json:"pages"`
	UpMs       int64    `json:"up_ms"`
	DegradedMs int64    `json:"degraded_ms"`
	DownMs     int64    `json:"down_ms"`
	Uptime     *float64 `json:"uptime"` // from 0 to 1; null: no state is known
}

type changeJSON struct {
	Kind  string         `json:"kind"`
	Was   []incidentJSON `json:"was"`
	Would []incidentJSON `json:"would"`
}

type incidentJSON struct {
	OpenedAt time.Time  `json:"opened_at"`
	ClosedAt *time.Time `json:"closed_at"` // null: not by the last check
}

func (r *rulesReport) json() rulesJSON {
	j := rulesJSON{
		Rules: r.file, Targets: r.targets, Differ: r.differ, Was: outlookAsJSON(r.was), Would: outlookAsJSON(r.would), PagesGone: r.gone, PagesNew: r.added,
		Unchecked: listed(r.unchecked), Others: r.others, Older: listed(r.older), Stale: listed(r.stale), List: []targetJSON{},
	}
	if r.targets > 0 {
		j.FirstCheck, j.LastCheck = &r.first, &r.last
	}
	for _, t := range r.list {
		target := targetJSON{
			ID: t.ID, FirstCheck: t.First, LastCheck: t.Last, Was: outlookAsJSON(t.Was), Would: outlookAsJSON(t.Would), PagesGone: t.PagesGone, PagesNew: t.PagesNew,
			Incidents: []changeJSON{},
		}
		for _, c := range t.Changes {
			target.Incidents = append(target.Incidents, changeJSON{c.Kind, incidentsAsJSON(c.Was), incidentsAsJSON(c.Would)})
		}
		j.List = append(j.List, target)
	}
	return j
}

// listed is a list that is not null where it is empty.
func listed(ids []string) []string { return append([]string{}, ids...) }

func outlookAsJSON(o processor.Outlook) outlookJSON {
	j := outlookJSON{Incidents: o.Incidents, Pages: o.Pages, UpMs: o.UpMs, DegradedMs: o.DegradedMs, DownMs: o.DownMs}
	if share, known := o.Uptime(); known {
		j.Uptime = &share
	}
	return j
}

func incidentsAsJSON(incidents []processor.Incident) []incidentJSON {
	list := make([]incidentJSON, len(incidents))
	for i, incident := range incidents {
		list[i].OpenedAt = incident.OpenedAt
		if !incident.ClosedAt.IsZero() {
			list[i].ClosedAt = &incident.ClosedAt
		}
	}
	return list
}
