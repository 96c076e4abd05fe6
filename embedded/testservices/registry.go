package testservices

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"webcheck/embedded"
)

// RegistryService is a schema registry for one test.
type RegistryService struct {
	URL string // without a slash at its end
}

// Registry gives a registry: WEBCHECK_TEST_REGISTRY, else an embedded one of this test.
func Registry(t testing.TB) *RegistryService {
	t.Helper()
	if url := os.Getenv("WEBCHECK_TEST_REGISTRY"); url != "" {
		r := &RegistryService{URL: strings.TrimRight(url, "/")}
		r.answering(t)
		return r
	}
	server, err := embedded.StartRegistry(context.Background(), embedded.RegistryConfig{Dir: DataDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &RegistryService{URL: server.URL()}
}

// Subject is a subject's name that begins with base and that no other test has.
func (r *RegistryService) Subject(base string) string { return unique(base) }

func (r *RegistryService) answering(t testing.TB) {
	t.Helper()
	client := &http.Client{Timeout: answerTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(r.URL + "/subjects")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s/subjects: %s", r.URL, resp.Status)
	}
}
