package prober

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ParseDefinition returns the target that text, a [Target.Definition], defines. A key that is not there has its default. It is an
// error when text is no such JSON, has a key that this build does not know, or one twice, or defines a target that is not
// valid; the error names the key and holds nothing of the URL.
func ParseDefinition(text string) (Target, error) {
	t := NewTarget("", "")
	r := &jsonReader{text: text}
	hasTimeout := false
	err := r.object(func(key string) error {
		hasTimeout = hasTimeout || key == "timeout"
		if err := t.parseKey(r, key); err != nil {
			return fmt.Errorf("%q %w", key, err)
		}
		return nil
	})
	if err == nil && !r.atEnd() {
		err = errors.New("has something behind its end")
	}
	if err != nil {
		return Target{}, fmt.Errorf("reading a definition: %w", err)
	}
	if !hasTimeout {
		t.Timeout = DefaultTimeoutFor(t.Interval)
	}
	if faults := t.Validate(); len(faults) > 0 {
		all := make([]error, len(faults))
		for i, fault := range faults {
			all[i] = fault
		}
		return Target{}, fmt.Errorf("reading a definition: %w", errors.Join(all...))
	}
	return t, nil
}

// errUnknownKey is what a definition of a later build may bring.
var errUnknownKey = errors.New("is no key of a target that this build knows")

// parseKey reads the value of one key. Errors go on after the key's name.
func (t *Target) parseKey(r *jsonReader, key string) error {
	switch key {
	case "id":
		return r.keepText(&t.ID)
	case "url":
		return r.keepText(&t.URL)
	case "interval":
		return r.readDuration(&t.Interval)
	case "timeout":
		return r.readDuration(&t.Timeout)
	case "expect_status":
		t.Status = nil
		return r.list(func() error { return t.parseStatus(r) })
	case "body_matches":
		return r.readRegex(&t.BodyMatches)
	case "max_redirects":
		return r.readNumber(&t.MaxRedirects)
	case "labels":
		return r.readTexts(&t.Labels)
	case "rules":
		return r.object(func(key string) error { return t.Rules.parseKey(r, key) })
	}
	return t.parseRequestKey(r, key)
}

// parseRequestKey reads the keys that say how a target is asked.
func (t *Target) parseRequestKey(r *jsonReader, key string) error {
	switch key {
	case "method":
		return r.keepText(&t.Method)
	case "headers":
		return r.readTexts(&t.Headers)
	case "secret_headers":
		return r.readTexts(&t.SecretHeaders)
	case "body":
		return r.keepText(&t.Body)
	case "basic_auth":
		return r.object(func(key string) error {
			switch key {
			case "user":
				return r.keepText(&t.BasicAuth.User)
			case "password":
				return r.keepText(&t.BasicAuth.Password)
			}
			return fmt.Errorf("has %q, which %w", key, errUnknownKey)
		})
	case "bearer_token":
		return r.keepText(&t.BearerToken)
	case "body_not_matches":
		return r.readRegex(&t.BodyNotMatches)
	case "header_matches":
		t.HeaderMatches = make(map[string]*regexp.Regexp)
		return r.object(func(name string) error {
			var pattern *regexp.Regexp
			err := r.readRegex(&pattern)
			t.HeaderMatches[strings.Clone(name)] = pattern
			return err
		})
	case "max_latency":
		return r.readDuration(&t.MaxLatency)
	case "certificate_days":
		return r.readNumber(&t.CertificateDays)
	case "ip_family":
		return r.keepText(&t.IPFamily)
	case "http_version":
		return r.keepText(&t.HTTPVersion)
	case "proxy":
		return r.keepText(&t.Proxy)
	case "retries":
		return r.readNumber(&t.Retries)
	case "retry_gap":
		return r.readDuration(&t.RetryGap)
	case "tls_verify":
		return r.readSwitch(&t.TLSVerify)
	case "paused":
		return r.readSwitch(&t.Paused)
	}
	return errUnknownKey
}

// parseStatus reads "200" or "200-299".
func (t *Target) parseStatus(r *jsonReader) error {
	var text string
	if err := r.readText(&text); err != nil {
		return err
	}
	first, last, isRange := strings.Cut(text, "-")
	low, err := strconv.Atoi(first)
	high := low
	if isRange && err == nil {
		high, err = strconv.Atoi(last)
	}
	parsed := StatusRange{Low: low, High: high}
	if err != nil || parsed.String() != text {
		return fmt.Errorf("has %q, which is no status", text)
	}
	t.Status = append(t.Status, parsed)
	return nil
}

// parseKey reads one of the rules.
func (r *Rules) parseKey(from *jsonReader, key string) error {
	var err error
	switch key {
	case "down":
		err = from.readCount(&r.DownAfter, " of ", &r.DownOf)
	case "up":
		err = from.readCount(&r.UpAfter, " of ", &r.UpOf)
	case "quorum":
		if r.Quorum = 0; from.isText() {
			var word string
			if err = from.readText(&word); err == nil && word != "majority" {
				err = errors.New("is neither majority nor a number")
			}
		} else {
			err = from.readNumber(&r.Quorum)
		}
	case "flapping":
		var window string
		if err = from.readPair(&r.FlapTransitions, " in ", &window); err == nil {
			r.FlapWindow, err = duration(window)
		}
	case "silent_after":
		err = from.readNumber(&r.SilentAfter)
	default:
		err = errUnknownKey
	}
	if err != nil {
		return fmt.Errorf("has %q, which %w", key, err)
	}
	return nil
}

// readCount reads "2 of 3".
func (r *jsonReader) readCount(first *int, between string, second *int) error {
	var rest string
	if err := r.readPair(first, between, &rest); err != nil {
		return err
	}
	return number(rest, second)
}

// readPair reads a number, what is between, and the rest.
func (r *jsonReader) readPair(first *int, between string, rest *string) error {
	var text string
	if err := r.readText(&text); err != nil {
		return err
	}
	begin, end, found := strings.Cut(text, between)
	if !found {
		return fmt.Errorf("is %q, without%s", text, strings.TrimRight(between, " "))
	}
	*rest = end
	return number(begin, first)
}

// readDuration reads Go's form of a duration.
func (r *jsonReader) readDuration(into *time.Duration) error {
	var text string
	err := r.readText(&text)
	if err == nil {
		*into, err = duration(text)
	}
	return err
}

func (r *jsonReader) readRegex(into **regexp.Regexp) error {
	var text string
	if err := r.readText(&text); err != nil {
		return err
	}
	if len(text) > MaxBodyRegexBytes { // compiling takes time, and somebody else wrote this
		return fmt.Errorf("has %d bytes; it must have at most %d", len(text), MaxBodyRegexBytes)
	}
	pattern, err := regexp.Compile(strings.Clone(text))
	if err != nil {
		return errors.New("is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	*into = pattern
	return nil
}

// readTexts reads an object of texts; an empty one is none.
func (r *jsonReader) readTexts(into *map[string]string) error {
	var texts map[string]string
	err := r.object(func(key string) error {
		var text string
		err := r.keepText(&text)
		if texts == nil {
			texts = make(map[string]string)
		}
		texts[strings.Clone(key)] = text
		return err
	})
	*into = texts
	return err
}

func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("is %q, which is no duration", text)
	}
	return d, nil
}

func number(text string, into *int) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("is %q, which is no whole number", text)
	}
	*into = n
	return nil
}
