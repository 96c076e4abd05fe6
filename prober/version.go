package prober

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
)

// versionDomain keeps versions apart from every other hash. A new canonical form would need a new one.
const versionDomain = "webcheck target 1\n"

// Version returns the first 12 hex digits of the SHA-256 of the definition's canonical form: one line a field, in a fixed
// order, with the length of its value before it, durations in nanoseconds, status ranges and labels sorted. It is stored
// with every event for ever, so the form never changes for what it covers now: a field that comes later is written only
// where it differs from its default.
func (t Target) Version() string {
	var few [1024]byte // on the stack, and enough for most
	b := append(few[:0], versionDomain...)
	line := func(name, value string) {
		b = append(append(b, name...), ' ')
		b = append(strconv.AppendInt(b, int64(len(value)), 10), ':')
		b = append(append(b, value...), '\n')
	}
	line("id", t.ID)
	line("url", t.URL)
	line("interval", strconv.FormatInt(t.Interval.Nanoseconds(), 10))
	line("timeout", strconv.FormatInt(t.Timeout.Nanoseconds(), 10))
	for _, r := range slices.SortedFunc(slices.Values(t.Status), func(a, b StatusRange) int {
		return cmp.Or(a.Low-b.Low, a.High-b.High)
	}) {
		line("expect_status", strconv.Itoa(r.Low)+"-"+strconv.Itoa(r.High))
	}
	if t.BodyMatches != nil {
		line("body_matches", t.BodyMatches.String())
	}
	line("max_redirects", strconv.Itoa(t.MaxRedirects))
	for _, key := range sortedKeys(t.Labels) {
		line("label", key)
		line("value", t.Labels[key])
	}
	t.Rules.versionLines(line)
	t.requestLines(line)
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:6])
}

// requestLines calls line for each field that came after the rules and is not at its default.
func (t Target) requestLines(line func(name, value string)) {
	for _, field := range [...]struct{ name, is, usual string }{
		{"method", t.Method, http.MethodGet},
		{"body", t.Body, ""},
		{"user", t.BasicAuth.User, ""},
		{"password", t.BasicAuth.Password, ""},
		{"bearer_token", t.BearerToken, ""},
		{"ip_family", t.IPFamily, AnyFamily},
		{"http_version", t.HTTPVersion, AnyVersion},
		{"proxy", t.Proxy, ""},
	} {
		if field.is != field.usual {
			line(field.name, field.is)
		}
	}
	for _, field := range [...]struct {
		name      string
		is, usual int64
	}{
		{"max_latency", t.MaxLatency.Nanoseconds(), 0},
		{"certificate_days", int64(t.CertificateDays), 0},
		{"retries", int64(t.Retries), 0},
		{"retry_gap", t.RetryGap.Nanoseconds(), DefaultRetryGap.Nanoseconds()},
	} {
		if field.is != field.usual {
			line(field.name, strconv.FormatInt(field.is, 10))
		}
	}
	t.pairLines(line)
	if t.BodyNotMatches != nil {
		line("body_not_matches", t.BodyNotMatches.String())
	}
	if !t.TLSVerify {
		line("tls_verify", "false")
	}
	if t.Paused {
		line("paused", "true")
	}
}

// pairLines calls line twice for each header.
func (t Target) pairLines(line func(name, value string)) {
	for _, name := range sortedKeys(t.Headers) {
		line("header", name)
		line("value", t.Headers[name])
	}
	for _, name := range sortedKeys(t.SecretHeaders) {
		line("secret_header", name)
		line("reference", t.SecretHeaders[name])
	}
	for _, name := range sortedKeys(t.HeaderMatches) {
		line("header_matches", name)
		line("regex", t.HeaderMatches[name].String())
	}
}
