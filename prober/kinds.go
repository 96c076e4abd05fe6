package prober

import (
	"context"
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
	// ask asks the target whose URL is u, and fills o.
	ask func(c *checker, ctx context.Context, t *Target, u *url.URL, o *observation) error
}

// kinds are all there are, by scheme.
var kinds = map[string]*kind{
	"http":  {fields: requestFields, problem: func(*url.URL) string { return "" }, ask: (*checker).askHTTP},
	"https": {fields: slices.Concat(requestFields, certificateFields), problem: func(*url.URL) string { return "" }, ask: (*checker).askHTTP},
	"tcp":   {fields: []string{"body", "body_matches", "body_not_matches"}, problem: notHostAndPort, ask: (*checker).askTCP},
	"tls":   {fields: certificateFields, problem: notHostAndPort, ask: (*checker).askTLS},
	"dns":   {fields: []string{"body_matches", "body_not_matches"}, problem: notQuestion, ask: (*checker).askDNS},
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

// notQuestion takes names that are not longer than DNS lets them be (RFC 1035, 2.3.4).
func notQuestion(u *url.URL) string {
	name, kind := question(u)
	switch {
	case !isName(asciiHost(name)) || u.Host != "" && u.Hostname() == "":
		return "must name what to resolve, as in dns:///example.com?type=AAAA or dns://9.9.9.9/example.com"
	case dnsTypes[kind] == 0 || u.RawQuery != "" && u.RawQuery != "type="+u.Query().Get("type") || u.Fragment != "":
		return "may only have ?type= behind the name, with one of " + strings.Join(sortedKeys(dnsTypes), ", ")
	}
	return ""
}

func isName(name string) bool {
	isBad := func(label string) bool { return label == "" || len(label) > 63 || strings.ContainsAny(label, "/ ") }
	return len(name) <= 253 && !slices.ContainsFunc(strings.Split(name, "."), isBad)
}

// question returns the name that a dns URL asks for, without a dot at its end, and the type of the records.
func question(u *url.URL) (name, kind string) {
	kind = strings.ToUpper(u.Query().Get("type"))
	if kind == "" {
		kind = "A"
	}
	return strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "."), kind
}
