package prober

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"webcheck/gen/event"
)

// failing is an observation that ended with err while the check was at that stage.
func failing(s stage, took time.Duration, err error) *observation {
	h := new(hop)
	h.stage = s
	started := time.Now()
	return &observation{started: started, ended: started.Add(took), hops: []*hop{h}, err: err}
}

// dialing is an error as a dialer returns it.
func dialing(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

func TestOwnFaultsAreNeverDown(t *testing.T) {
	target := NewTarget("home", "http://example.com/")
	over, end := context.WithCancel(t.Context())
	end()
	slept := failing(waiting, time.Second, syscall.ECONNRESET)
	slept.ended = time.UnixMicro(slept.ended.Add(time.Hour).UnixMicro()) // wall clock only
	slept.started = time.UnixMicro(slept.started.UnixMicro())
	target2 := target
	target2.Interval, target2.Timeout = 2*time.Hour, MaxTimeout
	for name, test := range map[string]struct {
		own    context.Context
		target Target
		saw    *observation
		want   event.Failure
	}{
		"our own stop":             {over, target, failing(waiting, time.Second, context.Canceled), event.FailureShutdown},
		"no descriptors":           {t.Context(), target, failing(connecting, 0, dialing(syscall.EMFILE)), event.FailureOwnFault},
		"none in the system":       {t.Context(), target, failing(connecting, 0, dialing(syscall.ENFILE)), event.FailureOwnFault},
		"no ports":                 {t.Context(), target, failing(connecting, 0, dialing(syscall.EADDRNOTAVAIL)), event.FailureOwnFault},
		"no buffers":               {t.Context(), target, failing(connecting, 0, dialing(syscall.ENOBUFS)), event.FailureOwnFault},
		"no memory":                {t.Context(), target, failing(connecting, 0, dialing(syscall.ENOMEM)), event.FailureOwnFault},
		"no descriptors, in text":  {t.Context(), target, failing(resolving, 0, &net.DNSError{Err: "dial udp: socket: too many open files", Name: "example.com"}), event.FailureOwnFault},
		"no network":               {t.Context(), target, failing(connecting, 0, dialing(syscall.ENETUNREACH)), event.FailureOwnNetwork},
		"no network to resolve in": {t.Context(), target, failing(resolving, 0, &net.DNSError{Err: "dial udp 192.0.2.1:53: connect: network is unreachable", Name: "example.com"}), event.FailureOwnNetwork},
		"interface down":           {t.Context(), target, failing(connecting, 0, dialing(syscall.ENETDOWN)), event.FailureOwnNetwork},
		"timers that fire late":    {t.Context(), target, failing(waiting, target.Timeout+2*stallSlack, context.DeadlineExceeded), event.FailureOwnFault},
		"a machine that slept":     {t.Context(), target2, slept, event.FailureOwnFault},
		"no request to begin with": {t.Context(), target, &observation{err: fmt.Errorf("a bug")}, event.FailureOwnFault},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(test.own, t.Context(), &test.target, test.saw)
			if v.outcome != event.OutcomeMissed || v.failure != test.want || v.text == "" {
				t.Errorf("%s, %s: %q; want missed, %s", v.outcome, v.failure, v.text, test.want)
			}
		})
	}
}

func TestATargetThatIsNotValidIsOurOwnFault(t *testing.T) {
	e := Check(t.Context(), NewTarget("home", "ftp://example.com/"))
	if e.Outcome != event.OutcomeMissed || text(e.Failure) != event.FailureOwnFault || !strings.Contains(text(e.FailureText), `"ftp"`) {
		t.Errorf("%s, %s: %s", e.Outcome, text(e.Failure), text(e.FailureText))
	}
}

func TestNetworkErrorsThatAreTheTargetsAreDown(t *testing.T) {
	target := NewTarget("home", "http://example.com/")
	for name, test := range map[string]struct {
		saw  *observation
		want event.Failure
	}{
		"host unreachable":                   {failing(connecting, time.Second, dialing(syscall.EHOSTUNREACH)), event.FailureConnect},
		"the kernel's own timeout":           {failing(connecting, time.Second, dialing(syscall.ETIMEDOUT)), event.FailureConnect},
		"the network's deadline comes first": {failing(connecting, target.Timeout, dialing(os.ErrDeadlineExceeded)), event.FailureTimeout},
		"a resolver that does not answer":    {failing(resolving, time.Second, &net.DNSError{Err: "i/o timeout", IsTimeout: true}), event.FailureDns},
		"network unreachable in an answer":   {failing(reading, time.Second, dialing(syscall.ENETUNREACH)), event.FailureProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(t.Context(), t.Context(), &target, test.saw)
			if v.outcome != event.OutcomeDown || v.failure != test.want {
				t.Errorf("%s, %s: %q; want down, %s", v.outcome, v.failure, v.text, test.want)
			}
		})
	}
}

func TestErrorAfterTheDeadlineIsATimeoutWhateverItSays(t *testing.T) {
	target := NewTarget("home", "http://example.com/")
	attempt, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if v := judge(t.Context(), attempt, &target, failing(waiting, target.Timeout, syscall.ECONNRESET)); v.failure != event.FailureTimeout {
		t.Errorf("%s, %s: %q", v.outcome, v.failure, v.text)
	}
}

func TestCleanTextFitsEverywhere(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"plain", "plain"},
		{" two\r\nlines\t", "two  lines"},
		{"nul\x00 esc\x1b[31m del\x7f c1\u0085", "nul  esc [31m del  c1"},
		{"bad \xff\xfe utf", "bad \ufffd utf"},
		{"turned \u202eround", "turned round"},
		{strings.Repeat("é", 20), strings.Repeat("é", 14) + "…"},
	} {
		got := clean(test.text, 32)
		if got != test.want || len(got) > 32 || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzCleanTextIsValidAndBounded(f *testing.F) {
	f.Add("hello\x00\xff\n…", 16)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 3 + (limit&0xfff)%2000
		got := clean(text, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\r\n\x1b") {
			t.Fatalf("limit %d: %q", limit, got)
		}
	})
}
