package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// answer writes a registry's answer.
func answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const (
	none       = `{"error_code":40403,"message":"no such schema"}`
	noSubject  = `{"error_code":40401,"message":"no such subject"}`
	compatible = `{"is_compatible":true}`
)

// routes answers "METHOD path" as given, each call with the next of its answers and the last one for ever.
func routes(t *testing.T, answers map[string][]string) *Registry {
	t.Helper()
	calls := map[string]*atomic.Int64{}
	for route := range answers {
		calls[route] = &atomic.Int64{}
	}
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := r.Method + " " + r.URL.Path
		list, ok := answers[route]
		if !ok {
			http.NotFound(w, r)
			return
		}
		n := min(int(calls[route].Add(1)), len(list))
		text := list[n-1]
		status := http.StatusOK
		for prefix, code := range map[string]int{"404 ": 404, "405 ": 405, "409 ": 409, "422 ": 422, "401 ": 401, "500 ": 500} {
			if strings.HasPrefix(text, prefix) {
				status, text = code, text[4:]
			}
		}
		answer(w, status, text)
	}))
}

const (
	lookUp   = "POST /subjects/webcheck.checks-value"
	register = "POST /subjects/webcheck.checks-value/versions"
	check    = "POST /compatibility/subjects/webcheck.checks-value/versions"
	versions = "GET /subjects/webcheck.checks-value/versions"
	usages   = "GET /schemas/ids/3/versions"
	byID     = "GET /schemas/ids/3"
)

func TestRegisterUnderstandsEachAnswer(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string][]string
		id      int
		want    string // part of the error, or "" for none
		refused bool
	}{
		{"there already", map[string][]string{lookUp: {`{"id":3}`}}, 3, "", false},
		{"new", map[string][]string{lookUp: {"404 " + noSubject}, register: {`{"id":4}`}}, 4, "", false},
		{"refused with reasons", map[string][]string{lookUp: {"404 " + none}, register: {`409 {"error_code":40901,"message":"no"}`}, check: {`{"is_compatible":false,"messages":["one","two"]}`}}, 0, "one; two", true},
		{"refused with a message", map[string][]string{lookUp: {"404 " + none}, register: {`409 {"error_code":409,"message":"all of it"}`}, check: {`{"is_compatible":false,"reason":"x"}`}}, 0, "all of it", true},
		{"refused and no way to ask", map[string][]string{lookUp: {"404 " + none}, register: {`409 {"error_code":409,"message":"all of it"}`}}, 0, "all of it", true},
		{"lost a race", map[string][]string{lookUp: {"404 " + none, `{"id":5}`}, register: {`409 {"error_code":409,"message":"already exists"}`}, check: {compatible}}, 5, "", false},
		{"loses for ever", map[string][]string{lookUp: {"404 " + none}, register: {`409 {"error_code":409,"message":"already exists"}`}, check: {compatible}}, 0, "already exists", true},
		{"no schema", map[string][]string{lookUp: {"404 " + none}, register: {`422 {"error_code":42201,"message":"bad text"}`}}, 0, "the registry refuses it: bad text", false},
		{"in a mode that only reads", map[string][]string{lookUp: {"404 " + none}, register: {`422 {"error_code":42205,"message":"read-only mode"}`}}, 0, "registry answered 422", false},
		{"not allowed", map[string][]string{lookUp: {`401 {"error_code":40101,"message":"who are you"}`}}, 0, "registry answered 401 Unauthorized: who are you", false},
		{"not allowed to write", map[string][]string{lookUp: {"404 " + none}, register: {`401 {"error_code":40101,"message":"who are you"}`}}, 0, "registering the schema", false},
		{"in trouble", map[string][]string{lookUp: {"404 " + none}, register: {`500 {"error_code":50001,"message":"disk"}`}}, 0, "registry answered 500", false},
		{"no registry", nil, 0, "registry answered 404 Not Found", false},
		{"no JSON", map[string][]string{lookUp: {"<html>hello</html>"}}, 0, "looking up the schema", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := routes(t, c.answers).Register(context.Background(), CheckCompleted(TopicChecks))
			if id != c.id || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %d, %v, want %d, %q", id, err, c.id, c.want)
			}
			if errors.Is(err, ErrIncompatible) != c.refused {
				t.Errorf("%v: refused is not %v", err, c.refused)
			}
			if err != nil && hintOf(err) == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

func TestWriterSchemaUnderstandsEachAnswer(t *testing.T) {
	text, _ := json.Marshal(map[string]string{"schema": checkCompletedText})
	own := `[{"subject":"webcheck.checks-value","version":1}]`
	type kindOfError int
	const (
		good kindOfError = iota
		unknown
		profile
		away
	)
	for _, c := range []struct {
		name    string
		answers map[string][]string
		want    kindOfError
	}{
		{"registered", map[string][]string{usages: {own}, byID: {string(text)}}, good},
		{"registered in a context", map[string][]string{usages: {`[{"subject":":.prod:webcheck.checks-value","version":1}]`}, byID: {string(text)}}, good},
		{"of another subject", map[string][]string{usages: {`[{"subject":"x-webcheck.checks-value","version":1}]`}, byID: {string(text)}}, unknown},
		{"of no subject", map[string][]string{usages: {`[]`}, byID: {string(text)}}, unknown},
		{"unknown", map[string][]string{usages: {"404 " + none}}, unknown},
		{"gone in between", map[string][]string{usages: {own}, byID: {"404 " + none}}, unknown},
		{"an old registry that has it", map[string][]string{versions: {"[2]"}, versions + "/2": {`{"subject":"webcheck.checks-value","id":3,"version":2,"schema":"\"int\""}`}, byID: {string(text)}}, good},
		{"an old registry without it", map[string][]string{usages: {"405 no"}, versions: {"[2]"}, versions + "/2": {`{"id":9,"version":2,"schema":"\"int\""}`}, byID: {string(text)}}, unknown},
		{"an old registry without the subject", map[string][]string{versions: {"404 " + noSubject}}, unknown},
		{"an empty path", nil, away},
		{"not allowed", map[string][]string{usages: {"401 no"}}, away},
		{"in trouble", map[string][]string{usages: {own}, byID: {"500 no"}}, away},
		{"a proxy's page instead of the schema", map[string][]string{usages: {own}, byID: {"404 <html>"}}, away},
		{"a page with status 200", map[string][]string{usages: {"<html>"}}, away},
		{"Protobuf", map[string][]string{usages: {own}, byID: {`{"schema":"x","schemaType":"PROTOBUF"}`}}, profile},
		{"outside the profile", map[string][]string{usages: {own}, byID: {`{"schema":"\"int\""}`}}, profile},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := routes(t, c.answers).WriterSchema(context.Background(), "webcheck.checks-value", 3)
			got := good
			_, isProfile := errors.AsType[*ProfileError](err)
			_, isAway := errors.AsType[*RegistryError](err)
			switch {
			case errors.Is(err, ErrUnknownSchema):
				got = unknown
			case isProfile:
				got = profile
			case isAway:
				got = away
			case err != nil:
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %v, %v, want kind %d", s, err, c.want)
			}
		})
	}
}
