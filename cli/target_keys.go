package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"webcheck/prober"
)

// targetKeys are the keys of a target in the file, in the order of the example.
var targetKeys = []string{
	"id", "url", "interval", "timeout", "expect_status", "body_matches", "max_redirects", "labels", "rules",
	"method", "headers", "secret_headers", "body", "basic_auth", "bearer_token", "body_not_matches", "header_matches",
	"max_latency", "certificate_days", "ip_family", "http_version", "proxy", "retries", "retry_gap", "tls_verify", "paused",
}

// readRequestScalar reads the keys of one text that say how a target is asked.
func (r *targetReader) readRequestScalar(key, text string) error {
	t := &r.target
	switch key {
	case "method":
		t.Method = text
	case "body":
		t.Body = text
	case "bearer_token":
		t.BearerToken = text
	case "body_not_matches":
		return readRegex(text, &t.BodyNotMatches)
	case "max_latency":
		return readDuration(text, &t.MaxLatency)
	case "certificate_days":
		return readNumber(text, &t.CertificateDays)
	case "ip_family":
		t.IPFamily = text
	case "http_version":
		t.HTTPVersion = text
	case "proxy":
		t.Proxy = text
	case "retries":
		return readNumber(text, &t.Retries)
	case "retry_gap":
		return readDuration(text, &t.RetryGap)
	case "tls_verify":
		return readSwitch(text, &t.TLSVerify)
	case "paused":
		return readSwitch(text, &t.Paused)
	}
	return nil
}

// readTexts returns the texts of a mapping by their keys, each with a place of its own; none where there are none.
func (r *targetReader) readTexts(key, field string, value ast.Node, known []string) map[string]string {
	var texts map[string]string
	r.d.mapping(value, field, known, func(name string, at *token.Token, value ast.Node) {
		if texts == nil {
			texts = make(map[string]string)
		}
		r.places[key+"."+name] = startOf(value)
		texts[name] = r.d.scalar(value, at, field+"."+name)
	})
	return texts
}

func (r *targetReader) readBasicAuth(field string, value ast.Node) {
	texts := r.readTexts("basic_auth", field, value, []string{"user", "password"})
	r.target.BasicAuth = prober.BasicAuth{User: texts["user"], Password: texts["password"]}
}

func (r *targetReader) readHeaderMatches(field string, value ast.Node) {
	for name, text := range r.readTexts("header_matches", field, value, nil) {
		var pattern *regexp.Regexp
		if err := readRegex(text, &pattern); err != nil {
			r.d.fault(r.places["header_matches."+name], field+"."+name, "%s", err.Error())
			continue
		}
		if r.target.HeaderMatches == nil {
			r.target.HeaderMatches = make(map[string]*regexp.Regexp)
		}
		r.target.HeaderMatches[name] = pattern
	}
}

// readRegex leaves what is there where the text is no regular expression.
func readRegex(text string, into **regexp.Regexp) error {
	pattern, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("%q is not a regular expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	*into = pattern
	return nil
}

func readSwitch(text string, into *bool) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	*into = text == "true"
	return nil
}
