package schemas_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// registry returns a Registry, the client that it asks through, and a topic whose subject no other test has.
func registry(t *testing.T) (*schemas.Registry, *sr.Client, string) {
	t.Helper()
	service := testservices.Registry(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := sr.NewClient(sr.URLs(service.URL), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	return schemas.NewRegistry(client), client, service.Subject("webcheck.checks")
}

// other returns a schema that is not CheckCompleted, for the subject, with the field's type.
func other(t *testing.T, subject, typ string) *schemas.Schema {
	t.Helper()
	name := "R" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, subject)
	s, err := schemas.ParseSchema(subject, fmt.Sprintf(`{"type": "record", "name": %q, "fields": [{"name": "f", "type": %s}]}`, name, typ))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegisteringTwiceGivesOneID(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	s := schemas.CheckCompleted(topic)
	if _, err := r.LookUp(ctx, s); !errors.Is(err, schemas.ErrNotRegistered) {
		t.Fatalf("before: %v", err)
	}
	id, err := r.Register(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Register(ctx, s)
	if err != nil || again != id {
		t.Errorf("the second time: id %d, %v, want %d", again, err, id)
	}
	found, err := r.LookUp(ctx, s)
	if err != nil || found != id {
		t.Errorf("looked up: id %d, %v, want %d", found, err, id)
	}
	versions, err := client.SubjectVersions(ctx, s.Subject)
	if err != nil || len(versions) != 1 {
		t.Errorf("versions %v, %v, want one", versions, err)
	}
}

func TestTheRegistryTakesEverySchemaOfThisBuild(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	for _, s := range []*schemas.Schema{
		schemas.TargetDefined(topic + ".targets"), schemas.CheckCompleted(topic), schemas.TargetTransitioned(topic + ".transitions"),
	} {
		id, err := r.Register(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.WriterSchema(ctx, s.Subject, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.Text, got.Text); diff != "" {
			t.Errorf("%s came back changed: %s", s.Subject, diff)
		}
	}
}

func TestRegisteringAtOnceGivesOneID(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	ids := make([]int, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			var err error
			if ids[i], err = r.Register(ctx, schemas.CheckCompleted(topic)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("ids %v differ", ids)
			break
		}
	}
	// Apicurio may give the race a second version; what matters is that it is the same schema.
	registered, err := client.Schemas(ctx, schemas.Subject(topic))
	if err != nil || len(registered) == 0 {
		t.Fatalf("listing the versions: %v, %v", registered, err)
	}
	for _, v := range registered {
		if v.ID != ids[0] {
			t.Errorf("version %d has id %d, want %d", v.Version, v.ID, ids[0])
		}
	}
}

func TestARefusalTellsWhy(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	subject := schemas.Subject(topic)
	if _, err := r.Register(ctx, other(t, subject, `"int"`)); err != nil {
		t.Fatal(err)
	}
	for _, result := range client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, subject) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	s := other(t, subject, `"string"`)
	_, err := r.Register(ctx, s)
	refused, ok := errors.AsType[*schemas.IncompatibleError](err)
	if !ok || !errors.Is(err, schemas.ErrIncompatible) {
		t.Fatalf("got %v", err)
	}
	t.Logf("refused: %v", err)
	if text := strings.ToLower(strings.Join(refused.Messages, " ")); !strings.Contains(text, "string") || !strings.Contains(text, "int") {
		t.Errorf("the messages do not name both types: %q", refused.Messages)
	}
	if _, err := r.LookUp(ctx, s); !errors.Is(err, schemas.ErrNotRegistered) {
		t.Errorf("afterwards it is registered: %v", err)
	}
}

func TestWriterSchemaBelievesTheSubjectsOwnIDsAlone(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	s := schemas.CheckCompleted(topic)
	subject := s.Subject
	id, err := r.Register(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.WriterSchema(ctx, subject, id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != s.Text || got.Subject != subject {
		t.Errorf("under %q came back %s", got.Subject, cmp.Diff(s.Text, got.Text))
	}
	foreign, err := r.Register(ctx, other(t, "other-"+subject, `"int"`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		subject string
		id      int
	}{
		"an id of another subject": {subject, foreign},
		"an id that is not there":  {subject, 1<<31 - 1},
		"an unknown subject":       {"none-" + subject, id},
	} {
		if _, err := r.WriterSchema(ctx, c.subject, c.id); !errors.Is(err, schemas.ErrUnknownSchema) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatWasDeletedSoftlyIsStillRead(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	s := schemas.CheckCompleted(topic)
	id, err := r.Register(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteSubject(ctx, s.Subject, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriterSchema(ctx, s.Subject, id); err != nil {
		t.Error(err)
	}
}

func TestAnEventPassesThroughTheRegistry(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	s := schemas.CheckCompleted(topic)
	id, err := r.Register(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	slot := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	want := event.CheckCompleted{
		EventID: schemas.EventID("home", "here", slot), TargetID: "home", Location: "here", Slot: slot, StartedAt: slot.Add(time.Millisecond),
		Outcome: event.OutcomeDown, Failure: new(event.FailureTimeout), Attempts: 2, DefinitionVersion: "0123456789ab", Prober: "p",
	}
	value, err := schemas.NewEncoder(s, id).AppendEncode(nil, &want)
	if err != nil {
		t.Fatal(err)
	}
	var got event.CheckCompleted
	if err := schemas.NewDecoder(r, s).Decode(ctx, value, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
