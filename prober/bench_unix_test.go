//go:build unix

package prober

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"webcheck/schemas"
)

// BenchmarkCheckBesideABareGet runs a check, with its event encoded, and a bare GET of net/http with a new connection in
// turns, and reports how the two compare in the same run, in time and in CPU time. The server is in this process and costs
// both the same, which brings the ratio nearer to one than it is.
func BenchmarkCheckBesideABareGet(b *testing.B) {
	for _, scheme := range []string{"http", "https"} {
		b.Run(scheme, func(b *testing.B) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
			bare, checker := &http.Transport{DisableKeepAlives: true}, newChecker()
			if scheme == "http" {
				server.Start()
			} else {
				server.StartTLS()
				roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
				bare.TLSClientConfig, checker = &tls.Config{RootCAs: roots}, newCheckerTrusting(roots)
			}
			defer server.Close()
			besideBareGet(b, checker, &http.Client{Transport: bare}, server.URL)
		})
	}
}

func besideBareGet(b *testing.B, checker *checker, bare *http.Client, url string) {
	target := NewTarget("home", url)
	version := target.Version()
	encoder := schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 1)
	var checks, gets cost
	var value []byte
	b.ReportAllocs()
	for b.Loop() {
		checks.begin()
		e := checker.check(b.Context(), &target, version)
		e.Location, e.Prober, e.Slot = "here", "prober-1", SlotAt(target, e.StartedAt)
		e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
		var err error
		if value, err = encoder.AppendEncode(value[:0], e); err != nil || e.Outcome != "up" {
			b.Fatal(e.Outcome, text(e.FailureText), err)
		}
		checks.end()
		gets.begin()
		resp, err := bare.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		gets.end()
	}
	b.ReportMetric(float64(checks.time.Microseconds())/float64(b.N), "us/check")
	b.ReportMetric(float64(gets.time.Microseconds())/float64(b.N), "us/get")
	b.ReportMetric(float64(checks.time)/float64(gets.time), "check/get")
	b.ReportMetric(float64(checks.cpu)/float64(gets.cpu), "check/get-cpu")
}

// cost is what the process has spent between begin and end.
type cost struct {
	time, cpu time.Duration
	began     time.Time
	before    time.Duration
}

func (c *cost) begin() { c.before, c.began = cpuTime(), time.Now() }

func (c *cost) end() {
	c.time += time.Since(c.began)
	c.cpu += cpuTime() - c.before
}

// cpuTime is what the process used of the processors, in its own code and in the kernel.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
