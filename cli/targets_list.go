package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	urfave "github.com/urfave/cli/v2"

	"webcheck/prober"
)

// The states of a target's definition.
const (
	stateActive     = "active"
	statePaused     = "paused"
	stateUnreadable = "unreadable" // by this build, or by any
)

// maxURLWidth keeps one long URL from pushing all lines to the right.
const maxURLWidth = 48

func (p *program) targetsListCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "list",
		Usage:       "list the targets of the topic",
		Description: "Examples:\n  webcheck targets list\n  webcheck targets list --label team=web --paused --json",
		Flags: flags([]urfave.Flag{
			labelFlag("list"),
			&urfave.BoolFlag{Name: "paused", Usage: "list those that are paused", DisableDefaultText: true},
			jsonFlag("each target"),
		}, logSections),
		Before: noArguments, Action: p.listTargets,
	}
}

func (p *program) listTargets(c *urfave.Context) error {
	filter, err := readLabelFilter(c)
	if err != nil {
		return err
	}
	_, known, err := p.known(c, false)
	if err != nil {
		return err
	}
	var list []listedTarget
	for _, d := range definedTargets(known) {
		t := describeTarget(d)
		if filter.fits(t.fields) && (!c.Bool("paused") || t.State == statePaused) {
			list = append(list, t)
		}
	}
	out := newPrinter(p.Stdout, p.Env)
	if !c.Bool("json") {
		out.targets(list)
		return nil
	}
	for _, t := range list {
		if err := out.json(t); err != nil {
			return err
		}
	}
	return nil
}

// listedTarget is a target of the topic, as JSON too.
type listedTarget struct {
	ID         string            `json:"id"`
	State      string            `json:"state"`
	URL        string            `json:"url,omitempty"`
	Interval   string            `json:"interval,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Version    string            `json:"version,omitempty"`
	DefinedAt  time.Time         `json:"defined_at"`
	Position   string            `json:"position"`
	Cause      string            `json:"cause,omitempty"` // why it is unreadable
	Definition json.RawMessage   `json:"definition,omitempty"`

	fields map[string]any
}

// describeTarget says what a record defines, as far as it can be read.
func describeTarget(d prober.Defined) listedTarget {
	t := listedTarget{ID: d.ID, State: stateActive, URL: d.URL, Version: d.Version, DefinedAt: d.At.UTC(), Position: positionOf(d)}
	cause := d.Cause
	if cause == nil {
		_, cause = prober.ParseDefinition(d.Definition)
		t.fields, _ = readFields(d.Definition) // where that is no JSON, the cause says so
	}
	if interval, is := t.fields["interval"].(string); is {
		t.Interval = shortDuration(interval)
	}
	if labels, is := t.fields["labels"].(map[string]any); is {
		t.Labels = make(map[string]string, len(labels))
		for key, value := range labels {
			t.Labels[key] = fmt.Sprint(value)
		}
	}
	switch {
	case cause != nil:
		t.State, t.Cause = stateUnreadable, cause.Error()
	case t.fields["paused"] == true:
		t.State = statePaused
	}
	return t
}

// targets writes a line for each target.
func (p *printer) targets(list []listedTarget) {
	if len(list) == 0 {
		p.printf("there is no such target")
		return
	}
	id, url := len("id"), len("url")
	for _, t := range list {
		id = max(id, min(maxIDWidth, utf8.RuneCountInString(printable(t.ID))))
		url = max(url, min(maxURLWidth, utf8.RuneCountInString(printable(t.URL))))
	}
	p.printf("%-*s  %-*s  %8s  %-10s  %-12s  %-20s  %s", id, "id", url, "url", "interval", "state", "version", "defined", "labels")
	for _, t := range list {
		colour := map[string]string{stateActive: green, statePaused: yellow}[t.State]
		if colour == "" {
			colour = red
		}
		line := fmt.Sprintf("%-*s  %-*s  %8s  %s  %-12s  %-20s  %s", id, printable(t.ID), url, shortened(printable(t.URL), maxURLWidth),
			printable(t.Interval), p.paint(colour, fmt.Sprintf("%-10s", t.State)), printable(t.Version), t.DefinedAt.Format(time.RFC3339), labelsText(t.Labels))
		p.printf("%s", strings.TrimRight(line, " "))
	}
}

// labelsText writes labels as --label takes them.
func labelsText(labels map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, printable(key+"="+labels[key]))
	}
	return strings.Join(parts, " ")
}
