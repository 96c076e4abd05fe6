package prober

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"webcheck/gen/event"
)

// stallSlack is how much later than its timeout a check may end before the delay is our own: a timer that fires a second
// late means that this process did not get to run, and what looks like a slow target may be a slow prober.
const stallSlack = time.Second

// stoppedText is why a check that the prober's own stop has cut says nothing.
const stoppedText = "the prober stopped before the check was done"

// verdict is what an observation says about the target.
type verdict struct {
	outcome          event.Outcome
	failure          event.Failure
	text             string
	assertion, value string
	matched          *bool
}

func down(failure event.Failure, text string) verdict {
	return verdict{outcome: event.OutcomeDown, failure: failure, text: text}
}

func ownFault(failure event.Failure, text string) verdict {
	return verdict{outcome: event.OutcomeMissed, failure: failure, text: text}
}

// judge holds an observation against the target's expectations. Own is the caller's context, attempt the one with the
// target's timeout.
func judge(own, attempt context.Context, t *Target, o *observation) verdict {
	var v verdict
	if o.err != nil {
		v = judgeError(own, attempt, t, o)
	} else {
		v = judgeResponse(t, o)
	}
	if v.text == "" {
		return v
	}
	hidden := o.secrets
	if u, err := t.parsedURL(); err == nil && u.RawQuery != "" {
		hidden = append(hidden, u.RawQuery)
	}
	v.text = clean(without(v.text, hidden), maxFailureTextBytes)
	v.value = clean(without(v.value, hidden), maxAssertionValueBytes)
	return v
}

// judgeError finds out whose fault an error is, ours first.
func judgeError(own, attempt context.Context, t *Target, o *observation) verdict {
	var redirect *redirectError
	var refused *refusedError
	switch {
	case own.Err() != nil:
		return ownFault(event.FailureShutdown, stoppedText)
	case stalled(t, o):
		return ownFault(event.FailureOwnFault, fmt.Sprintf("the prober was stalled: a check with a timeout of %v took %v", t.Timeout, o.ended.Sub(o.started).Round(time.Millisecond)))
	case errors.As(o.err, &refused):
		return down(event.FailureRefusedAddress, refused.text)
	case isOwnFault(o.err):
		return ownFault(event.FailureOwnFault, "the prober's machine is out of something: "+errorText(o.err))
	case len(o.hops) == 0:
		return ownFault(event.FailureOwnFault, o.err.Error())
	case timedOut(attempt, t, o):
		return down(event.FailureTimeout, fmt.Sprintf("no answer within %v: still %s", t.Timeout, o.stage()))
	case errors.As(o.err, &redirect):
		return down(event.FailureRedirect, redirect.text)
	}
	if isOwnNetwork(o.stage(), o.err) {
		return ownFault(event.FailureOwnNetwork, "the prober's network: "+errorText(o.err))
	}
	return down(failureOf(o.stage(), o.err), errorText(o.err))
}

// stage is what the last hop was waiting for.
func (o *observation) stage() stage { return o.hops[len(o.hops)-1].seen().stage }

// stalled reports whether this process, and not the target, took the time: its timers fired late, or the wall clock and
// the monotonic one went apart because the machine slept. A clock that is set during a failing check looks the same and
// costs one measurement, which is better than an outage that was none.
func stalled(t *Target, o *observation) bool {
	took := o.ended.Sub(o.started)
	slept := o.ended.Round(0).Sub(o.started.Round(0)) - took
	return took > t.Timeout+stallSlack || slept.Abs() > stallSlack
}

// timedOut reports whether the check's own deadline ended it. The network's deadline may fire a moment before the context
// knows of it.
func timedOut(attempt context.Context, t *Target, o *observation) bool {
	var timeout interface{ Timeout() bool }
	return attempt.Err() != nil ||
		errors.As(o.err, &timeout) && timeout.Timeout() && o.ended.Sub(o.started) >= t.Timeout-time.Millisecond
}

// isOwnFault knows the errors of a machine that has no more descriptors, ports or memory. The resolver hands them on only as text.
func isOwnFault(err error) bool {
	for _, own := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, own) {
			return true
		}
	}
	var dns *net.DNSError
	return errors.As(err, &dns) && strings.Contains(dns.Err, "too many open files")
}

// isOwnNetwork knows the errors of a machine that has no way out at all, as against one that gets no answer. The resolver
// hands them on only as text.
func isOwnNetwork(s stage, err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return strings.Contains(dns.Err, syscall.ENETUNREACH.Error()) || strings.Contains(dns.Err, syscall.ENETDOWN.Error())
	}
	return s == connecting && (errors.Is(err, syscall.ENETDOWN) || errors.Is(err, syscall.ENETUNREACH))
}

// tlsAlert is the operation that crypto/tls gives an alert of the other side, which in TLS 1.3 may come after the handshake.
const tlsAlert = "remote error"

// failureOf types an error by its kind, and otherwise by what the check was waiting for.
func failureOf(s stage, err error) event.Failure {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.As(err, &dns) || s == resolving:
		return event.FailureDns
	case errors.As(err, &certificate):
		return event.FailureCertificate
	case s == handshaking || errors.As(err, &network) && network.Op == tlsAlert:
		return event.FailureTls
	case s == connecting:
		return event.FailureConnect
	}
	return event.FailureProtocol
}

// errorText is an error for a person. The URL that net/http may wrap around it is left out: its query may be secret.
func errorText(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Sprintf("resolving %q: %s", dns.Name, dns.Err)
	}
	return err.Error()
}

// describe writes the verdict into e.
func (v verdict) describe(e *event.CheckCompleted) {
	e.RegexMatched = v.matched
	for _, part := range []struct {
		from string
		to   **string
	}{{v.failure, &e.Failure}, {v.text, &e.FailureText}, {v.assertion, &e.Assertion}} {
		if part.from != "" {
			*part.to = &part.from
		}
	}
	if v.assertion != "" { // an empty body is a value too
		e.AssertionValue = &v.value
	}
}
