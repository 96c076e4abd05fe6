package schemas_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/schemas"
)

// history is what a registry elsewhere had, under subjects of the test's own and ids that are free: one text under two
// subjects, a version that was deleted for good, and one that was deleted softly.
func history(t *testing.T, r *schemas.Registry, subject string) []schemas.Version {
	t.Helper()
	id, err := r.Register(context.Background(), other(t, "first-"+subject, `"int"`))
	if err != nil {
		t.Fatal(err)
	}
	a := other(t, subject, `["null","int"],"default":null`).Text
	b := other(t, subject, `["null","int"],"default":null,"doc":"more"`).Text
	return []schemas.Version{
		{Subject: "a-" + subject, Number: 1, ID: id + 50, Text: a},
		{Subject: "a-" + subject, Number: 3, ID: id + 70, Text: b, Deleted: true},
		{Subject: "b-" + subject, Number: 2, ID: id + 50, Text: a},
	}
}

// later is a schema that may follow v.
func later(t *testing.T, v schemas.Version) *schemas.Schema {
	t.Helper()
	s, err := schemas.ParseSchema(v.Subject, strings.Replace(v.Text, `"name": "f"`, `"name": "f", "doc": "later"`, 1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantVersions checks that the registry has these versions, which are in order of subject, and no others of theirs.
func wantVersions(t *testing.T, r *schemas.Registry, want []schemas.Version) {
	t.Helper()
	var got []schemas.Version
	for i, v := range want {
		if i > 0 && want[i-1].Subject == v.Subject {
			continue
		}
		versions, err := r.Versions(context.Background(), v.Subject, true)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, versions...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnImportKeepsIDsNumbersAndDeletions(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	versions := history(t, r, schemas.Subject(topic))
	if err := r.Import(ctx, versions[:1]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds everything there
		if err := r.Import(ctx, versions); err != nil {
			t.Fatal(err)
		}
		wantVersions(t, r, versions)
	}
	for _, v := range versions {
		if s, err := r.WriterSchema(ctx, v.Subject, v.ID); err != nil || s.Text != v.Text {
			t.Errorf("%s by id %d: %v", v.Subject, v.ID, err)
		}
	}
	id, err := r.Register(ctx, later(t, versions[0]))
	if err != nil || id <= versions[1].ID {
		t.Errorf("registered afterwards: id %d, %v, want one above %d", id, err, versions[1].ID)
	}
}

func TestAnImportInPlaceOfOthersWritesNothing(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	versions := history(t, r, schemas.Subject(topic))
	if err := r.Import(ctx, versions[:1]); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(v *schemas.Version){
		"an id of another schema":   func(v *schemas.Version) { v.Subject, v.ID = "n-"+v.Subject, versions[0].ID },
		"another id of the version": func(v *schemas.Version) { v.Number = versions[0].Number },
	} {
		t.Run(what, func(t *testing.T) {
			v := versions[1]
			change(&v)
			fine := schemas.Version{Subject: "0-" + v.Subject, Number: 1, ID: v.ID + 10, Text: other(t, v.Subject, `"long"`).Text}
			err := r.Import(ctx, []schemas.Version{fine, v})
			taken, ok := errors.AsType[*schemas.TakenError](err)
			if !ok || len(taken.Conflicts) != 1 || !strings.Contains(err.Error(), "nothing was written") {
				t.Errorf("got %v", err)
			}
			if got, err := r.Versions(ctx, fine.Subject, true); err != nil || len(got) > 0 {
				t.Errorf("written: %v %v", got, err)
			}
		})
	}
}

func TestAnImportThatContradictsItselfIsRefused(t *testing.T) {
	r, _, topic := registry(t)
	subject := schemas.Subject(topic)
	v := schemas.Version{Subject: subject, Number: 1, ID: 1, Text: `"int"`}
	for what, second := range map[string]schemas.Version{
		"no subject":         {Number: 1, ID: 1, Text: `"int"`},
		"no number":          {Subject: subject, ID: 1, Text: `"int"`},
		"no id":              {Subject: subject, Number: 2, Text: `"int"`},
		"no schema":          {Subject: subject, Number: 2, ID: 2, Text: `{"type":"recor`},
		"two schemas for id": {Subject: subject, Number: 2, ID: 1, Text: `"long"`},
		"twice":              v,
	} {
		if err := r.Import(context.Background(), []schemas.Version{v, second}); err == nil {
			t.Errorf("%s: imported", what)
		}
	}
	if got, err := r.Versions(context.Background(), subject, true); err != nil || len(got) > 0 {
		t.Errorf("written: %v %v", got, err)
	}
}

// cutOff lets so many requests through, and fails the others.
type cutOff struct {
	next http.RoundTripper
	left atomic.Int64
}

func (c *cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.left.Add(-1) < 0 {
		return nil, errors.New("cut off")
	}
	return c.next.RoundTrip(r)
}

func TestAnImportCutOffAnywhereSaysSoAndIsFinishedByAnother(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	url := client.OptValue(sr.URLs).([]string)[0]
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for requests := 0; ; requests++ {
		versions := history(t, r, strings.Repeat("x", requests)+schemas.Subject(topic))
		through := &cutOff{next: transport}
		through.left.Store(int64(requests))
		cut, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Transport: through, Timeout: 10 * time.Second}))
		if err != nil {
			t.Fatal(err)
		}
		err = schemas.NewRegistry(cut).Import(ctx, versions)
		if err == nil {
			t.Logf("whole with %d requests", requests)
			wantVersions(t, r, versions)
			return
		}
		if halfway, ok := errors.AsType[*schemas.ImportError](err); ok && !strings.Contains(halfway.Error(), "could not be read") {
			t.Errorf("cut off after %d requests, it claims to know what was written: %v", requests, err)
		}
		if err := r.Import(ctx, versions); err != nil {
			t.Fatalf("after a cut at %d: %v", requests, err)
		}
		wantVersions(t, r, versions)
		if _, err := r.Register(ctx, later(t, versions[2])); err != nil {
			t.Errorf("after a cut at %d, and another import, the subject takes no schema: %v", requests, err)
		}
	}
}
