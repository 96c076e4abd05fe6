package embedded

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"webcheck/schemas"
)

// maxSchemaShown is how much of an older schema is shown in messages, as in Confluent's registry.
const maxSchemaShown = 10 << 10

// compare says what keeps text from following older, oldest first, at this level, as Confluent's registry does: the reasons
// of the latest version that there are any with, the old reader's first; nothing when it may.
func compare(level, text string, older []version) ([]string, error) {
	texts := make([]string, len(older))
	for i, v := range older {
		texts[i] = v.Schema
	}
	breaks, err := schemas.Breaks(schemas.Level(level), text, texts)
	if err != nil || len(breaks) == 0 {
		return nil, err
	}
	latest := slices.MaxFunc(breaks, func(a, b schemas.Break) int { return a.Older - b.Older }).Older
	var messages []string
	for _, side := range []schemas.Side{schemas.OldReader, schemas.NewReader} {
		for _, b := range breaks {
			if b.Older == latest && b.Side == side {
				messages = append(messages, b.Confluent())
			}
		}
	}
	schema := schemas.Canonical(older[latest].Schema)
	shown := fmt.Sprintf("{oldSchema: '%s'}", schema)
	if len(schema) > maxSchemaShown {
		shown = fmt.Sprintf("{oldSchema: <truncated> '%s...'}", schema[:maxSchemaShown])
	}
	return append(messages, fmt.Sprintf("{oldSchemaVersion: %d}", older[latest].Version), shown,
		fmt.Sprintf("{validateFields: 'false', compatibility: '%s'}", level)), nil
}

func (a *registryAPI) checkAll(r *http.Request) (any, error) {
	return a.check(r, a.store.live(r.PathValue("subject")))
}

func (a *registryAPI) checkOne(r *http.Request) (any, error) {
	v, err := a.find(r)
	var none *restError
	switch text := r.PathValue("version"); {
	case errors.As(err, &none) && none.status == http.StatusNotFound && (text == "latest" || text == "-1"):
		return a.check(r, nil) // the first schema of a subject may be any
	case errors.As(err, &none) && none.code == 40401:
		n, _ := strconv.Atoi(text)
		return nil, errVersion(n)
	case err != nil:
		return nil, err
	}
	return a.check(r, []version{v})
}

// check answers without registering. Messages are told only when asked for, as Confluent does.
func (a *registryAPI) check(r *http.Request, older []version) (any, error) {
	q, err := a.readSchema(r)
	var messages []string
	var invalid *restError
	switch {
	case errors.As(err, &invalid) && invalid.code == 42201 && flag(r, "verbose"):
		messages = []string{invalid.message}
	case err != nil:
		return nil, err
	default:
		if messages, err = compare(a.store.config(r.PathValue("subject")).Level, q.Schema, older); err != nil {
			return nil, err
		}
	}
	if flag(r, "verbose") {
		return struct {
			Is       bool     `json:"is_compatible"`
			Messages []string `json:"messages"`
		}{len(messages) == 0, append([]string{}, messages...)}, nil
	}
	return struct {
		Is bool `json:"is_compatible"`
	}{len(messages) == 0}, nil
}
