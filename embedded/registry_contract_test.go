package embedded_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"webcheck/embedded/testservices"
)

// exchange is a request and the answer that Confluent's registry documents for it. In both, {s} is a subject and {R} a
// record's name of the test's own. In a request, {A} is the text of the schema A of [contractSchemas], as a JSON string. In an answer, "{any}" is any
// value, and {id:x} the id x, which the first answer with it sets.
//
// A message is compared on the embedded registry alone: Apicurio words each in its own way. Nor is "references", which it
// adds to each schema, empty.
type exchange struct {
	request  string // "METHOD /path body"
	status   int
	answer   string
	apicurio *answer // where its answer is another one
}

// answer is what Apicurio 2.6 answers, and why that is so.
type answer struct {
	status int
	answer string
	why    string
}

// contractSchemas may come one after the other at FULL_TRANSITIVE, but for "string", "required" and "broken".
var contractSchemas = map[string]string{
	"A":        schemaText(`{"name":"a","type":"long"}`),
	"B":        schemaText(`{"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null}`),
	"doc":      schemaText(`{"name":"a","type":"long","doc":"a number"}`),
	"spaces":   ` { "type" : "record", "name": "{R}", "fields" : [ {"name":"a","type":"long"} ] } `,
	"keys":     `{"name":"{R}","fields":[{"type":"long","name":"a"}],"type":"record"}`,
	"long":     schemaText(`{"name":"a","type":{"type":"long"}}`),
	"unsorted": schemaText(`{"type":"long","z":1,"name":"a","b":2,"aliases":["y","x"]}`),
	"sorted":   schemaText(`{"name":"a","type":"long","aliases":["x","y"],"b":2,"z":1}`),
	"string":   schemaText(`{"name":"a","type":"string"}`),
	"required": schemaText(`{"name":"a","type":"long"},{"name":"b","type":"string"}`),
	"broken":   `{"type":"recor`,
	"unknown":  schemaText(`{"name":"a","type":"NoSuchType"}`),
}

func schemaText(fields string) string {
	return `{"type":"record","name":"{R}","fields":[` + fields + `]}`
}

// contract is the tests' subject at a registry, and the ids it gave.
type contract struct {
	url, subject string
	apicurio     bool
	ids          map[string]float64
	client       *http.Client
}

func TestEveryRequestHasConfluentsAnswer(t *testing.T) {
	total := 0
	for name, exchanges := range contracts {
		total += len(exchanges)
		t.Run(name, func(t *testing.T) { hold(t, exchanges) })
	}
	if total < 60 {
		t.Errorf("%d requests, want 60 at least", total)
	}
}

// hold sends the requests in order, under a subject that nothing else has.
func hold(t *testing.T, exchanges []exchange) {
	service := testservices.Registry(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &contract{
		url: service.URL, subject: service.Subject("contract") + "-value", apicurio: os.Getenv("WEBCHECK_TEST_REGISTRY") != "",
		ids: make(map[string]float64), client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}
	for _, e := range exchanges {
		want := answer{e.status, e.answer, ""}
		if c.apicurio && e.apicurio != nil {
			want = *e.apicurio
		}
		status, body := c.ask(t, e.request)
		if fault := c.compare(want, status, body); fault != "" {
			t.Errorf("%s: answered %d %s: %s", e.request, status, body, fault)
		}
	}
}

// fill puts in what is the test's own.
func (c *contract) fill(text string) string {
	for name, schema := range contractSchemas {
		quoted, _ := json.Marshal(schema)
		text = strings.ReplaceAll(text, "{"+name+"}", string(quoted))
	}
	record := "R" + strings.NewReplacer("-", "_", ".", "_").Replace(c.subject)
	return strings.NewReplacer("{s}", c.subject, "{R}", record).Replace(text)
}

func (c *contract) ask(t *testing.T, request string) (int, []byte) {
	t.Helper()
	parts := strings.SplitN(c.fill(request), " ", 3)
	body := ""
	if len(parts) == 3 {
		body = parts[2]
	}
	path := parts[1]
	for name, id := range c.ids {
		path = strings.ReplaceAll(path, "{id:"+name+"}", fmt.Sprint(id))
		body = strings.ReplaceAll(body, "{id:"+name+"}", fmt.Sprint(id))
	}
	r, err := http.NewRequestWithContext(t.Context(), parts[0], c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	response, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, got
}

// compare says what is wrong with an answer, or nothing.
func (c *contract) compare(want answer, status int, body []byte) string {
	if status != want.status {
		return fmt.Sprintf("want status %d", want.status)
	}
	if want.answer == "{any}" {
		return ""
	}
	var got, expected any
	if err := json.Unmarshal(body, &got); err != nil {
		return "it is not JSON"
	}
	text := c.fill(want.answer)
	if err := json.Unmarshal([]byte(text), &expected); err != nil {
		return fmt.Sprintf("the table's own answer is no JSON: %v: %s", err, text)
	}
	if !c.matches(expected, got) {
		return "want " + text
	}
	return ""
}

func (c *contract) matches(want, got any) bool {
	switch want := want.(type) {
	case string:
		if name, ok := strings.CutPrefix(want, "{id:"); ok {
			id, isNumber := got.(float64)
			if _, known := c.ids[name[:len(name)-1]]; !known && isNumber {
				c.ids[name[:len(name)-1]] = id
			}
			return isNumber && c.ids[name[:len(name)-1]] == id
		}
		return want == "{any}" || want == got
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !c.matches(want[i], list[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		return c.matchesObject(want, got)
	}
	return reflect.DeepEqual(want, got)
}

func (c *contract) matchesObject(want map[string]any, got any) bool {
	object, ok := got.(map[string]any)
	if !ok {
		return false
	}
	if c.apicurio {
		if references, ok := object["references"].([]any); ok && len(references) == 0 {
			delete(object, "references")
		}
	}
	if len(object) != len(want) {
		return false
	}
	for key, value := range want {
		if _, there := object[key]; !there {
			return false
		}
		if words, _ := object[key].(string); key == "message" && c.apicurio && words != "" {
			continue
		}
		if !c.matches(value, object[key]) {
			return false
		}
	}
	return true
}
