package prober

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"webcheck/schemas"
)

// BenchmarkCheckBesideABareGet runs a check, with its event encoded, and a bare GET of net/http with a new connection in
// turns, and reports how the two compare in the same run. The server is in this process and costs both the same.
func BenchmarkCheckBesideABareGet(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()
	bare := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	checker, target := newChecker(), NewTarget("home", server.URL)
	version := target.Version()
	encoder := schemas.NewEncoder(schemas.CheckCompleted(schemas.TopicChecks), 1)
	var checks, gets time.Duration
	var value []byte
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		e := checker.check(b.Context(), &target, version)
		e.Location, e.Prober, e.Slot = "here", "prober-1", SlotAt(target, e.StartedAt)
		e.EventID = schemas.EventID(e.TargetID, e.Location, e.Slot)
		var err error
		if value, err = encoder.AppendEncode(value[:0], e); err != nil || e.Outcome != "up" {
			b.Fatal(e.Outcome, err)
		}
		checked := time.Now()
		resp, err := bare.Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		checks += checked.Sub(began)
		gets += time.Since(checked)
	}
	b.ReportMetric(float64(checks.Microseconds())/float64(b.N), "us/check")
	b.ReportMetric(float64(gets.Microseconds())/float64(b.N), "us/get")
	b.ReportMetric(float64(checks)/float64(gets), "check/get")
}
