package schemas

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

// TestAnObserverIsToldOfEveryFetch holds that an answer is no error to it, whatever the registry answers.
func TestAnObserverIsToldOfEveryFetch(t *testing.T) {
	away := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error_code":40403,"message":"Schema not found"}`))
	}))
	t.Cleanup(server.Close)
	client, err := sr.NewClient(sr.URLs(server.URL),
		sr.HTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	if err != nil {
		t.Fatal(err)
	}
	var told []error
	registry := NewRegistry(client).Observed(func(err error) { told = append(told, err) })
	for _, away = range []bool{false, true} {
		if _, err := registry.WriterSchema(t.Context(), "subject", 7); err == nil {
			t.Error("there was a schema")
		}
	}
	if len(told) != 2 || told[0] != nil || told[1] == nil {
		t.Errorf("told %v, want nothing of the answer and an error of its absence", told)
	}
}
