package prober

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// serve answers each connection to a port of the loopback interface with what the test says, after the request's header was
// read, and returns the port's URL.
func serve(t testing.TB, address string, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
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
			open.Go(func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					answer(conn)
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); open.Wait() })
	return "http://" + listener.Addr().String() + "/"
}

// say is a server that writes text and closes.
func say(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// hold waits until the client is gone.
func hold(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// repeat writes text until the client is gone.
func repeat(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// reset ends the connection with RST instead of FIN.
func reset(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }

// zipped is n zero bytes under gzip.
func zipped(n int64) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.CopyN(w, zeroes{}, n)
	_ = w.Close()
	return b.String()
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// seen is what the corpus says about an event; times are left to other tests.
type seen struct {
	Outcome, Failure, Text string // Text is a part
	Status                 int32
	HTTP                   string
	Phases                 string // those that finished
	Body                   int32
	Cut                    bool
	Assertion, Value       string
}

// look makes a seen of an event. Want tells which part of the text to look for.
func look(e *event.CheckCompleted, want seen) seen {
	s := seen{Outcome: e.Outcome, Failure: text(e.Failure), Text: text(e.FailureText), HTTP: text(e.HTTPVersion), Assertion: text(e.Assertion), Value: text(e.AssertionValue)}
	if want.Text != "" && strings.Contains(s.Text, want.Text) {
		s.Text = want.Text
	}
	if e.StatusCode != nil {
		s.Status = *e.StatusCode
	}
	if e.BodyBytes != nil {
		s.Body, s.Cut = *e.BodyBytes, *e.BodyTruncated
	}
	var phases []string
	for _, p := range []struct {
		name string
		us   *int32
	}{{"dns", e.DNSUs}, {"connect", e.ConnectUs}, {"tls", e.TLSUs}, {"first_byte", e.FirstByteUs}, {"transfer", e.TransferUs}, {"total", e.TotalUs}} {
		if p.us != nil {
			phases = append(phases, p.name)
		}
	}
	s.Phases = strings.Join(phases, " ")
	return s
}

// difference is what an event has else than want, whose text is a part, and whose length of a body may be below 0 where it depends on
// when what arrived. The text of a failure that has none here is the system's.
func difference(want seen, e *event.CheckCompleted) string {
	if want.Text == "" && want.Outcome != event.OutcomeUp {
		want.Text = text(e.FailureText)
	}
	if want.Body < 0 && e.BodyBytes != nil {
		want.Body = *e.BodyBytes
	}
	return cmp.Diff(want, look(e, want))
}

// checkSeen checks target and holds what it says against want. A timeout below a second is one that is meant to end the check, and grows
// where a slow machine needed it for what comes before.
func checkSeen(t *testing.T, target Target, want seen, check func(context.Context, *Target) *event.CheckCompleted) *event.CheckCompleted {
	t.Helper()
	timeouts := []time.Duration{target.Timeout}
	if target.Timeout < time.Second {
		timeouts = append(timeouts, time.Second, 5*time.Second)
	}
	var e *event.CheckCompleted
	var diff string
	for _, target.Timeout = range timeouts {
		e = check(t.Context(), &target)
		if diff = difference(want, e); diff == "" {
			break
		}
	}
	if diff != "" {
		t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
	}
	if within := fmt.Sprintf("no answer within %v: still ", target.Timeout); want.Failure == event.FailureTimeout && !strings.HasPrefix(text(e.FailureText), within) {
		t.Errorf("got %q, want it to begin with %q", text(e.FailureText), within)
	}
	checkWritable(t, e)
	return e
}

// checkOnce is [Check], for checkSeen.
func checkOnce(ctx context.Context, target *Target) *event.CheckCompleted { return Check(ctx, *target) }

// trusting is checkOnce with the certificates of pool believed.
func trusting(pool *x509.CertPool) func(context.Context, *Target) *event.CheckCompleted {
	return func(ctx context.Context, target *Target) *event.CheckCompleted {
		return newCheckerTrusting(pool).check(ctx, target, target.Version())
	}
}

const (
	allPhases  = "connect first_byte transfer total"
	noTransfer = "connect first_byte total"
	noAnswer   = "connect total"
)

const okHead = "HTTP/1.1 200 OK\r\n"

// checkWritable holds an event against what everything behind the prober relies on.
func checkWritable(t *testing.T, e *event.CheckCompleted) {
	t.Helper()
	e.Location, e.Prober, e.Slot = "here", "prober-1", SlotAt(every(e.TargetID, time.Minute), e.StartedAt)
	e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
	if _, err := schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 1).AppendEncode(nil, e); err != nil {
		t.Error(err)
	}
	for _, s := range []string{text(e.FailureText), text(e.Assertion), text(e.AssertionValue)} {
		if strings.Contains(s, "hunter2") || strings.ContainsAny(s, "\x00\n\r") {
			t.Errorf("%q has something that must not be there", s)
		}
	}
	if e.StartedAt.Location() != time.UTC || e.StartedAt.Nanosecond()%1000 != 0 || e.Attempts != 1 {
		t.Errorf("started at %v, attempts %d", e.StartedAt, e.Attempts)
	}
	if len(e.DefinitionVersion) != 12 {
		t.Errorf("version %q", e.DefinitionVersion)
	}
}

func TestRefusedConnectionIsDownWithConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	e := Check(t.Context(), NewTarget("home", "http://"+listener.Addr().String()))
	want := seen{Outcome: "down", Failure: "connect", Text: "connection refused", Phases: "total"}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff)
	}
	checkWritable(t, e)
}

func TestUnresolvableNameIsDownWithDNS(t *testing.T) {
	e := Check(t.Context(), NewTarget("home", "http://nothing.invalid/"))
	want := seen{Outcome: "down", Failure: "dns", Text: `resolving "nothing.invalid"`, Phases: "total"}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff)
	}
	checkWritable(t, e)
}

func TestIPv6AddressIsReached(t *testing.T) {
	if listener, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6 loopback:", err)
	} else {
		listener.Close()
	}
	e := Check(t.Context(), NewTarget("home", serve(t, "[::1]:0", say(okHead+"\r\n"))))
	if e.Outcome != event.OutcomeUp || !strings.HasPrefix(text(e.RemoteAddress), "[::1]:") {
		t.Errorf("%s at %q: %s", e.Outcome, text(e.RemoteAddress), text(e.FailureText))
	}
}

func TestNameThatResolvesHasADNSPhaseAndAnAddress(t *testing.T) {
	url := serve(t, "127.0.0.1:0", say(okHead+"\r\n"))
	e := Check(t.Context(), NewTarget("home", strings.Replace(url, "127.0.0.1", "localhost", 1)))
	if e.Outcome != event.OutcomeUp || e.DNSUs == nil || !strings.HasPrefix(text(e.RemoteAddress), "127.0.0.1:") {
		t.Errorf("%s, dns %v, address %q", e.Outcome, e.DNSUs, text(e.RemoteAddress))
	}
}

func TestRedirectsAreSummedAndTheFinalResponseIsJudged(t *testing.T) {
	const pause = 20 * time.Millisecond
	var connections sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.Store(r.RemoteAddr, true)
		<-time.After(pause)
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err == nil && n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "there")
	}))
	defer server.Close()
	target := NewTarget("home", server.URL+"/3")
	target.MaxRedirects = 3
	target.BodyMatches = regexp.MustCompile("there")
	e := Check(t.Context(), target)
	if e.Outcome != event.OutcomeUp || *e.StatusCode != 200 || !*e.RegexMatched || *e.BodyBytes != 5 {
		t.Fatalf("%s: %s", e.Outcome, text(e.FailureText))
	}
	if got := time.Duration(*e.FirstByteUs) * time.Microsecond; got < 4*pause {
		t.Errorf("first byte after %v in all, want at least %v", got, 4*pause)
	}
	if sum := *e.ConnectUs + *e.FirstByteUs + *e.TransferUs; sum > *e.TotalUs {
		t.Errorf("phases are %d us, more than the total of %d us", sum, *e.TotalUs)
	}
	hops := 0
	connections.Range(func(any, any) bool { hops++; return true })
	if hops != 4 {
		t.Errorf("%d connections, want 4", hops)
	}
	target.MaxRedirects = 2
	if e := Check(t.Context(), target); text(e.Failure) != event.FailureRedirect {
		t.Errorf("with one redirect too many: %s, %s", e.Outcome, text(e.FailureText))
	}
}

func TestRequestSaysWhoAsksAndTakesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var agent string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { agent = r.UserAgent() }))
	defer server.Close()
	if e := Check(t.Context(), NewTarget("home", server.URL)); e.Outcome != event.OutcomeUp {
		t.Fatal(text(e.FailureText))
	}
	if !strings.HasPrefix(agent, "webcheck/") {
		t.Errorf("user agent %q", agent)
	}
}

func TestCheckThatItsCallerEndsIsMissed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, "127.0.0.1:0", func(conn net.Conn) { cancel(); hold(conn) })
	e := Check(ctx, NewTarget("home", url))
	want := seen{Outcome: "missed", Failure: "shutdown", Text: "the prober stopped before the check was done"}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff)
	}
	if e.Attempts != 0 || e.RemoteAddress != nil {
		t.Errorf("attempts %d, address %q", e.Attempts, text(e.RemoteAddress))
	}
}

func TestErrorTextHasNoURL(t *testing.T) {
	_, err := http.Get("http://127.0.0.1:1/?token=hunter2")
	if got := errorText(err); strings.Contains(got, "hunter2") || !strings.Contains(got, "connection refused") {
		t.Errorf("%q", got)
	}
}
