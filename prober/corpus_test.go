package prober

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// corpus is how servers behave, and what a check says of it. Connections, names and certificates have tests of their own.
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
		want: seen{Outcome: "down", Failure: "timeout", Text: "still waiting for the first byte", Phases: noAnswer}},
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
	"a status of three digits that is none": {answer: say("HTTP/1.1 000 Nothing\r\nContent-Length: 5\r\n\r\nhello"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "malformed HTTP status code: it is below 100", Phases: noTransfer}},
	"a status with a sign, and one that counts behind it": {answer: say("HTTP/1.1 +42 Signed\r\n\r\n" + okHead + "\r\n"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "malformed HTTP status code: it is below 100", Phases: noTransfer}},
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
	"answers on the way before the one that counts": {answer: say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okHead + "Content-Length: 5\r\n\r\nhello"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"protocols that are switched": {answer: say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "status", Text: "got 101", Status: 101, HTTP: "1.1", Phases: allPhases, Assertion: "expect_status: 200-299", Value: "101"}},
	"204 that announces a body": {answer: say("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"),
		want: seen{Outcome: "up", Status: 204, HTTP: "1.1", Phases: allPhases}},
	"304 without a body": {answer: say("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), change: func(t *Target) { t.Status = []StatusRange{{304, 304}} },
		want: seen{Outcome: "up", Status: 304, HTTP: "1.1", Phases: allPhases}},
	"an answer to HEAD": {answer: say(okHead + "Content-Length: 500\r\nContent-Encoding: gzip\r\n\r\n"), change: func(t *Target) { t.Method = "HEAD" },
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases}},
	"a longer body than announced": {answer: say(okHead + "Content-Length: 5\r\n\r\nhello and more"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"two lengths": {answer: say(okHead + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "Content-Length", Phases: noTransfer}},
	"a negative length": {answer: say(okHead + "Content-Length: -5\r\n\r\nhello"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "bad Content-Length", Phases: noTransfer}},
	"a header of one line without end": {answer: func(conn net.Conn) { say(okHead + "X-More: ")(conn); repeat(conn, "and more ") },
		want: seen{Outcome: "down", Failure: "protocol", Text: "exceeded 262144 bytes", Phases: noTransfer}},
	"a header as long as is read": {answer: say(okHead + "X-More: " + strings.Repeat("a", MaxHeaderBytes-100) + "\r\n\r\n"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases}},
	"a status line without end": {answer: func(conn net.Conn) { repeat(conn, "HTTP") },
		want: seen{Outcome: "down", Failure: "protocol", Text: "exceeded 262144 bytes", Phases: noTransfer}},
	"a header that ends early": {answer: say(okHead + "X-More: an"),
		want: seen{Outcome: "down", Failure: "protocol", Text: "unexpected EOF", Phases: noTransfer}},
	"gzip that ends early": {answer: say(okHead + "Content-Encoding: gzip\r\n\r\n" + zipped(5000)[:30]),
		want: seen{Outcome: "down", Failure: "protocol", Text: "unexpected EOF", Status: 200, HTTP: "1.1", Phases: noTransfer, Body: -1}},
	"gzip of nothing": {answer: say(okHead + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases}},
	"gzip of nothing, until the end": {answer: say(okHead + "Content-Encoding: gzip\r\n\r\n"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases}},
	"gzip that the target says it is in capitals": {answer: say(okHead + "Content-Encoding: GZIP\r\n\r\n" + zipped(5000)),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5000}},
	"an encoding nobody asked for": {answer: say(okHead + "Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"a slow body that trickles": {answer: func(conn net.Conn) { say(okHead + "\r\n")(conn); trickle(conn) }, change: within(50 * time.Millisecond),
		want: seen{Outcome: "down", Failure: "timeout", Text: "still reading the response", Status: 200, HTTP: "1.1", Phases: noTransfer, Body: -1}},
	"a body that must not match": {answer: say(okHead + "\r\nan Error 42 occurred"), change: func(t *Target) { t.BodyNotMatches = regexp.MustCompile(`Error \d+`) },
		want: seen{Outcome: "down", Failure: "body", Text: `does not match "Error \\d+", and it does at byte 3`, Status: 200, HTTP: "1.1", Phases: allPhases, Body: 20, Assertion: `body_not_matches: Error \d+`, Value: "Error 42"}},
	"a body that matches one and not the other": {answer: say(okHead + "\r\nhello"), change: func(t *Target) { t.BodyMatches, t.BodyNotMatches = regexp.MustCompile("^h"), regexp.MustCompile("^H") },
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 5}},
	"a header that matches with its second value": {answer: say(okHead + "X-A: one\r\nx-a: two\r\n\r\n"), change: header("X-a", "^two$"),
		want: seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases}},
	"a header that does not match": {answer: say(okHead + "Content-Type: text/plain\r\n\r\n"), change: header("content-type", "html"),
		want: seen{Outcome: "down", Failure: "header", Text: `expected a header content-type that matches "html", got one that does not`, Status: 200, HTTP: "1.1", Phases: allPhases, Assertion: "header_matches.content-type: html", Value: "text/plain"}},
	"a header that is not there": {answer: say(okHead + "\r\n"), change: header("X-A", ""),
		want: seen{Outcome: "down", Failure: "header", Text: "got none of that name", Status: 200, HTTP: "1.1", Phases: allPhases, Assertion: "header_matches.X-A: "}},
	"a redirect to the address of metadata": {answer: say("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "refused_address", Text: "169.254.169.254 is the address of a cloud's metadata service, which is not in prober.allow", Phases: "first_byte transfer total"}},
	"a redirect to the address of metadata in IPv6": {answer: say("HTTP/1.1 302 Found\r\nLocation: http://[::ffff:169.254.169.254]/latest\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "refused_address", Text: "cloud's metadata service", Phases: "first_byte transfer total"}},
	"a redirect without end of another kind": {answer: say("HTTP/1.1 307 Temporary Redirect\r\nLocation: ?token=hunter2\r\n\r\n"), change: func(t *Target) { t.MaxRedirects = 1 },
		want: seen{Outcome: "down", Failure: "redirect", Text: "redirected more than 1 times", Status: 307, HTTP: "1.1", Phases: noTransfer}},
	"a redirect to no host": {answer: say("HTTP/1.1 302 Found\r\nLocation: http:///etc\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "redirect", Text: "redirected to a URL without a host", Status: 302, HTTP: "1.1", Phases: noTransfer}},
	"a redirect to a name that does not resolve": {answer: say("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/?token=hunter2\r\n\r\n"),
		want: seen{Outcome: "down", Failure: "dns", Text: `resolving "elsewhere.invalid"`, Phases: allPhases}},
}

func matching(regex string) func(*Target) {
	return func(t *Target) { t.BodyMatches = regexp.MustCompile(regex) }
}

func header(name, regex string) func(*Target) {
	return func(t *Target) { t.HeaderMatches = map[string]*regexp.Regexp{name: regexp.MustCompile(regex)} }
}

// trickle writes a byte at a time until the client is gone.
func trickle(conn net.Conn) {
	for range time.Tick(time.Millisecond) {
		if _, err := io.WriteString(conn, "."); err != nil {
			return
		}
	}
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
			checkSeen(t, target, behaviour.want, checkOnce)
		})
	}
}
