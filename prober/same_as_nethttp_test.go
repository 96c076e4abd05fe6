package prober

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"webcheck/embedded/testservices/seed"
)

// answers are what servers say, right and wrong, for the test to change.
var answers = []string{
	okHead + "Content-Length: 5\r\n\r\nhello",
	okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\nX-Trailer: a\r\n\r\n",
	okHead + "Content-Encoding: gzip\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + zipped(300),
	okHead + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + zipped(300)[:20] + "\r\n0\r\n\r\n",
	"HTTP/1.0 404 Not Found\r\nServer: old\r\n\r\nnothing here",
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: now\r\n\r\n",
	"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
	okHead + "Connection: keep-alive\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
}

// TestAnyAnswerIsReadAsNetHTTPReadsIt changes answers at random, and asks with http.Transport, too.
func TestAnyAnswerIsReadAsNetHTTPReadsIt(t *testing.T) {
	rnd := seed.Random(t)
	var answer atomic.Value
	address := serve(t, "127.0.0.1:0", func(conn net.Conn) { _, _ = io.WriteString(conn, answer.Load().(string)) })
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: MaxHeaderBytes}
	c, target := newChecker(), NewTarget("home", address)
	target.MaxRedirects = 0
	for range seed.Runs(t, 600) {
		answer.Store(changed(rnd, answers[rnd.IntN(len(answers))]))
		o := c.do(t.Context(), &target)
		got, want := fmt.Sprint(o.status, o.version, o.bodyBytes, o.err == nil), readByNetHTTP(t, transport, address)
		if got != want {
			t.Errorf("%q: got %s, want %s: %v", answer.Load(), got, want, o.err)
		}
	}
}

func readByNetHTTP(t *testing.T, transport *http.Transport, address string) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Sprint(0, "", 0, false)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 100 { // which it takes for a status, and we do not
		return fmt.Sprint(0, "", 0, false)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	return fmt.Sprint(resp.StatusCode, httpVersions[[2]int{resp.ProtoMajor, resp.ProtoMinor}], n, err == nil)
}

// changed cuts, repeats, loses or exchanges a few pieces of text.
func changed(rnd *rand.Rand, text string) string {
	for range rnd.IntN(4) {
		if text == "" {
			break
		}
		from := rnd.IntN(len(text))
		to := min(len(text), from+rnd.IntN(12))
		switch rnd.IntN(5) {
		case 0:
			text = text[:from]
		case 1:
			text = text[:to] + text[from:]
		case 2:
			text = text[:from] + text[to:]
		case 3:
			text = text[:from] + string(rune(rnd.IntN(256))) + text[min(len(text), from+1):]
		default:
			text = strings.Replace(text, "\r\n", "\n", 1+rnd.IntN(3))
		}
	}
	return text
}

// TestChecksAtTheSameTimeDoNotShareAnything lets one checker, which keeps what it reads with for the next, read different bodies.
func TestChecksAtTheSameTimeDoNotShareAnything(t *testing.T) {
	c := newChecker()
	var all sync.WaitGroup
	for i := range 8 {
		body := strings.Repeat(fmt.Sprint(i), 1000*(i+1))
		head := okHead
		if i%2 == 1 {
			head += "Content-Encoding: gzip\r\n"
		}
		target := NewTarget("home", serve(t, "127.0.0.1:0", func(conn net.Conn) {
			_, _ = io.WriteString(conn, head+"\r\n")
			if i%2 == 0 {
				_, _ = io.WriteString(conn, body)
				return
			}
			w := gzip.NewWriter(conn)
			_, _ = io.WriteString(w, body)
			_ = w.Close()
		}))
		target.BodyMatches = regexp.MustCompile("^" + fmt.Sprint(i) + "+$")
		for range 4 {
			all.Go(func() {
				for range 20 {
					if e := c.check(t.Context(), &target, ""); e.Outcome != "up" || int(*e.BodyBytes) != len(body) {
						t.Errorf("%s, %s", e.Outcome, text(e.FailureText))
					}
				}
			})
		}
	}
	all.Wait()
}
