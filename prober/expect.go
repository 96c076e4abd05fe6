package prober

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"webcheck/gen/event"
)

// judgeResponse looks at an answer that is there and read to its end: first for what makes a target down, in the order of what
// explains most, then for what makes it degraded.
func judgeResponse(t *Target, o *observation) verdict {
	v := verdict{outcome: event.OutcomeUp}
	if t.BodyMatches != nil {
		matched := t.BodyMatches.Match(o.body)
		v.matched = &matched
	}
	for _, expect := range [...]func(*verdict, *Target, *observation) bool{
		expectStatus, expectBody, expectOtherBody, expectHeaders, expectCertificate, expectSpeed,
	} {
		if !expect(&v, t, o) {
			break
		}
	}
	return v
}

// fail is what an expectation that does not hold makes of v. It returns false.
func (v *verdict) fail(outcome event.Outcome, failure event.Failure, assertion, value, text string) bool {
	v.outcome, v.failure, v.assertion, v.value, v.text = outcome, failure, assertion, value, text
	return false
}

func expectStatus(v *verdict, t *Target, o *observation) bool {
	if o.status == 0 || t.expects(o.status) { // only HTTP has one
		return true
	}
	return v.fail(event.OutcomeDown, event.FailureStatus, "expect_status: "+t.statusText(), fmt.Sprint(o.status),
		strings.TrimSpace(fmt.Sprintf("expected status %s, got %d %s", t.statusText(), o.status, http.StatusText(o.status))))
}

func expectBody(v *verdict, t *Target, o *observation) bool {
	if v.matched == nil || *v.matched {
		return true
	}
	text := fmt.Sprintf("expected a body that matches %q, got %d bytes that do not", t.BodyMatches, len(o.body))
	if o.truncated {
		text += " (the body is longer and was read no further)"
	}
	return v.fail(event.OutcomeDown, event.FailureBody, "body_matches: "+t.BodyMatches.String(), valueOf(o.body), text)
}

// valueOf is the beginning of a body, and a byte more where it is longer than a value may be, so that cutting shows.
func valueOf(body []byte) string { return string(body[:min(len(body), maxAssertionValueBytes+1)]) }

func expectOtherBody(v *verdict, t *Target, o *observation) bool {
	if t.BodyNotMatches == nil {
		return true
	}
	found := t.BodyNotMatches.FindIndex(o.body)
	if found == nil {
		return true
	}
	return v.fail(event.OutcomeDown, event.FailureBody, "body_not_matches: "+t.BodyNotMatches.String(), valueOf(o.body[found[0]:found[1]]),
		fmt.Sprintf("expected a body that does not match %q, and it does at byte %d", t.BodyNotMatches, found[0]))
}

func expectHeaders(v *verdict, t *Target, o *observation) bool {
	for _, name := range sortedKeys(t.HeaderMatches) {
		values := o.header.Values(name)
		if slices.ContainsFunc(values, t.HeaderMatches[name].MatchString) {
			continue
		}
		text := fmt.Sprintf("expected a header %s that matches %q, got one that does not", name, t.HeaderMatches[name])
		if len(values) == 0 {
			text = fmt.Sprintf("expected a header %s that matches %q, got none of that name", name, t.HeaderMatches[name])
		}
		return v.fail(event.OutcomeDown, event.FailureHeader, "header_matches."+name+": "+t.HeaderMatches[name].String(), strings.Join(values, ", "), text)
	}
	return true
}

func expectCertificate(v *verdict, t *Target, o *observation) bool {
	expires := o.expires()
	left := expires.Sub(o.ended)
	if t.CertificateDays == 0 || expires.IsZero() || left >= time.Duration(t.CertificateDays)*24*time.Hour {
		return true
	}
	days := int(left / (24 * time.Hour))
	return v.fail(event.OutcomeDegraded, event.FailureCertificate, fmt.Sprintf("certificate_days: %d", t.CertificateDays), fmt.Sprint(days),
		fmt.Sprintf("expected a certificate that is valid for %d days, got one for %d, until %s", t.CertificateDays, days, expires.UTC().Format(time.RFC3339)))
}

func expectSpeed(v *verdict, t *Target, o *observation) bool {
	took := o.ended.Sub(o.started)
	if t.MaxLatency == 0 || took <= t.MaxLatency {
		return true
	}
	took = took.Round(time.Microsecond)
	return v.fail(event.OutcomeDegraded, event.FailureLatency, "max_latency: "+t.MaxLatency.String(), took.String(),
		fmt.Sprintf("expected an answer within %v, got it after %v", t.MaxLatency, took))
}
