package prober

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of a target; [NewTarget] sets them.
const (
	// DefaultInterval finds an outage within a minute and asks no site to serve a noticeable number of requests.
	DefaultInterval = time.Minute
	// DefaultTimeout is longer than the slowest page that people wait for, and short enough to fit most intervals.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxRedirects is what browsers' users meet at most (scheme, host, language, login) twice over; net/http has 10 too.
	DefaultMaxRedirects = 10
	// DefaultRetryGap lets a server that restarts a worker, or drops one packet, come back, and fits DefaultTimeout.
	DefaultRetryGap = time.Second
)

// What a target's IPFamily may be.
const (
	AnyFamily = "any"
	IPv4      = "ipv4"
	IPv6      = "ipv6"
)

// What a target's HTTPVersion may be. HTTP11 is also spoken where the target answers as HTTP/1.0 does.
const (
	AnyVersion = "any"
	HTTP11     = "1.1"
	HTTP2      = "2"
)

// Bounds of a target; [Target.Validate] holds them.
const (
	// MinInterval keeps one target from being a load test, and slots in whole milliseconds far apart.
	MinInterval = 100 * time.Millisecond
	// MaxInterval is a day: less often than that nobody watches, and a restart would look like an outage of the prober.
	MaxInterval = 24 * time.Hour
	// MaxTimeout keeps the phases of a check, which are 32 bit numbers of microseconds, from overflowing at 35 minutes.
	MaxTimeout = 30 * time.Minute
	// MaxRedirectLimit is far above what any site needs; more only makes a loop cost more.
	MaxRedirectLimit = 50
	// MaxURLBytes is what servers and proxies commonly take for a request line.
	MaxURLBytes = 2048
	// MaxBodyRegexBytes and MaxRegexSteps bound the time that one match over [MaxBodyBytes] can take, which RE2 makes
	// proportional to that and to the steps of the regex: its characters, each as often as it may be repeated.
	MaxBodyRegexBytes = 1024
	MaxRegexSteps     = 2000
	// MaxLabels, MaxLabelBytes bound what people attach to a target.
	MaxLabels     = 32
	MaxLabelBytes = 256
	// MaxHeaders, MaxHeaderValueBytes bound the headers that are sent and those that are looked at, each by itself; a definition
	// is kept by every prober.
	MaxHeaders          = 32
	MaxHeaderValueBytes = 1024
	// MaxRequestBodyBytes is more than a query or a sign-in needs.
	MaxRequestBodyBytes = 16 << 10
	// MaxReferenceBytes bounds where a secret is.
	MaxReferenceBytes = 256
	// MaxCertificateDays is ten years, longer than any authority signs for.
	MaxCertificateDays = 3650
	// MaxRetries keeps a check from being an attack on a target that is down.
	MaxRetries = 10
)

// Target is what is watched. Every field means what it holds: [NewTarget] gives one with all the defaults. Durations
// are of the wall clock.
type Target struct {
	// ID is the slug that people choose: [a-z0-9][a-z0-9._-]{0,62}. It is part of every event and of its id.
	ID string
	// URL is absolute and without user name and password. Its scheme says what a check is: http and https ask for it,
	// tcp://host:port connects, tls://host:port shakes hands, and dns://resolver/name?type=A asks that resolver, or the
	// system's where none is named (RFC 4501).
	URL string
	// Interval is the time between two slots, from MinInterval to MaxInterval in whole milliseconds.
	Interval time.Duration
	// Timeout is for the whole check, from name resolution to the end of the body, over all redirects and retries; more than
	// 0 and at most Interval and MaxTimeout.
	Timeout time.Duration
	// Status holds the codes of the final response that are fine; at least one range.
	Status []StatusRange
	// BodyMatches must match the first MaxBodyBytes of the final response's body; nil asks nothing of it.
	BodyMatches *regexp.Regexp
	// MaxRedirects is how many redirects are followed. With 0 none is, and a redirect's own status is judged.
	MaxRedirects int
	// Labels are for people; the prober only counts them into the version.
	Labels map[string]string
	// Rules say how the target's state follows from its checks; the prober publishes them and counts them into the version.
	Rules Rules
	// Method is what the URL is asked with, in capitals. A redirect may change it (RFC 9110, 15.4).
	Method string
	// Headers are sent with every request to the URL's host, Host instead of the URL's own. At most MaxHeaders.
	Headers map[string]string
	// SecretHeaders are more of them, each with the reference of its value: env:NAME or file:/path. They, BasicAuth,
	// BearerToken and Body are not sent to another host that the target redirects to.
	SecretHeaders map[string]string
	// Body is sent with the request, or over a tcp connection, whole and as it is; at most MaxRequestBodyBytes.
	Body string
	// BasicAuth signs in, unless both of its fields are empty.
	BasicAuth BasicAuth
	// BearerToken is the reference of a token to sign in with; empty for none.
	BearerToken string
	// BodyNotMatches must not match what BodyMatches is held against; nil asks nothing of it.
	BodyNotMatches *regexp.Regexp
	// HeaderMatches must each match one of the values that the final response has of that header.
	HeaderMatches map[string]*regexp.Regexp
	// MaxLatency is how long the attempt may take until the target is degraded; less than Timeout, and 0 for no bound.
	MaxLatency time.Duration
	// CertificateDays is how many days a certificate must be valid still, or the target is degraded; from 0 to MaxCertificateDays.
	CertificateDays int
	// IPFamily is AnyFamily, IPv4 or IPv6: the addresses that are tried.
	IPFamily string
	// HTTPVersion is AnyVersion, HTTP11 or HTTP2: what is spoken.
	HTTPVersion string
	// Proxy is the http://host:port that is asked instead of the target; empty for none. Nothing is taken from the environment.
	Proxy string
	// Retries is how many more attempts the slot has while the target is down, from 0 to MaxRetries. The last one's result stands.
	Retries int
	// RetryGap is the time between two attempts, from 0 to Timeout.
	RetryGap time.Duration
	// TLSVerify is false where any certificate will do; its expiry is seen all the same.
	TLSVerify bool
	// Paused is true while the target is not to be checked.
	Paused bool
}

// BasicAuth is a user and the reference of the password (RFC 7617): env:NAME or file:/path.
type BasicAuth struct{ User, Password string }

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// String writes the range as people do: 200, or 200-299.
func (r StatusRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return strconv.Itoa(r.Low) + "-" + strconv.Itoa(r.High)
}

// DefaultStatus returns the codes that are fine when nothing is said: 200-299.
func DefaultStatus() []StatusRange { return []StatusRange{{Low: 200, High: 299}} }

// DefaultTimeoutFor returns the timeout of a target with that interval when nothing is said: DefaultTimeout, or the
// interval where that is shorter.
func DefaultTimeoutFor(interval time.Duration) time.Duration { return min(DefaultTimeout, interval) }

// NewTarget returns a target with every default.
func NewTarget(id, url string) Target {
	return Target{
		ID: id, URL: url,
		Interval: DefaultInterval, Timeout: DefaultTimeoutFor(DefaultInterval),
		Status: DefaultStatus(), MaxRedirects: DefaultMaxRedirects, Rules: DefaultRules(),
		Method: http.MethodGet, IPFamily: AnyFamily, HTTPVersion: AnyVersion, RetryGap: DefaultRetryGap, TLSVerify: true,
	}
}

// expects reports whether the final status is one of those that are fine.
func (t *Target) expects(status int) bool {
	return slices.ContainsFunc(t.Status, func(r StatusRange) bool { return r.Low <= status && status <= r.High })
}

// statusText writes the expected codes as the definition does.
func (t *Target) statusText() string {
	texts := make([]string, len(t.Status))
	for i, r := range t.Status {
		texts[i] = r.String()
	}
	return strings.Join(texts, ",")
}

// parsedURL is the URL of a target that is valid.
func (t *Target) parsedURL() (*url.URL, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the URL of target %q", t.ID) // the cause would quote the URL, secrets and all
	}
	return u, nil
}

// host is what a bound of checks per host counts by: host and port of the URL.
func (t *Target) host() string {
	u, err := t.parsedURL()
	if err != nil {
		return ""
	}
	return u.Host
}
