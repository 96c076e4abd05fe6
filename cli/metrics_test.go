package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"webcheck/embedded/testservices/port"
)

// free sets a variable to an address on loopback at which nobody listens, and nobody does by chance between two programs of the script.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: free VARIABLE")
	}
	number, err := port.Free()
	ts.Check(err)
	ts.Setenv(args[0], net.JoinHostPort("127.0.0.1", strconv.Itoa(number)))
}

// answers waits until a URL answers with the status and a text that matches: answers URL STATUS PATTERN.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: answers URL STATUS PATTERN")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := "nothing"
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if status, text, err := get(client, args[0]); err != nil {
			last = err.Error()
		} else if last = text; status == want && pattern.MatchString(text) {
			tick.Stop()
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s: got %s, want %d and %s", args[0], last, want, args[2])
		case <-tick.C:
		}
	}
}

func get(client *http.Client, url string) (status int, text string, err error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestReadinessFollowsTheWorkAndHidesSecrets(t *testing.T) {
	m := &metricsServer{registry: prometheus.NewRegistry()}
	routes := m.routes()
	check := func(path string, status int, text string) {
		t.Helper()
		recorder := httptest.NewRecorder()
		routes.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		if recorder.Code != status || recorder.Body.String() != text+"\n" {
			t.Errorf("%s: got %d %q, want %d %q", path, recorder.Code, recorder.Body, status, text)
		}
	}
	check("/readyz", http.StatusServiceUnavailable, "starting")
	var trouble error
	m.working(newScrubber(NewSecret("hunter22")), func() error { return trouble })
	check("/readyz", http.StatusOK, "ready")
	trouble = errors.New("waiting: signing in\n\twith hunter22\x1b[2J")
	check("/readyz", http.StatusServiceUnavailable, `waiting: signing in with `+redacted+`\x1b[2J`)
	check("/healthz", http.StatusOK, "alive")
	trouble = nil
	check("/readyz", http.StatusOK, "ready")
}

func TestMetricsThatAreOffCostNothing(t *testing.T) {
	p := &program{config: new(Config)}
	m, err := p.serveMetrics()
	if err != nil || m.registerer() != nil {
		t.Errorf("got %v, %v, want no registry and no error", m.registerer(), err)
	}
	m.close()
}

func TestAnAddressToListenAtHasAHostAndAPort(t *testing.T) {
	for _, good := range []string{"127.0.0.1:9090", ":9090", "localhost:0", "[::1]:65535"} {
		if err := checkListenAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"9090": "a port without a host", "localhost": "is not host:port", "::1:9090": "is not host:port",
		"localhost:65536": "no port from 0 to 65535", "localhost:http": "no port", "localhost:": "no port", "localhost:-1": "no port",
	} {
		if err := checkListenAddress(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", bad, err, want)
		}
	}
}
