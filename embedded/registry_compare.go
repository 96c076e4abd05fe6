package embedded

import (
	"errors"
	"net/http"

	"webcheck/schemas"
)

// compare says everything that keeps text from following older, oldest first, at this level; nothing when it may.
func compare(level, text string, older []version) ([]string, error) {
	texts := make([]string, len(older))
	for i, v := range older {
		texts[i] = v.Schema
	}
	err := schemas.Compatible(schemas.Level(level), text, texts)
	var incompatible *schemas.IncompatibleError
	if errors.As(err, &incompatible) {
		return incompatible.Messages, nil
	}
	return nil, err
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
