package schemas_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// The road from one machine to a registry of one's own: what was registered in the embedded one is imported, and an event
// written before is read by the other registry alone.
func TestEventsKeepTheirMeaningInTheRegistryTheirSchemasMoveTo(t *testing.T) {
	to, _, topic := registry(t)
	ctx := context.Background()
	server, err := embedded.StartRegistry(ctx, embedded.RegistryConfig{Dir: testservices.DataDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := sr.NewClient(sr.URLs(server.URL()), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	from := schemas.NewRegistry(client)
	first := history(t, to, schemas.Subject(topic))[:1] // its id is free there, and so are those after it
	if err := from.Import(ctx, first); err != nil {
		t.Fatal(err)
	}
	checks := schemas.CheckCompleted(topic)
	// A text that the other registry does not have under another id.
	own, err := schemas.ParseSchema(checks.Subject, strings.Replace(checks.Text, "{", fmt.Sprintf("{%q: %q,", "test", topic), 1))
	if err != nil {
		t.Fatal(err)
	}
	done, err := from.RegisterAt(ctx, own, schemas.LevelFullTransitive)
	if err != nil {
		t.Fatal(err)
	}
	slot := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	want := event.CheckCompleted{
		EventID: schemas.EventID("home", "here", slot), TargetID: "home", Location: "here", Slot: slot, StartedAt: slot,
		Outcome: event.OutcomeUp, Attempts: 1, DefinitionVersion: "0123456789ab", Prober: "p",
	}
	value, err := schemas.NewEncoder(own, done.ID).AppendEncode(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	var moved []schemas.Version
	subjects, err := from.Subjects(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range subjects {
		versions, err := from.Versions(ctx, subject, true)
		if err != nil {
			t.Fatal(err)
		}
		moved = append(moved, versions...)
	}
	if err := to.Import(ctx, moved); err != nil {
		t.Fatal(err)
	}
	var got event.CheckCompleted
	if err := schemas.NewDecoder(to, checks).Decode(ctx, value, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
