package prober

import (
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// FieldError is one fault of a target.
type FieldError struct {
	// Field is the name of the field in the configuration file: id, url, interval, timeout, expect_status, body_matches,
	// max_redirects, labels, labels.<key>, rules.<key>, or one of those of [Target.Validate] that say how a target is asked.
	Field string
	// Message goes on after the field's name: "is 50ms; it must be at least 100ms". It never holds the URL.
	Message string
}

// Error returns field and message.
func (e FieldError) Error() string { return e.Field + ": " + e.Message }

// slug is the form of ids, locations and keys of labels: fit for file names, URLs, metrics and the command line.
var slug = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

const slugRule = "must be 1 to 63 of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or digit"

// faults collects what is wrong.
type faults []FieldError

func (f *faults) add(field, format string, arguments ...any) {
	*f = append(*f, FieldError{Field: field, Message: fmt.Sprintf(format, arguments...)})
}

// Validate returns every fault of t, in the order of its fields; none when t can be checked.
func (t Target) Validate() []FieldError {
	var f faults
	if !slug.MatchString(t.ID) {
		f.add("id", "is %q; it %s", t.ID, slugRule)
	}
	t.validateURL(&f)
	t.validateTimes(&f)
	t.validateStatus(&f)
	if t.BodyMatches != nil {
		validateRegex(&f, "body_matches", t.BodyMatches.String())
	}
	if t.MaxRedirects < 0 || t.MaxRedirects > MaxRedirectLimit {
		f.add("max_redirects", "is %d; it must be from 0 to %d", t.MaxRedirects, MaxRedirectLimit)
	}
	t.validateLabels(&f)
	t.Rules.validate(&f)
	t.validateRequest(&f)
	return f
}

// validateURL quotes nothing of the URL: a wrong one may hold a password in a place where nobody looks for it.
func (t Target) validateURL(f *faults) {
	if len(t.URL) > MaxURLBytes {
		f.add("url", "has %d bytes; it must have at most %d", len(t.URL), MaxURLBytes)
		return
	}
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Opaque != "" || kinds[u.Scheme] == nil || u.Hostname() == "" && u.Scheme != "dns":
		f.add("url", "must be absolute and begin with http://, https://, tcp://, tls:// or dns://, as in https://example.com/health")
	case u.User != nil:
		f.add("url", "holds a user name or password; events and logs must not")
	case u.Port() != "" && !isPort(u.Port()):
		f.add("url", "has port %q; it must be from 1 to 65535", u.Port())
	case !utf8.ValidString(t.URL):
		f.add("url", "is not valid UTF-8")
	default:
		if problem := kinds[u.Scheme].problem(u); problem != "" {
			f.add("url", "%s", problem)
		}
	}
}

func isPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && 1 <= port && port <= 65535
}

func (t Target) validateTimes(f *faults) {
	switch {
	case t.Interval < MinInterval:
		f.add("interval", "is %v; it must be at least %v", t.Interval, MinInterval)
	case t.Interval > MaxInterval:
		f.add("interval", "is %v; it must be at most %v", t.Interval, MaxInterval)
	case t.Interval%time.Millisecond != 0:
		f.add("interval", "is %v; it must be whole milliseconds", t.Interval)
	}
	switch {
	case t.Timeout <= 0:
		f.add("timeout", "is %v; it must be more than 0", t.Timeout)
	case t.Timeout > MaxTimeout:
		f.add("timeout", "is %v; it must be at most %v", t.Timeout, MaxTimeout)
	case t.Interval >= MinInterval && t.Timeout > t.Interval:
		f.add("timeout", "is %v; it must be at most the interval, which is %v", t.Timeout, t.Interval)
	}
}

func (t Target) validateStatus(f *faults) {
	if len(t.Status) == 0 {
		f.add("expect_status", "is empty; it must have at least one status, as in 200-299")
	}
	for _, r := range t.Status {
		if r.Low < 100 || r.High > 599 || r.Low > r.High {
			f.add("expect_status", "has %q; a range must go up within 100 to 599", r)
		}
	}
}

func validateRegex(f *faults, field, text string) {
	switch {
	case len(text) > MaxBodyRegexBytes:
		f.add(field, "has %d bytes; it must have at most %d", len(text), MaxBodyRegexBytes)
	case strings.ContainsFunc(text, unicode.IsControl):
		f.add(field, `holds a control character; write it as an escape, as in \n or \x00`)
	default:
		if parsed, err := syntax.Parse(text, syntax.Perl); err == nil && steps(parsed) > MaxRegexSteps {
			f.add(field, "repeats so much that it has %d steps; it must have at most %d", steps(parsed), MaxRegexSteps)
		}
	}
}

// steps is how long a regex is when its repetitions are written out.
func steps(r *syntax.Regexp) int {
	n := 1
	if r.Op == syntax.OpLiteral {
		n = len(r.Rune)
	}
	for _, part := range r.Sub {
		n += steps(part)
	}
	if r.Op == syntax.OpRepeat {
		n *= max(r.Min+1, r.Max)
	}
	return n
}

func (t Target) validateLabels(f *faults) {
	if len(t.Labels) > MaxLabels {
		f.add("labels", "has %d labels; it must have at most %d", len(t.Labels), MaxLabels)
	}
	for _, key := range sortedKeys(t.Labels) {
		value := t.Labels[key]
		switch {
		case !slug.MatchString(key):
			f.add("labels", "has the key %q; it %s", key, slugRule)
		case len(value) > MaxLabelBytes:
			f.add("labels."+key, "has %d bytes; it must have at most %d", len(value), MaxLabelBytes)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			f.add("labels."+key, "is %q; it must be printable UTF-8", value)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
