package prober

import (
	"fmt"
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
	// MaxBodyRegexBytes bounds the time that one match over [MaxBodyBytes] can take, which RE2 makes proportional to both.
	MaxBodyRegexBytes = 1024
	// MaxLabels, MaxLabelBytes bound what people attach to a target.
	MaxLabels     = 32
	MaxLabelBytes = 256
)

// Target is what is watched. Every field means what it holds: [NewTarget] gives one with all the defaults. Durations
// are of the wall clock.
type Target struct {
	// ID is the slug that people choose: [a-z0-9][a-z0-9._-]{0,62}. It is part of every event and of its id.
	ID string
	// URL is absolute, http or https, without user name and password. It is asked with GET.
	URL string
	// Interval is the time between two slots, from MinInterval to MaxInterval in whole milliseconds.
	Interval time.Duration
	// Timeout is for the whole check, from name resolution to the end of the body and over all redirects; more than 0
	// and at most Interval and MaxTimeout.
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
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// String writes the range as people do: 200, or 200-299.
func (r StatusRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
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
