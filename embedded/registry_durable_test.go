package embedded

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"
)

func TestModesAndConfigurationOutliveARestart(t *testing.T) {
	dir := dataDir(t)
	s, cl := startTestRegistry(t, dir)
	ctx := t.Context()
	normalize := sr.SetCompatibility{Level: sr.CompatForward, Normalize: true}
	for _, err := range []error{
		cl.SetMode(ctx, sr.ModeImport, "imported")[0].Err,
		cl.SetMode(ctx, sr.ModeReadOnly, "closed")[0].Err,
		cl.SetMode(ctx, sr.ModeReadOnly, "opened")[0].Err,
		cl.ResetMode(ctx, "opened")[0].Err,
		cl.SetCompatibility(ctx, normalize, "normalized")[0].Err,
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cl.RegisterSchema(ctx, "imported", avroText(schemaA), 41, 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, cl = startTestRegistry(t, dir)
	if got := cl.Mode(ctx, "imported")[0]; got.Mode != sr.ModeImport {
		t.Errorf("imported: %+v", got)
	}
	wantRefusal(t, cl.Mode(ctx, "opened")[0].Err, 404, 40409)
	_, err := cl.CreateSchema(ctx, "closed", avroText(schemaA))
	wantRefusal(t, err, 422, 42205)
	if got := cl.Compatibility(ctx, "normalized")[0]; got.Level != sr.CompatForward || !got.Normalize {
		t.Errorf("normalized: %+v", got)
	}
	if got, err := cl.SchemaByVersion(ctx, "imported", 7); err != nil || got.ID != 41 {
		t.Errorf("imported version 7: %+v %v", got, err)
	}
	if next := register(t, cl, "later", optional); next.ID != 42 {
		t.Errorf("the next id is %d, want 42", next.ID)
	}
}

// A log of the release before modes, configuration and canonical texts: it has two texts of one schema under two ids.
func TestALogFromBeforeIsStillRead(t *testing.T) {
	dir := dataDir(t)
	before, err := os.ReadFile(filepath.Join("testdata", "registry_before_modes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "registry"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "registry", "schemas.jsonl"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	_, cl := startTestRegistry(t, dir)
	ctx := sr.WithParams(t.Context(), sr.ShowDeleted)
	got := map[string][]int{}
	for _, subject := range []string{"a-value", "b-value"} {
		versions, err := cl.Schemas(ctx, subject)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			got[subject] = append(got[subject], v.ID)
		}
	}
	if diff := cmp.Diff(map[string][]int{"a-value": {1, 2}, "b-value": {1, 3}}, got); diff != "" {
		t.Error(diff)
	}
	if level := cl.Compatibility(ctx, "b-value")[0]; level.Level != sr.CompatNone {
		t.Errorf("b-value is at %v", level)
	}
	wantRefusal(t, cl.Compatibility(ctx, "a-value")[0].Err, 404, 40408)
	if level := cl.Compatibility(ctx)[0]; level.Level != sr.CompatBackward {
		t.Errorf("all are at %v", level)
	}
	if again := register(t, cl, "c-value", ` {"name":"R","type":"record","fields":[{"name":"a","type":"long"}]}`); again.ID != 1 {
		t.Errorf("the schema that has id 1 got %d in another subject", again.ID)
	}
}

func TestWhatARegistryAnsweredOutlivesItsKilling(t *testing.T) {
	dir := dataDir(t)
	const kills, each = 5, 9
	want := map[string]int{}
	for round := range kills {
		child := play(t, "registry", dir)
		// Not the client's own 5 s: a slow disk may take so long for a change.
		cl, err := sr.NewClient(sr.URLs(child.said), sr.HTTPClient(&http.Client{Timeout: 30 * time.Second}))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		answered := make(chan struct{}, 1)
		var failed error // read after ended
		go func() {
			defer close(ended)
			for n := 0; ; n++ {
				subject := fmt.Sprintf("s-%d-%d", round, n)
				text := fmt.Sprintf(`{"type":"record","name":"R%d_%d","fields":[]}`, round, n)
				id, err := cl.RegisterSchema(t.Context(), subject, avroText(text), -1, -1)
				if err == nil {
					err = cl.SetMode(t.Context(), sr.ModeReadOnly, subject)[0].Err
				}
				if err != nil {
					failed = err
					return
				}
				if want[subject] = id; n == each {
					answered <- struct{}{}
				}
			}
		}()
		select {
		case <-answered:
		case <-ended:
			t.Fatalf("the registry stopped answering before it was killed: %v", failed)
		}
		child.kill()
		<-ended
		cl.OptValue(sr.HTTPClient).(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
	_, cl := startTestRegistry(t, dir)
	ids := map[int]bool{}
	for subject, id := range want {
		if got, err := cl.SchemaByVersion(t.Context(), subject, 1); err != nil || got.ID != id || ids[id] {
			t.Errorf("%s: %+v %v, want id %d, that no other has", subject, got, err, id)
		}
		if got := cl.Mode(t.Context(), subject)[0]; got.Mode != sr.ModeReadOnly {
			t.Errorf("%s has mode %v %v", subject, got.Mode, got.Err)
		}
		ids[id] = true
	}
	t.Logf("%d answers outlived %d kills", 2*len(want), kills)
}

func TestAllSubjectsFollowOneMode(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	ctx := t.Context()
	set := func(mode string, subject ...string) {
		t.Helper()
		path := "/mode"
		if len(subject) > 0 {
			path += "/" + subject[0]
		}
		if err := cl.Do(ctx, "PUT", path, map[string]string{"mode": mode}, nil); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(subject string, code int) {
		t.Helper()
		_, err := cl.RegisterSchema(ctx, subject, avroText(schemaA), -1, -1)
		wantRefusal(t, err, 422, code)
	}
	set("READONLY")
	refused("s", 42205)
	wantRefusal(t, cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull})[0].Err, 422, 42205)
	set("READWRITE", "own")
	register(t, cl, "own", schemaA)
	set("READONLY_OVERRIDE")
	refused("own", 42205)
	set("readwrite")
	register(t, cl, "own", optional)
	wantRefusal(t, cl.SetMode(ctx, sr.ModeImport)[0].Err, 422, 42205)
	if _, err := cl.DeleteSubject(ctx, "own", sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	set("IMPORT") // no live schema is left, and what was deleted softly goes
	if got, err := cl.Subjects(sr.WithParams(ctx, sr.ShowDeleted)); err != nil || len(got) > 0 {
		t.Errorf("subjects %v %v, want none", got, err)
	}
	if err := cl.ResetMode(ctx)[0].Err; err != nil {
		t.Fatal(err)
	}
	if got := register(t, cl, "own", schemaA); got.Version != 1 || got.ID != 1 {
		t.Errorf("registered again as %+v, want version 1 with id 1", got)
	}
}

func TestATornChangeOfModeIsForgotten(t *testing.T) {
	dir := dataDir(t)
	s, cl := startTestRegistry(t, dir)
	register(t, cl, "s", schemaA)
	if err := cl.SetMode(t.Context(), sr.ModeReadOnly, "s")[0].Err; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "registry", "schemas.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := bytes.IndexByte(whole, '\n') + 1; cut <= len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := openStore(path)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		if mode := store.mode("s"); (mode == modeReadOnly) != (cut == len(whole)) {
			t.Errorf("cut at %d of %d: mode %s", cut, len(whole), mode)
		}
		if err := store.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASchemaThatComesBackReplacesItsDeletedVersion(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	ctx := sr.WithParams(t.Context(), sr.ShowDeleted)
	first := register(t, cl, "s", schemaA)
	register(t, cl, "s", optional)
	if err := cl.DeleteSchema(t.Context(), "s", 1, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if again := register(t, cl, "s", schemaA); again.ID != first.ID || again.Version != 3 {
		t.Errorf("it came back as %+v, want id %d, version 3", again, first.ID)
	}
	if got, err := cl.SubjectVersions(ctx, "s"); err != nil || !slices.Equal(got, []int{2, 3}) {
		t.Errorf("versions %v %v, want 2 and 3", got, err)
	}
}

func TestForceRegistersWhatIsIncompatible(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	register(t, cl, "s", schemaA)
	_, err := cl.CreateSchema(t.Context(), "s", avroText(retyped))
	wantRefusal(t, err, 409, 40901)
	if _, err := cl.CreateSchema(sr.WithParams(t.Context(), sr.Force), "s", avroText(retyped)); err != nil {
		t.Error(err)
	}
}
