package prober

import (
	"net/url"
	"slices"
	"strings"
)

// kind is what the scheme of a target's URL makes of a check.
type kind struct {
	// fields are those of a target that say something to this kind only, or to a few; the others say something to all.
	fields []string
	// problem is what is wrong with a URL that is one and has the scheme, as the rest of a sentence; empty when nothing is.
	problem func(*url.URL) string
}

// kinds are all there are, by scheme.
var kinds = map[string]*kind{
	"http":  {fields: requestFields, problem: func(*url.URL) string { return "" }},
	"https": {fields: slices.Concat(requestFields, certificateFields), problem: func(*url.URL) string { return "" }},
	"tcp":   {fields: []string{"body", "body_matches", "body_not_matches"}, problem: notHostAndPort},
	"tls":   {fields: certificateFields, problem: notHostAndPort},
	"dns":   {fields: []string{"body_matches", "body_not_matches"}, problem: notQuestion},
}

var (
	requestFields = []string{
		"expect_status", "body_matches", "max_redirects", "method", "headers", "secret_headers", "body", "basic_auth", "bearer_token",
		"body_not_matches", "header_matches", "http_version", "proxy", "certificate_days", "tls_verify", // the last two after a redirect to https
	}
	certificateFields = []string{"certificate_days", "tls_verify"}
)

func notHostAndPort(u *url.URL) string {
	if u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "must have a host and a port and nothing behind them, as in " + u.Scheme + "://example.com:443"
	}
	return ""
}

// dnsTypes are the types of records that can be asked for.
var dnsTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA"}

func notQuestion(u *url.URL) string {
	name, kind := question(u)
	switch {
	case name == "" || strings.Contains(name, "/") || len(name) > 255:
		return "must name what to resolve, as in dns:///example.com?type=AAAA or dns://9.9.9.9/example.com"
	case !slices.Contains(dnsTypes, kind) || u.RawQuery != "" && u.RawQuery != "type="+u.Query().Get("type") || u.Fragment != "":
		return "may only have ?type= behind the name, with one of " + strings.Join(dnsTypes, ", ")
	}
	return ""
}

// question returns the name that a dns URL asks for, without a dot at its end, and the type of the records.
func question(u *url.URL) (name, kind string) {
	kind = strings.ToUpper(u.Query().Get("type"))
	if kind == "" {
		kind = "A"
	}
	return strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "."), kind
}
