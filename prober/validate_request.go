package prober

import (
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	method = regexp.MustCompile(`^[A-Z]{1,20}$`)
	// headerName is a token (RFC 9110, 5.6.2).
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")
	// hostHeader is what a request line's host may look like: net/http would refuse others when the check is under way.
	hostHeader = regexp.MustCompile(`^([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	reference  = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00-\x1f\x7f]+)$`)
)

// ownHeaders are those that a connection needs to be read right, so the check sets them by itself.
var ownHeaders = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// credentialHeaders hold what a definition must not.
var credentialHeaders = []string{"Authorization", "Proxy-Authorization"}

// validateRequest looks at the fields that say how a target is asked. No message holds a value that may be a secret by mistake.
func (t Target) validateRequest(f *faults) {
	t.validateKind(f)
	switch {
	case t.Method == http.MethodGet:
	case !method.MatchString(t.Method) || t.Method == http.MethodConnect:
		f.add("method", "is %q; it must be a method in capitals other than CONNECT, as in POST", t.Method)
	case t.Method == http.MethodHead && t.BodyMatches != nil:
		f.add("method", "is HEAD, whose answer has no body that could match")
	}
	t.validateHeaders(f)
	t.validateText(f)
	t.validateSignIn(f)
	if t.BodyNotMatches != nil {
		validateRegex(f, "body_not_matches", t.BodyNotMatches.String())
	}
	for i, name := range sortedKeys(t.HeaderMatches) {
		if i == MaxHeaders {
			f.add("header_matches", "has %d headers; it must have at most %d", len(t.HeaderMatches), MaxHeaders)
		}
		validateHeaderName(f, "header_matches", name)
		validateRegex(f, "header_matches."+name, t.HeaderMatches[name].String())
	}
	t.validateLimits(f)
	t.validateWay(f)
	t.validateRetries(f)
}

// validateKind finds fields that are set and mean nothing to a target of this scheme.
func (t Target) validateKind(f *faults) {
	scheme, _, _ := strings.Cut(t.URL, ":")
	kind := kinds[strings.ToLower(scheme)]
	if kind == nil {
		return
	}
	for _, field := range [...]struct {
		name  string
		isSet bool
	}{
		{"expect_status", len(t.Status) > 0 && !isDefaultStatus(t.Status)},
		{"body_matches", t.BodyMatches != nil},
		{"max_redirects", t.MaxRedirects != DefaultMaxRedirects},
		{"method", t.Method != http.MethodGet && t.Method != ""},
		{"headers", len(t.Headers) > 0},
		{"secret_headers", len(t.SecretHeaders) > 0},
		{"body", t.Body != ""},
		{"basic_auth", t.BasicAuth != BasicAuth{}},
		{"bearer_token", t.BearerToken != ""},
		{"body_not_matches", t.BodyNotMatches != nil},
		{"header_matches", len(t.HeaderMatches) > 0},
		{"certificate_days", t.CertificateDays != 0},
		{"http_version", t.HTTPVersion != AnyVersion && t.HTTPVersion != ""},
		{"proxy", t.Proxy != ""},
		{"tls_verify", !t.TLSVerify},
	} {
		if field.isSet && !slices.Contains(kind.fields, field.name) {
			f.add(field.name, "means nothing to a target whose URL begins with %s://", scheme)
		}
	}
}

func isDefaultStatus(status []StatusRange) bool {
	return len(status) == 1 && status[0] == StatusRange{200, 299}
}

func (t Target) validateHeaders(f *faults) {
	if n := len(t.Headers) + len(t.SecretHeaders); n > MaxHeaders {
		f.add("headers", "are %d with those that are secret; they must be at most %d", n, MaxHeaders)
	}
	taken := make(map[string]bool)
	validate := func(field, name string) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !validateHeaderName(f, field, name):
		case slices.Contains(ownHeaders, canonical):
			f.add(field, "has %q, which the check sets by itself", name)
		case taken[canonical]:
			f.add(field, "has %q more than once", name)
		}
		taken[canonical] = true
	}
	for _, name := range sortedKeys(t.Headers) {
		validate("headers", name)
		value := t.Headers[name]
		switch {
		case slices.Contains(credentialHeaders, textproto.CanonicalMIMEHeaderKey(name)):
			f.add("headers."+name, "holds a credential; use basic_auth, bearer_token or secret_headers")
		case strings.EqualFold(name, "Host") && !hostHeader.MatchString(value):
			f.add("headers."+name, "is %q; it must be a host, or host:port", value)
		case len(value) > MaxHeaderValueBytes:
			f.add("headers."+name, "has %d bytes; it must have at most %d", len(value), MaxHeaderValueBytes)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value:
			f.add("headers."+name, "is %q; it must be printable UTF-8 without spaces around it", value)
		}
	}
	for _, name := range sortedKeys(t.SecretHeaders) {
		validate("secret_headers", name)
		if strings.EqualFold(name, "Host") {
			f.add("secret_headers", "has %q, which is no secret", name)
		}
		validateReference(f, "secret_headers."+name, t.SecretHeaders[name])
	}
	if (t.BearerToken != "" || t.BasicAuth != BasicAuth{}) && taken["Authorization"] {
		f.add("secret_headers", `has "Authorization" beside basic_auth or bearer_token`)
	}
}

func validateHeaderName(f *faults, field, name string) bool {
	if !headerName.MatchString(name) {
		f.add(field, "has the name %q; it must be 1 to 64 letters, digits, hyphens and the like", name)
		return false
	}
	return true
}

func validateReference(f *faults, field, text string) {
	if len(text) > MaxReferenceBytes || !utf8.ValidString(text) || !reference.MatchString(text) {
		f.add(field, "must say where the secret is, as env:NAME or file:/path, in at most %d bytes", MaxReferenceBytes)
	}
}

// validateText takes what YAML and PostgreSQL can hold.
func (t Target) validateText(f *faults) {
	isBad := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	switch {
	case len(t.Body) > MaxRequestBodyBytes:
		f.add("body", "has %d bytes; it must have at most %d", len(t.Body), MaxRequestBodyBytes)
	case !utf8.ValidString(t.Body) || strings.ContainsFunc(t.Body, isBad):
		f.add("body", "must be UTF-8 text, of whose control characters only line ends and tabs are taken")
	}
}

func (t Target) validateSignIn(f *faults) {
	if auth := t.BasicAuth; auth != (BasicAuth{}) {
		if auth.User == "" || len(auth.User) > MaxHeaderValueBytes || strings.Contains(auth.User, ":") || clean(auth.User, len(auth.User)) != auth.User {
			f.add("basic_auth.user", "is %q; it must be printable UTF-8 without a colon", auth.User)
		}
		validateReference(f, "basic_auth.password", auth.Password)
	}
	if t.BearerToken != "" {
		validateReference(f, "bearer_token", t.BearerToken)
		if (t.BasicAuth != BasicAuth{}) {
			f.add("bearer_token", "stands beside basic_auth; one of them must do")
		}
	}
}

func (t Target) validateLimits(f *faults) {
	switch {
	case t.MaxLatency < 0:
		f.add("max_latency", "is %v; it must be more than 0, or left out", t.MaxLatency)
	case t.MaxLatency > 0 && t.Timeout > 0 && t.MaxLatency >= t.Timeout:
		f.add("max_latency", "is %v; it must be less than the timeout, which is %v", t.MaxLatency, t.Timeout)
	}
	if t.CertificateDays < 0 || t.CertificateDays > MaxCertificateDays {
		f.add("certificate_days", "is %d; it must be from 0 to %d", t.CertificateDays, MaxCertificateDays)
	}
}

func (t Target) validateWay(f *faults) {
	if !slices.Contains([]string{AnyFamily, IPv4, IPv6}, t.IPFamily) {
		f.add("ip_family", "is %q; it must be any, ipv4 or ipv6", t.IPFamily)
	}
	switch {
	case !slices.Contains([]string{AnyVersion, HTTP11, HTTP2}, t.HTTPVersion):
		f.add("http_version", "is %q; it must be any, 1.1 or 2", t.HTTPVersion)
	case t.HTTPVersion == HTTP2 && strings.HasPrefix(t.URL, "http://"):
		f.add("http_version", "is 2, which needs a URL that begins with https://")
	}
	if t.Proxy == "" {
		return
	}
	u, err := url.Parse(t.Proxy)
	if err != nil || len(t.Proxy) > MaxURLBytes || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || !isPort(u.Port()) || t.Proxy != "http://"+u.Host {
		f.add("proxy", "must be http://host:port, without user and password")
	}
}

func (t Target) validateRetries(f *faults) {
	if t.Retries < 0 || t.Retries > MaxRetries {
		f.add("retries", "is %d; it must be from 0 to %d", t.Retries, MaxRetries)
		return
	}
	switch all := time.Duration(max(t.Retries, 1)) * t.RetryGap; {
	case t.RetryGap < 0:
		f.add("retry_gap", "is %v; it must be at least 0", t.RetryGap)
	case t.Retries > 0 && t.Timeout > 0 && (all >= t.Timeout || t.RetryGap > t.Timeout):
		f.add("retry_gap", "is %v; the gaps of %d retries must fit into the timeout, which is %v", t.RetryGap, t.Retries, t.Timeout)
	}
}
