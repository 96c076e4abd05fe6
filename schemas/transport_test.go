package schemas

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

// transport answers without a network, for tests that hold time still. Its zero value has this build's schema under
// every id.
type transport struct {
	status   int
	body     string
	hold     chan struct{} // if not nil, requests wait until it is closed
	requests int
}

func (f *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	f.requests++
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	status, body := f.status, f.body
	if status == 0 {
		status = http.StatusOK
		answer, _ := json.Marshal(map[string]string{"schema": checkCompletedText})
		if body = string(answer); strings.HasSuffix(r.URL.Path, "/versions") {
			body = `[{"subject":"` + Subject(TopicChecks) + `","version":1}]`
		}
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func (f *transport) registry(t testing.TB) *Registry {
	t.Helper()
	client, err := sr.NewClient(sr.HTTPClient(&http.Client{Transport: f}))
	if err != nil {
		t.Fatal(err)
	}
	return NewRegistry(client)
}
