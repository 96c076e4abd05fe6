package prober

import (
	"bytes"
	"encoding/json"
	"time"

	"webcheck/gen/event"
)

// Definition returns the whole definition as canonical JSON: one line, keys sorted, those of the configuration file, with every
// value that is defined, default or not. As an item of a file's targets it is read as the same target.
func (t Target) Definition() string {
	status := make([]string, len(t.Status))
	for i, r := range t.Status {
		status[i] = r.String()
	}
	definition := map[string]any{
		"id": t.ID, "url": t.URL, "interval": t.Interval.String(), "timeout": t.Timeout.String(),
		"expect_status": status, "max_redirects": t.MaxRedirects,
		"rules": map[string]any{
			"down": t.Rules.down(), "up": t.Rules.up(), "quorum": t.Rules.quorum(),
			"flapping": t.Rules.flapping(), "silent_after": t.Rules.SilentAfter,
		},
	}
	if t.BodyMatches != nil {
		definition["body_matches"] = t.BodyMatches.String()
	}
	if len(t.Labels) > 0 {
		definition["labels"] = t.Labels
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)   // the text is for people and for YAML, not for a page
	_ = encoder.Encode(definition) // of texts and numbers, and into memory: neither fails
	return string(bytes.TrimSpace(b.Bytes()))
}

// defined returns the event that t, which is valid, is defined like this from at on.
func (t Target) defined(at time.Time) *event.TargetDefined {
	return &event.TargetDefined{
		TargetID:          t.ID,
		DefinitionVersion: t.Version(),
		DefinedAt:         at,
		URL:               t.URL,
		IntervalMs:        int32(t.Interval.Milliseconds()),
		TimeoutMs:         int32((t.Timeout + time.Millisecond - 1).Milliseconds()),
		DownAfter:         int32(t.Rules.DownAfter),
		DownOf:            int32(t.Rules.DownOf),
		UpAfter:           int32(t.Rules.UpAfter),
		UpOf:              int32(t.Rules.UpOf),
		Quorum:            int32(t.Rules.Quorum),
		FlapTransitions:   int32(t.Rules.FlapTransitions),
		FlapWindowS:       int32(t.Rules.FlapWindow / time.Second),
		SilentAfter:       int32(t.Rules.SilentAfter),
		Definition:        t.Definition(),
	}
}
