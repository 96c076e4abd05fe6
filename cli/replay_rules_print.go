package cli

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"webcheck/processor"
)

// Bounds of what is printed; JSON has everything.
const (
	// maxChanges is how many incidents of one target fit on a screen.
	maxChanges = 20
	// maxNames is how many targets one line names.
	maxNames = 10
)

// rulesReport is what a question about other rules came to.
type rulesReport struct {
	file            string
	asked           int // targets of the file that were asked about
	targets, differ int
	first, last     time.Time // slots of the first and the last check
	was, would      processor.Outlook
	gone, added     int // pages
	stale, older    []string
	unchecked       []string
	others          int
	list            []processor.WhatIfTarget // those that differ, where they are wanted
}

// add counts a target in, and keeps it where it differs and that is wanted.
func (r *rulesReport) add(t processor.WhatIfTarget, keep bool) {
	if r.targets == 0 || t.First.Before(r.first) {
		r.first = t.First
	}
	if t.Last.After(r.last) {
		r.last = t.Last
	}
	r.targets++
	r.was, r.would = r.was.Plus(t.Was), r.would.Plus(t.Would)
	r.gone, r.added = r.gone+t.PagesGone, r.added+t.PagesNew
	if t.Stale {
		r.stale = append(r.stale, t.ID)
	}
	if t.Older {
		r.older = append(r.older, t.ID)
	}
	if !t.Differs() {
		return
	}
	r.differ++
	if keep {
		r.list = append(r.list, t)
	}
}

// whatIf writes what would have been different for one target.
func (p *printer) whatIf(t processor.WhatIfTarget) {
	p.printf("%s, %s to %s", printable(t.ID), slotText(t.First), slotText(t.Last))
	p.outlooks(t.Was, t.Would, t.PagesGone, t.PagesNew)
	for i, change := range t.Changes {
		if i == maxChanges {
			p.printf("  and %d more; --json has all", len(t.Changes)-i)
			break
		}
		colour := map[string]string{"gone": green, "shorter": green, "new": red, "longer": red}[change.Kind]
		if colour == "" {
			colour = yellow
		}
		p.printf("  %s  %s", p.paint(colour, fmt.Sprintf("%-8s", change.Kind)), changeText(change))
	}
}

// whatIfs writes the sum over all targets, and what was left out.
func (p *printer) whatIfs(r *rulesReport) {
	if r.targets > 0 {
		verdict := fmt.Sprintf("%d would have been different", r.differ)
		if r.differ == 0 {
			verdict = "no difference"
		}
		p.printf("%s of %s folded twice, %s to %s: %s", count(r.targets, "target"), printable(r.file), slotText(r.first), slotText(r.last), verdict)
		p.outlooks(r.was, r.would, r.gone, r.added)
	}
	if n := len(r.unchecked); n > 0 {
		p.printf("%s of %s without checks in that time: %s", count(n, "target"), printable(r.file), namesText(r.unchecked))
	}
	if r.others > 0 {
		p.printf("%s with checks not in %s", count(r.others, "target"), printable(r.file))
	}
	if n := len(r.older); n > 0 {
		p.printf("%s with older checks that PostgreSQL does not keep any more; what these led to is where both begin: %s", count(n, "target"), namesText(r.older))
	}
	if n := len(r.stale); n > 0 {
		p.printf("%s", p.paint(red, fmt.Sprintf("%s whose transitions are not what the stored checks make: %s", count(n, "target"), namesText(r.stale))))
		p.printf(`hint: "webcheck verify" tells more, "webcheck replay --from start" reads the log once more`)
	}
}

// outlooks writes both outlooks side by side.
func (p *printer) outlooks(was, would processor.Outlook, gone, added int) {
	row := func(name, was, would, note string) {
		p.printf("%s", strings.TrimRight(fmt.Sprintf("  %-9s  %12s  %12s  %s", name, was, would, note), " "))
	}
	note := ""
	if gone+added > 0 {
		note = fmt.Sprintf("%d gone, %d new", gone, added)
	}
	row("", "as it was", "would be", "")
	row("incidents", fmt.Sprint(was.Incidents), fmt.Sprint(would.Incidents), "")
	row("pages", fmt.Sprint(was.Pages), fmt.Sprint(would.Pages), note)
	row("down", longText(was.DownMs), longText(would.DownMs), "")
	row("degraded", longText(was.DegradedMs), longText(would.DegradedMs), "")
	row("uptime", uptimeText(was), uptimeText(would), "")
}

func changeText(c processor.IncidentChange) string {
	switch {
	case len(c.Was) == 0:
		return incidentsText(c.Would)
	case len(c.Would) == 0:
		return incidentsText(c.Was)
	}
	return "was " + incidentsText(c.Was) + ", would be " + incidentsText(c.Would)
}

func incidentsText(incidents []processor.Incident) string {
	texts := make([]string, len(incidents))
	for i, incident := range incidents {
		texts[i] = "from " + slotText(incident.OpenedAt) + " on"
		if !incident.ClosedAt.IsZero() {
			texts[i] = slotText(incident.OpenedAt) + " for " + longText(incident.ClosedAt.Sub(incident.OpenedAt).Milliseconds())
		}
	}
	return strings.Join(texts, " and ")
}

func namesText(ids []string) string {
	shown := slices.Clone(ids[:min(len(ids), maxNames)])
	for i, id := range shown {
		shown[i] = printable(id)
	}
	text := strings.Join(shown, ", ")
	if more := len(ids) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// slotText is a slot in UTC, with milliseconds where it has some.
func slotText(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.999Z07:00") }

// longText writes milliseconds as formatDuration would, however many they are, and to the second from a minute on.
func longText(ms int64) string {
	dayMs := (24 * time.Hour).Milliseconds()
	days, rest := ms/dayMs, time.Duration(ms%dayMs)*time.Millisecond
	if ms >= time.Minute.Milliseconds() {
		rest = rest.Truncate(time.Second)
	}
	switch {
	case days == 0:
		return formatDuration(rest)
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	}
	return fmt.Sprintf("%dd%s", days, formatDuration(rest))
}

// uptimeText is the uptime in percent, rounded down, so that only what was never down has a hundred.
func uptimeText(o processor.Outlook) string {
	share, known := o.Uptime()
	if !known {
		return "-"
	}
	const thousandths, noise = 1e5, 1e-6 // the noise of a share such as 0.29
	percent := math.Floor(share*thousandths+noise) / 1e3
	if o.DownMs > 0 {
		percent = min(percent, 99.999)
	}
	return fmt.Sprintf("%.3f %%", percent)
}
