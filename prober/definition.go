package prober

import (
	"bytes"
	"encoding/json"
	"regexp"
	"time"

	"webcheck/gen/event"
)

// definition is a target as canonical JSON has it: the keys of the configuration file, sorted.
type definition struct {
	BasicAuth       *definedAuth      `json:"basic_auth,omitempty"`
	BearerToken     string            `json:"bearer_token,omitempty"`
	Body            string            `json:"body,omitempty"`
	BodyMatches     *string           `json:"body_matches,omitempty"`
	BodyNotMatches  *string           `json:"body_not_matches,omitempty"`
	CertificateDays int               `json:"certificate_days,omitempty"`
	ExpectStatus    []string          `json:"expect_status"`
	HeaderMatches   map[string]string `json:"header_matches,omitempty"`
	Headers         map[string]string `json:"headers,omitempty"`
	HTTPVersion     string            `json:"http_version,omitempty"`
	ID              string            `json:"id"`
	Interval        string            `json:"interval"`
	IPFamily        string            `json:"ip_family,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	MaxLatency      string            `json:"max_latency,omitempty"`
	MaxRedirects    int               `json:"max_redirects"`
	Method          string            `json:"method,omitempty"`
	Paused          bool              `json:"paused,omitempty"`
	Proxy           string            `json:"proxy,omitempty"`
	Retries         int               `json:"retries,omitempty"`
	RetryGap        string            `json:"retry_gap,omitempty"`
	Rules           definedRules      `json:"rules"`
	SecretHeaders   map[string]string `json:"secret_headers,omitempty"`
	Timeout         string            `json:"timeout"`
	TLSVerify       *bool             `json:"tls_verify,omitempty"`
	URL             string            `json:"url"`
}

type definedAuth struct {
	Password string `json:"password"`
	User     string `json:"user"`
}

type definedRules struct {
	Down        string `json:"down"`
	Flapping    string `json:"flapping"`
	Quorum      any    `json:"quorum"`
	SilentAfter int    `json:"silent_after"`
	Up          string `json:"up"`
}

// Definition returns the whole definition as canonical JSON: one line, keys sorted, those of the configuration file, with every
// value that was defined from the first version on, default or not, and those that came later where they are not at their
// default. As an item of a file's targets it is read as the same target; [ParseDefinition] reads it alone.
func (t Target) Definition() string {
	usual := NewTarget("", "")
	d := definition{
		ID: t.ID, URL: t.URL, Interval: t.Interval.String(), Timeout: t.Timeout.String(), MaxRedirects: t.MaxRedirects,
		Rules: definedRules{
			Down: t.Rules.down(), Up: t.Rules.up(), Quorum: t.Rules.quorum(), Flapping: t.Rules.flapping(), SilentAfter: t.Rules.SilentAfter,
		},
		BodyMatches: textOf(t.BodyMatches), BodyNotMatches: textOf(t.BodyNotMatches), Labels: t.Labels,
		Headers: t.Headers, SecretHeaders: t.SecretHeaders, Body: t.Body, BearerToken: t.BearerToken,
		Method: unless(usual.Method, t.Method), IPFamily: unless(usual.IPFamily, t.IPFamily), HTTPVersion: unless(usual.HTTPVersion, t.HTTPVersion),
		MaxLatency: unless("0s", t.MaxLatency.String()), CertificateDays: t.CertificateDays, Proxy: t.Proxy, Paused: t.Paused,
		Retries: t.Retries, RetryGap: unless(usual.RetryGap.String(), t.RetryGap.String()),
	}
	for _, r := range t.Status {
		d.ExpectStatus = append(d.ExpectStatus, r.String())
	}
	if (t.BasicAuth != BasicAuth{}) {
		d.BasicAuth = &definedAuth{User: t.BasicAuth.User, Password: t.BasicAuth.Password}
	}
	if !t.TLSVerify {
		d.TLSVerify = &t.TLSVerify
	}
	for name, pattern := range t.HeaderMatches {
		if d.HeaderMatches == nil {
			d.HeaderMatches = make(map[string]string, len(t.HeaderMatches))
		}
		d.HeaderMatches[name] = pattern.String()
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // the text is for people and for YAML, not for a page
	_ = encoder.Encode(d)        // of texts and numbers, and into memory: neither fails
	return string(bytes.TrimSpace(b.Bytes()))
}

// unless returns text, or nothing where it is the usual one.
func unless(usual, text string) string {
	if text == usual {
		return ""
	}
	return text
}

func textOf(pattern *regexp.Regexp) *string {
	if pattern == nil {
		return nil
	}
	return new(pattern.String())
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
