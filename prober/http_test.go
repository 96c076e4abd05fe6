package prober

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
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

const (
	allPhases  = "connect first_byte transfer total"
	noTransfer = "connect first_byte total"
	noAnswer   = "connect total"
)

const okHead = "HTTP/1.1 200 OK\r\n"

var corpus = map[string]struct {
	answer func(net.Conn)
	change func(*Target)
	want   seen
}{
	"a plain answer": {answer: say(okHead + "Content-Length: 5\r\n\r\nhello"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"HTTP/1.0 until the end": {answer: say("HTTP/1.0 200 OK\r\n\r\nhello"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.0", Phases: allPhases, Body: 5}},
	"chunks": {answer: say(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"gzip": {answer: say(okHead + "Content-Encoding: gzip\r\n\r\n" + zipped(5000)),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5000}},
	"another status": {answer: say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "status", Text: "expected status 200-299, got 503 Service Unavailable", Status: 503, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "503"}},
	"a status that is expected": {answer: say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), change: func(t *Target) { t.Status = []StatusRange{{404, 404}} },
		want: seen{Outcome: "up", Status: 404, HTTP: "1.1", Phases: allPhases}},
	"a status nobody knows": {answer: say("HTTP/1.1 799 \r\n\r\n"),
		want: seen{Outcome: "down", Failure: "status", Text: "expected status 200-299, got 799", Status: 799, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "799"}},
	"a status text that is no UTF-8": {answer: say("HTTP/1.1 500 \xff\xfe\x00\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "status", Text: "got 500", Status: 500, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "500"}},
	"a body that matches": {answer: say(okHead + "\r\nall is Well"), change: matching(`(?i)is well$`),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 11}},
	"a body that does not match": {answer: say(okHead + "\r\nsorry\x00 \xff\n"), change: matching("Welcome"),
		want: seen{Outcome: "down", Failure: "body", Text: `expected a body that matches "Welcome", got 9 bytes that do not`, Status: 200, HTTP: "1.1", Phases: allPhases, Body: 9, Assertion: "body_matches: Welcome", Value: "sorry  \ufffd"}},
	"an empty body that should match": {answer: say(okHead + "\r\n"), change: matching("."),
		want: seen{Outcome: "down", Failure: "body", Text: "0 bytes", Status: 200, HTTP: "1.1", Phases: allPhases, Assertion: "body_matches: ."}},
	"an endless body": {answer: func(conn net.Conn) { say(okHead + "\r\n")(conn); repeat(conn, "all work and no play ") },
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: MaxBodyBytes, Cut: true}},
	"an endless body that should match": {answer: func(conn net.Conn) { say(okHead + "\r\n")(conn); repeat(conn, "zzzzzzzz") }, change: matching("Welcome"),
		want: seen{Outcome: "down", Failure: "body", Text: "(the body is longer and was read no further)", Status: 200, HTTP: "1.1", Phases: allPhases, Body: MaxBodyBytes, Cut: true, Assertion: "body_matches: Welcome", Value: strings.Repeat("z", 253) + "…"}},
	"a body as long as the bound": {answer: func(conn net.Conn) { say(okHead + "\r\n" + strings.Repeat("a", MaxBodyBytes))(conn) },
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: MaxBodyBytes}},
	"a gzip bomb": {answer: say(okHead + "Content-Encoding: gzip\r\n\r\n" + zipped(8<<20)), change: matching("Welcome"),
		want: seen{Outcome: "down", Failure: "body", Text: "got 1048576 bytes", Status: 200, HTTP: "1.1", Phases: allPhases, Body: MaxBodyBytes, Cut: true, Assertion: "body_matches: Welcome"}},
	"gzip that is none": {answer: say(okHead + "Content-Encoding: gzip\r\n\r\nplain as day"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "gzip: invalid header", Status: 200, HTTP: "1.1", Phases: noTransfer}},
	"no answer at all": {answer: hold, change: within(50 * time.Millisecond),
		want: seen{Outcome: "down", Failure: "timeout", Text: "no answer within 50ms: still waiting for the first byte", Phases: noAnswer}},
	"slow headers": {answer: func(conn net.Conn) { say(okHead)(conn); hold(conn) }, change: within(50 * time.Millisecond),
		want: seen{Outcome: "down", Failure: "timeout", Text: "still reading the response", Phases: noTransfer}},
	"a slow body": {answer: func(conn net.Conn) { say(okHead + "Content-Length: 9\r\n\r\nhell")(conn); hold(conn) }, change: within(50 * time.Millisecond),
		want: seen{Outcome: "down", Failure: "timeout", Text: "still reading the response", Status: 200, HTTP: "1.1", Phases: noTransfer, Body: 4}},
	"closed without an answer": {answer: func(net.Conn) {},
		want: seen{Outcome: "down", Failure: "protocol", Text: "EOF", Phases: noAnswer}},
	"reset before the answer": {answer: reset,
		want: seen{Outcome: "down", Failure: "protocol", Text: "connection reset by peer", Phases: noAnswer}},
	"reset in the body": {answer: func(conn net.Conn) {
		defer reset(conn)
		say(okHead + "Content-Length: 9\r\n\r\nhell")(conn)
	}, want: seen{Outcome: "down", Failure: "protocol", Status: 200, HTTP: "1.1", Phases: noTransfer, Body: 4}},
	"a body that is cut": {answer: say(okHead + "Content-Length: 9\r\n\r\nhell"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "unexpected EOF", Status: 200, HTTP: "1.1", Phases: noTransfer, Body: 4}},
	"bad chunks": {answer: say(okHead + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "invalid byte in chunk length", Status: 200, HTTP: "1.1", Phases: noTransfer}},
	"no HTTP": {answer: say("220 smtp.example.com ESMTP\x00\xff\r\n"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "malformed HTTP status code", Phases: noTransfer}},
	"an answer that echoes the query": {answer: say("HTTP/1.1 token=hunter2\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "protocol", Text: `malformed HTTP status code "…"`, Phases: noTransfer}},
	"a body that echoes the query": {answer: say(okHead + "\r\nno: token=hunter2"), change: matching("Welcome"),
		want: seen{Outcome: "down", Failure: "body", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 17, Assertion: "body_matches: Welcome", Value: "no: …"}},
	"a header with a NUL": {answer: say(okHead + "X-Bad: a\x00b\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "malformed MIME header", Phases: noTransfer}},
	"a header without end": {answer: func(conn net.Conn) { say(okHead)(conn); repeat(conn, "X-More: and more\r\n") },
		want: seen{Outcome: "down", Failure: "protocol", Text: "exceeded", Phases: noTransfer}},
	"answers on the way without end": {answer: func(conn net.Conn) { repeat(conn, "HTTP/1.1 103 Early Hints\r\n\r\n") },
		want: seen{Outcome: "down", Failure: "protocol", Phases: noTransfer}},
	"a redirect loop": {answer: say("HTTP/1.1 302 Found\r\nLocation: /again?token=hunter2\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "redirect", Text: "redirected more than 10 times", Status: 302, HTTP: "1.1", Phases: noTransfer}},
	"a redirect that is not to be followed": {answer: say("HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"), change: func(t *Target) { t.MaxRedirects = 0 },
		want: seen{Outcome: "down", Failure: "status", Text: "got 302 Found", Status: 302, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "302"}},
	"a redirect to nowhere": {answer: say("HTTP/1.1 302 Found\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "status", Text: "got 302 Found", Status: 302, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "302"}},
	"a redirect to another scheme": {answer: say("HTTP/1.1 302 Found\r\nLocation: ftp://me:hunter2@127.0.0.1/\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "redirect", Text: `redirected to the scheme "ftp"`, Status: 302, HTTP: "1.1", Phases: noTransfer}},
	"a redirect to no URL": {answer: say("HTTP/1.1 302 Found\r\nLocation: http://me:hunter2@[/\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "redirect", Text: "redirected to something that is no URL", Status: 302, HTTP: "1.1", Phases: noTransfer}},
	"a redirect to a name that does not resolve": {answer: say("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/?token=hunter2\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "dns", Text: `resolving "elsewhere.invalid"`, Phases: allPhases}},
}

func matching(regex string) func(*Target) {
	return func(t *Target) { t.BodyMatches = regexp.MustCompile(regex) }
}

func within(timeout time.Duration) func(*Target) {
	return func(t *Target) { t.Timeout = timeout }
}

func TestEveryBehaviourOfAServerHasItsOutcome(t *testing.T) {
	for name, behaviour := range corpus {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := NewTarget("home", serve(t, "127.0.0.1:0", behaviour.answer)+"?token=hunter2")
			if behaviour.change != nil {
				behaviour.change(&target)
			}
			e := Check(t.Context(), target)
			if behaviour.want.Text == "" {
				behaviour.want.Text = text(e.FailureText) // its words are the system's
			}
			if diff := cmp.Diff(behaviour.want, look(e, behaviour.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			checkWritable(t, e)
		})
	}
}

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
