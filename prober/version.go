package prober

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// versionDomain keeps versions apart from every other hash. A new canonical form would need a new one.
const versionDomain = "webcheck target 1\n"

// Version returns the first 12 hex digits of the SHA-256 of the definition's canonical form: one line a field, in a fixed
// order, with the length of its value before it, durations in nanoseconds, status ranges and labels sorted. It is stored
// with every event for ever, so the form never changes for what it covers now: a field that comes later is written only
// where it differs from its default.
func (t Target) Version() string {
	var b strings.Builder
	b.WriteString(versionDomain)
	line := func(name, value string) { fmt.Fprintf(&b, "%s %d:%s\n", name, len(value), value) }
	line("id", t.ID)
	line("url", t.URL)
	line("interval", fmt.Sprint(t.Interval.Nanoseconds()))
	line("timeout", fmt.Sprint(t.Timeout.Nanoseconds()))
	for _, r := range slices.SortedFunc(slices.Values(t.Status), func(a, b StatusRange) int {
		return cmp.Or(a.Low-b.Low, a.High-b.High)
	}) {
		line("expect_status", fmt.Sprintf("%d-%d", r.Low, r.High))
	}
	if t.BodyMatches != nil {
		line("body_matches", t.BodyMatches.String())
	}
	line("max_redirects", fmt.Sprint(t.MaxRedirects))
	for _, key := range sortedKeys(t.Labels) {
		line("label", key)
		line("value", t.Labels[key])
	}
	t.Rules.versionLines(line)
	hash := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(hash[:6])
}
