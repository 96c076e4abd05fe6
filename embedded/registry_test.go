package embedded

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices/port"
)

const (
	schemaA  = `{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}`
	optional = `{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null}]}`
	required = `{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}`
	fewer    = `{"type":"record","name":"R","fields":[]}`
	retyped  = `{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}`
)

func startTestRegistry(t *testing.T, dir string) (*RegistryServer, *sr.Client) {
	t.Helper()
	s, err := StartRegistry(t.Context(), RegistryConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{DisableKeepAlives: true}
	cl, err := sr.NewClient(sr.URLs(s.URL()), sr.HTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	return s, cl
}

func avroText(text string) sr.Schema { return sr.Schema{Schema: text} }

func register(t *testing.T, cl *sr.Client, subject, text string) sr.SubjectSchema {
	t.Helper()
	ss, err := cl.CreateSchema(t.Context(), subject, avroText(text))
	if err != nil {
		t.Fatalf("registering %s: %v", text, err)
	}
	return ss
}

// wantRefusal checks the status and the code of an answer.
func wantRefusal(t *testing.T, err error, status, code int) {
	t.Helper()
	var rest *sr.ResponseError
	if !errors.As(err, &rest) || rest.StatusCode != status || rest.ErrorCode != code || rest.Message == "" {
		t.Errorf("got %v, want status %d and code %d with a message", err, status, code)
		if rest != nil {
			t.Logf("status %d, code %d", rest.StatusCode, rest.ErrorCode)
		}
	}
}

func TestRegisteredSchemasAreTheSameAfterARestart(t *testing.T) {
	dir := dataDir(t)
	port.Keep(t, filepath.Join(dir, "registry", "port"))
	s, cl := startTestRegistry(t, dir)
	first := register(t, cl, "checks-value", schemaA)
	again := register(t, cl, "checks-value", schemaA)
	second := register(t, cl, "checks-value", optional)
	shared := register(t, cl, "other-value", schemaA)
	cl.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone}, "other-value")
	if first.ID != again.ID || first.ID != shared.ID || first.ID == second.ID || again.Version != 1 || second.Version != 2 || shared.Version != 1 {
		t.Errorf("ids and versions: %v %v %v %v", first, again, second, shared)
	}
	url := s.URL()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, cl = startTestRegistry(t, dir)
	if s.URL() != url {
		t.Errorf("restarted at %s, was at %s", s.URL(), url)
	}
	all, err := cl.AllSchemas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]sr.SubjectSchema{first, second, shared}, all); diff != "" {
		t.Error(diff)
	}
	if level := cl.Compatibility(t.Context(), "other-value")[0]; level.Level != sr.CompatNone {
		t.Errorf("level %v (%v), want NONE", level.Level, level.Err)
	}
}

func TestEveryReadingCallAnswers(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	id := register(t, cl, "a-value", schemaA).ID
	register(t, cl, "a-value", optional)
	register(t, cl, "b-value", schemaA)
	ctx := t.Context()
	ask := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	types, err := cl.SupportedTypes(ctx)
	ask("types", types, err, []sr.SchemaType{sr.TypeAvro})
	subjects, err := cl.Subjects(ctx)
	ask("subjects", subjects, err, []string{"a-value", "b-value"})
	subjects, err = cl.Subjects(sr.WithParams(ctx, sr.SubjectPrefix("b")))
	ask("subjects with a prefix", subjects, err, []string{"b-value"})
	versions, err := cl.SubjectVersions(ctx, "a-value")
	ask("versions", versions, err, []int{1, 2})
	schema, err := cl.SchemaByID(ctx, id)
	ask("schema by id", schema, err, avroText(schemaA))
	text, err := cl.SchemaTextByID(ctx, id)
	ask("text by id", text, err, schemaA)
	text, err = cl.SchemaTextByVersion(ctx, "a-value", -1)
	ask("latest text", text, err, optional)
	subjects, err = cl.SubjectsByID(ctx, id)
	ask("subjects by id", subjects, err, []string{"a-value", "b-value"})
	uses, err := cl.SchemaVersionsByID(ctx, id)
	ask("versions by id", uses, err, []sr.SubjectVersion{{Subject: "a-value", Version: 1}, {Subject: "b-value", Version: 1}})
	found, err := cl.LookupSchema(ctx, "b-value", avroText(schemaA))
	ask("look-up", found, err, sr.SubjectSchema{Subject: "b-value", Version: 1, ID: id, Schema: avroText(schemaA)})
	refs, err := cl.SchemaReferences(ctx, "a-value", 1)
	ask("references", refs, err, []sr.SubjectSchema(nil))
	if mode := cl.Mode(ctx)[0]; mode.Err != nil || mode.Mode != sr.ModeReadWrite {
		t.Errorf("mode %v", mode)
	}
	if level := cl.Compatibility(ctx)[0]; level.Err != nil || level.Level != sr.CompatFullTransitive {
		t.Errorf("level %v", level)
	}
}

func TestWhatIsNotThereHasConfluentsCodes(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	register(t, cl, "a-value", schemaA)
	ctx := t.Context()
	_, err := cl.SubjectVersions(ctx, "none")
	wantRefusal(t, err, 404, 40401)
	_, err = cl.SchemaByVersion(ctx, "none", 1)
	wantRefusal(t, err, 404, 40401)
	_, err = cl.SchemaByVersion(ctx, "a-value", 9)
	wantRefusal(t, err, 404, 40402)
	_, err = cl.SchemaByVersion(ctx, "a-value", -7)
	wantRefusal(t, err, 422, 42202)
	_, err = cl.SchemaByID(ctx, 99)
	wantRefusal(t, err, 404, 40403)
	_, err = cl.LookupSchema(ctx, "none", avroText(schemaA))
	wantRefusal(t, err, 404, 40401)
	_, err = cl.LookupSchema(ctx, "a-value", avroText(optional))
	wantRefusal(t, err, 404, 40403)
	wantRefusal(t, cl.Compatibility(ctx, "a-value")[0].Err, 404, 40408)
	_, err = cl.CreateSchema(ctx, "a-value", avroText(`{"type":"recor`))
	wantRefusal(t, err, 422, 42201)
	_, err = cl.CreateSchema(ctx, "a-value", avroText(`""`))
	wantRefusal(t, err, 422, 42201)
	_, err = cl.CreateSchema(ctx, "a-value", sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	wantRefusal(t, err, 422, 42201)
	_, err = cl.CreateSchema(ctx, "a-value", sr.Schema{Schema: schemaA, References: []sr.SchemaReference{{Name: "x", Subject: "y", Version: 1}}})
	wantRefusal(t, err, 422, 42201)
	wantRefusal(t, cl.Do(ctx, http.MethodPut, "/config", map[string]string{"compatibility": "SOME"}, nil), 422, 42203)
	_, err = cl.CreateSchema(ctx, "a-value", avroText(`{"type":"string","doc":"`+strings.Repeat("x", maxSchemaBytes)+`"}`))
	wantRefusal(t, err, 413, 413)
}

// A schema that names a type it does not define must not find it in one that was registered before.
func TestSchemasDoNotSeeEachOthersTypes(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	register(t, cl, "a-value", `{"type":"record","name":"leaked.Type","fields":[]}`)
	_, err := cl.CreateSchema(t.Context(), "b-value", avroText(`{"type":"record","name":"X","fields":[{"name":"f","type":"leaked.Type"}]}`))
	wantRefusal(t, err, 422, 42201)
}

func TestEachLevelRefusesOnBothPathsWhatItForbids(t *testing.T) {
	for _, c := range []struct {
		level   sr.CompatibilityLevel
		older   []string
		newer   string
		allowed bool
	}{
		{sr.CompatNone, []string{schemaA}, retyped, true},
		{sr.CompatBackward, []string{schemaA}, fewer, true},
		{sr.CompatBackward, []string{schemaA}, required, false},
		{sr.CompatForward, []string{schemaA}, required, true},
		{sr.CompatForward, []string{schemaA}, fewer, false},
		{sr.CompatFull, []string{schemaA}, optional, true},
		{sr.CompatFull, []string{schemaA}, required, false},
		{sr.CompatFull, []string{schemaA}, fewer, false},
		{sr.CompatBackward, []string{schemaA, fewer}, retypedOptional, true},
		{sr.CompatBackwardTransitive, []string{schemaA, fewer}, retypedOptional, false},
		{sr.CompatForward, []string{fewer, schemaA}, required, true},
		{sr.CompatForward, []string{retypedOptional, fewer}, schemaA, true},
		{sr.CompatForwardTransitive, []string{retypedOptional, fewer}, schemaA, false},
		{sr.CompatFull, []string{retypedOptional, fewer}, optionalA, true},
		{sr.CompatFullTransitive, []string{retypedOptional, fewer}, optionalA, false},
		{sr.CompatFullTransitive, []string{schemaA}, optional, true},
	} {
		t.Run(fmt.Sprintf("%v/%d", c.level, len(c.older)), func(t *testing.T) {
			checkLevel(t, c.level, c.older, c.newer, c.allowed)
		})
	}
}

const (
	retypedOptional = `{"type":"record","name":"R","fields":[{"name":"a","type":"string","default":""}]}`
	optionalA       = `{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":0}]}`
)

func checkLevel(t *testing.T, level sr.CompatibilityLevel, older []string, newer string, allowed bool) {
	t.Helper()
	_, cl := startTestRegistry(t, dataDir(t))
	ctx := t.Context()
	set := func(level sr.CompatibilityLevel) {
		if err := cl.SetCompatibility(ctx, sr.SetCompatibility{Level: level}, "s")[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	set(sr.CompatNone)
	for _, text := range older {
		register(t, cl, "s", text)
	}
	set(level)
	answer, err := cl.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), "s", -2, avroText(newer))
	if err != nil || answer.Is != allowed || (len(answer.Messages) == 0) != allowed {
		t.Errorf("asked: %+v %v, want %v", answer, err, allowed)
	}
	_, err = cl.CreateSchema(ctx, "s", avroText(newer))
	if allowed && err != nil {
		t.Errorf("registering: %v", err)
	}
	if !allowed {
		wantRefusal(t, err, 409, 40901)
	}
}

// hamba's checker remembers answers by a form of the schema that leaves defaults out: the same question with and without a
// default must not get the same answer.
func TestAnswersDoNotDependOnEarlierQuestions(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	register(t, cl, "s", schemaA)
	withDefault := strings.Replace(required, `"type":"string"`, `"type":"string","default":""`, 1)
	for range 2 {
		for text, want := range map[string]bool{required: false, withDefault: true} {
			got, err := cl.CheckCompatibility(t.Context(), "s", -2, avroText(text))
			if err != nil || got.Is != want {
				t.Errorf("%s: %v %v, want %v", text, got.Is, err, want)
			}
		}
	}
}

func TestRecursiveSchemasAreComparedAndEnd(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	const list = `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"],"default":null}]}`
	longer := strings.Replace(list, `"fields":[`, `"fields":[{"name":"v","type":"long","default":0},`, 1)
	register(t, cl, "s", list)
	register(t, cl, "s", longer)
}

func TestDeeplyNestedSchemasAreRefusedAtOnce(t *testing.T) {
	_, cl := startTestRegistry(t, dataDir(t))
	const deep = 20_000
	text := strings.Repeat(`{"type":"array","items":`, deep) + `"int"` + strings.Repeat("}", deep)
	_, err := cl.CreateSchema(t.Context(), "s", avroText(text))
	wantRefusal(t, err, 422, 42201)
}

func TestDeletingIsSoftThenHard(t *testing.T) {
	dir := dataDir(t)
	s, cl := startTestRegistry(t, dir)
	ctx := t.Context()
	id := register(t, cl, "s", schemaA).ID
	register(t, cl, "s", optional)
	wantRefusal(t, cl.DeleteSchema(ctx, "s", 2, sr.HardDelete), 404, 40407)
	if err := cl.DeleteSchema(ctx, "s", 2, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if got, err := cl.SubjectVersions(ctx, "s"); err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("versions %v %v, want 1", got, err)
	}
	if got, err := cl.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), "s"); err != nil || !slices.Equal(got, []int{1, 2}) {
		t.Errorf("versions with the deleted %v %v, want 1 and 2", got, err)
	}
	if err := cl.DeleteSchema(ctx, "s", 2, sr.HardDelete); err != nil {
		t.Fatal(err)
	}
	if v := register(t, cl, "s", optional).Version; v != 3 {
		t.Errorf("registered as version %d, want 3: numbers are not used again", v)
	}
	_, err := cl.DeleteSubject(ctx, "s", sr.HardDelete)
	wantRefusal(t, err, 404, 40405)
	if got, err := cl.DeleteSubject(ctx, "s", sr.SoftDelete); err != nil || !slices.Equal(got, []int{1, 3}) {
		t.Errorf("deleted %v %v", got, err)
	}
	_, err = cl.DeleteSubject(ctx, "s", sr.SoftDelete)
	wantRefusal(t, err, 404, 40404)
	if _, err = cl.DeleteSubject(ctx, "s", sr.HardDelete); err != nil {
		t.Fatal(err)
	}
	_, err = cl.DeleteSubject(ctx, "s", sr.SoftDelete)
	wantRefusal(t, err, 404, 40401)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, cl = startTestRegistry(t, dir)
	// Messages written with the id are still there: it stays readable.
	if got, err := cl.SchemaTextByID(ctx, id); err != nil || got != schemaA {
		t.Errorf("schema %d is %q %v", id, got, err)
	}
	if got := register(t, cl, "s", schemaA); got.ID != id || got.Version != 1 {
		t.Errorf("registered again as %+v, want id %d, version 1", got, id)
	}
}

func TestRegistryAnswersThisMachineOnly(t *testing.T) {
	s, _ := startTestRegistry(t, dataDir(t))
	for what, change := range map[string]func(*http.Request){
		"another host's name":    func(r *http.Request) { r.Host = "evil.example" },
		"a page of another site": func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL()+"/config", strings.NewReader(`{"compatibility":"NONE"}`))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s: %s", what, resp.Status)
		}
	}
}
