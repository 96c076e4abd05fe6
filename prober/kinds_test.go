package prober

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// accept answers each connection to a port of the loopback interface, and returns host:port.
func accept(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer conn.Close(); answer(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); open.Wait() })
	return listener.Addr().String()
}

func TestATCPTargetIsUpWhenItConnectsAndAnswers(t *testing.T) {
	const connected, answered = "connect total", "connect first_byte transfer total"
	for name, test := range map[string]struct {
		answer func(net.Conn)
		change func(*Target)
		want   seen
	}{
		"it connects":       {hold, nil, seen{Outcome: "up", Phases: connected}},
		"it closes at once": {func(net.Conn) {}, nil, seen{Outcome: "up", Phases: connected}},
		"it greets": {func(conn net.Conn) { say("220 mail ")(conn); say("ready\r\n")(conn); hold(conn) }, matching(`ready`),
			seen{Outcome: "up", Phases: answered, Body: 16}},
		"it answers": {func(conn net.Conn) {
			if line, _ := bufio.NewReader(conn).ReadString('\n'); line == "PING\r\n" {
				say("+PONG\r\n")(conn)
			}
			hold(conn)
		}, func(t *Target) { t.Body = "PING\r\n"; matching(`^\+PONG`)(t) }, seen{Outcome: "up", Phases: answered, Body: 7}},
		"it says something else": {say("-ERR no\n"), matching(`^\+OK`),
			seen{Outcome: "down", Failure: "body", Text: `expected a body that matches "^\\+OK", got 8 bytes that do not`, Phases: answered, Body: 8, Assertion: `body_matches: ^\+OK`, Value: "-ERR no"}},
		"it says what it must not": {func(conn net.Conn) { say("-ERR no\r\n")(conn); hold(conn) }, func(t *Target) { t.BodyNotMatches = regexp.MustCompile(`^-ERR`) },
			seen{Outcome: "down", Failure: "body", Text: "it does at byte 0", Phases: answered, Body: 9, Assertion: `body_not_matches: ^-ERR`, Value: "-ERR"}},
		"it says nothing": {hold, func(t *Target) { matching(".")(t); within(50 * time.Millisecond)(t) },
			seen{Outcome: "down", Failure: "timeout", Text: "still waiting for the first byte", Phases: connected}},
		"it closes without a word": {func(net.Conn) {}, matching("."),
			seen{Outcome: "down", Failure: "protocol", Text: "unexpected EOF", Phases: connected}},
		"it says too much": {func(conn net.Conn) { repeat(conn, strings.Repeat("a", 8192)) }, matching("b"),
			seen{Outcome: "down", Failure: "body", Text: "and was read no further", Phases: answered, Body: -1, Cut: true, Assertion: "body_matches: b", Value: strings.Repeat("a", 253) + "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("mail", "tcp://"+accept(t, test.answer))
			if test.change != nil {
				test.change(&target)
			}
			checkSeen(t, target, test.want, checkOnce)
		})
	}
}

func TestATLSTargetIsJudgedByItsCertificate(t *testing.T) {
	ca := newAuthority(t)
	until := time.Now().Add(240 * time.Hour)
	serving := func(template *tls.Config) string {
		return accept(t, func(conn net.Conn) { _ = tls.Server(conn, template).Handshake(); hold(conn) })
	}
	certificate := func(by *authority, addresses ...net.IP) *tls.Config {
		leaf, key := sign(t, leaf(until, addresses...), by)
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	}
	loopback := net.IPv4(127, 0, 0, 1)
	believed, own := serving(certificate(ca, loopback)), serving(certificate(nil, loopback))
	const shaken = "connect tls total"
	for name, test := range map[string]struct {
		address string
		change  func(*Target)
		want    seen
	}{
		"believed":         {believed, nil, seen{Outcome: "up", Phases: shaken}},
		"signed by itself": {own, nil, seen{Outcome: "down", Failure: "certificate", Text: "unknown authority", Phases: "connect total"}},
		"any will do":      {own, func(t *Target) { t.TLSVerify = false }, seen{Outcome: "up", Phases: shaken}},
		"for enough days":  {believed, func(t *Target) { t.CertificateDays = 9 }, seen{Outcome: "up", Phases: shaken}},
		"for too few days": {believed, func(t *Target) { t.CertificateDays = 14 },
			seen{Outcome: "degraded", Failure: "certificate", Text: "expected a certificate that is valid for 14 days, got one for 9, until ", Phases: shaken, Assertion: "certificate_days: 14", Value: "9"}},
		"any, for too few days": {own, func(t *Target) { t.TLSVerify, t.CertificateDays = false, 14 },
			seen{Outcome: "degraded", Failure: "certificate", Text: "got one for 9", Phases: shaken, Assertion: "certificate_days: 14", Value: "9"}},
		"no TLS": {accept(t, func(conn net.Conn) { say("220 mail\r\n")(conn); hold(conn) }), nil,
			seen{Outcome: "down", Failure: "tls", Text: "first record does not look like a TLS handshake", Phases: "connect total"}},
		"an alert": {serving(&tls.Config{Certificates: certificate(ca, loopback).Certificates, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS11}), nil,
			seen{Outcome: "down", Failure: "tls", Text: "protocol version not supported", Phases: "connect total"}},
		"no answer": {accept(t, hold), within(50 * time.Millisecond),
			seen{Outcome: "down", Failure: "timeout", Text: "still in the TLS handshake", Phases: "connect total"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("mail", "tls://"+test.address)
			if test.change != nil {
				test.change(&target)
			}
			e := checkSeen(t, target, test.want, trusting(ca.pool))
			if !strings.Contains(test.want.Phases, "tls") && test.want.Failure != "certificate" {
				return // none was seen
			}
			if e.CertificateExpiresAt == nil || e.CertificateExpiresAt.Sub(until).Abs() > 2*time.Second {
				t.Errorf("expires at %v, want %v", e.CertificateExpiresAt, until)
			}
		})
	}
}

func TestTheVersionOfHTTPIsTheOneThatIsWanted(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	config := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}
	}
	both, old := serveTLS(t, config(), true), serveTLS(t, config(), false)
	for _, test := range []struct{ url, version, outcome, spoken string }{
		{both, AnyVersion, "up", "2"}, {both, HTTP11, "up", "1.1"}, {both, HTTP2, "up", "2"},
		{old, AnyVersion, "up", "1.1"}, {old, HTTP11, "up", "1.1"}, {old, HTTP2, "down", ""},
	} {
		target := NewTarget("home", test.url)
		target.HTTPVersion = test.version
		e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
		if e.Outcome != test.outcome || text(e.HTTPVersion) != test.spoken {
			t.Errorf("%s of both %t: %s, HTTP/%s: %s", test.version, test.url == both, e.Outcome, text(e.HTTPVersion), text(e.FailureText))
		}
		checkWritable(t, e)
	}
}

func TestHTTP2IsReadAsHTTP1Is(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/zipped":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, zipped(8<<20))
		case "/there":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			_, _ = io.WriteString(w, "hell")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.Header.Get("X-A")+" "+string(body))
		}
	}))
	server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}, true
	server.StartTLS()
	defer server.Close()
	const all, noTransfer = "connect tls first_byte transfer total", "connect tls first_byte total"
	for path, want := range map[string]seen{
		"/":        {Outcome: "up", Status: 200, HTTP: "2", Phases: all, Body: 22},
		"/there":   {Outcome: "up", Status: 200, HTTP: "2", Phases: all, Body: 16},
		"/zipped":  {Outcome: "up", Status: 200, HTTP: "2", Phases: all, Body: MaxBodyBytes, Cut: true},
		"/endless": {Outcome: "up", Status: 200, HTTP: "2", Phases: all, Body: MaxBodyBytes, Cut: true},
		"/slow":    {Outcome: "down", Failure: "timeout", Text: "still waiting for the first byte", Phases: "connect tls total"},
		"/cut":     {Outcome: "down", Failure: "protocol", Text: "INTERNAL_ERROR", Status: 200, HTTP: "2", Phases: noTransfer, Body: 4},
	} {
		t.Run(path, func(t *testing.T) {
			target := NewTarget("home", server.URL+path)
			target.Headers = map[string]string{"Host": "a.example", "X-A": "b"}
			if target.Method, target.Body = "POST", "hello"; path == "/slow" {
				target.Timeout = 100 * time.Millisecond
			}
			checkSeen(t, target, want, trusting(ca.pool))
		})
	}
}
