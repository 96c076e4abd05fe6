package embedded

import (
	"fmt"
	"net/http"

	"github.com/hamba/avro/v2"
)

// direction is what a level asks for, as Confluent defines the seven.
type direction struct {
	backward, forward, transitive bool
}

var directions = map[string]direction{
	"NONE":                {},
	"BACKWARD":            {backward: true},
	"BACKWARD_TRANSITIVE": {backward: true, transitive: true},
	"FORWARD":             {forward: true},
	"FORWARD_TRANSITIVE":  {forward: true, transitive: true},
	"FULL":                {backward: true, forward: true},
	"FULL_TRANSITIVE":     {backward: true, forward: true, transitive: true},
}

// compare says everything that keeps text from following older, oldest first, at this level; nothing when it may.
func compare(level, text string, older []version) ([]string, error) {
	d := directions[level]
	if !d.transitive && len(older) > 1 {
		older = older[len(older)-1:]
	}
	var messages []string
	for _, v := range older {
		if d.backward {
			if err := readable(text, v.Schema); err != nil {
				messages = append(messages, fmt.Sprintf("the new schema cannot read version %d: %v", v.Version, err))
			}
		}
		if d.forward {
			if err := readable(v.Schema, text); err != nil {
				messages = append(messages, fmt.Sprintf("version %d cannot read the new schema: %v", v.Version, err))
			}
		}
	}
	return messages, nil
}

// readable asks whether data written with writer can be read as reader. Schemas are parsed and the checker made anew for each
// question: hamba's caches by the canonical form, which leaves defaults out, and then the first answer for a pair wins.
func readable(reader, writer string) error {
	r, err := avro.ParseWithCache(reader, "", &avro.SchemaCache{})
	if err != nil {
		return err
	}
	w, err := avro.ParseWithCache(writer, "", &avro.SchemaCache{})
	if err != nil {
		return err
	}
	return avro.NewSchemaCompatibility().Compatible(r, w)
}

func (a *registryAPI) checkAll(r *http.Request) (any, error) {
	return a.check(r, a.store.live(r.PathValue("subject")))
}

func (a *registryAPI) checkOne(r *http.Request) (any, error) {
	v, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return a.check(r, []version{v})
}

// check answers without registering. Messages are told only when asked for, as Confluent does.
func (a *registryAPI) check(r *http.Request, older []version) (any, error) {
	q, err := readSchema(r)
	if err != nil {
		return nil, err
	}
	messages, err := compare(a.store.level(r.PathValue("subject")), q.Schema, older)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Is       bool     `json:"is_compatible"`
		Messages []string `json:"messages,omitempty"`
	}{Is: len(messages) == 0}
	if flag(r, "verbose") {
		answer.Messages = messages
	}
	return answer, nil
}
