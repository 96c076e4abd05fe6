package embedded

import (
	"fmt"
	"net/http"
	"slices"

	"webcheck/schemas"
)

// schemaRequest is the body of every call that brings a schema.
type schemaRequest struct {
	Schema     string `json:"schema"`
	SchemaType string `json:"schemaType"`
	References []any  `json:"references"`
	ID         int    `json:"id"`
	Version    int    `json:"version"`
}

// readSchema decodes and judges the schema alone: is it Avro, whole and without references?
func readSchema(r *http.Request) (schemaRequest, error) {
	var q schemaRequest
	if err := decode(r, &q); err != nil {
		return q, err
	}
	switch {
	case q.SchemaType != "" && q.SchemaType != "AVRO":
		return q, &restError{422, 42201, fmt.Sprintf("schemaType '%s' is not kept here: only AVRO", q.SchemaType)}
	case len(q.References) > 0:
		return q, &restError{422, 42201, "references are not kept here: write the schema in one piece"}
	case q.ID > 0 || q.Version > 0:
		return q, &restError{422, 42205, "ids and versions are given by the registry: IMPORT mode is not there"}
	case q.Schema == "":
		return q, &restError{422, 42201, "Empty schema"}
	}
	if err := schemas.CheckAvro(q.Schema); err != nil {
		return q, &restError{422, 42201, fmt.Sprintf("Invalid schema: %v", err)}
	}
	return q, nil
}

func sameText(text string) func(version) bool {
	return func(v version) bool { return v.Schema == text }
}

func (a *registryAPI) lookUp(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	if len(a.visible(r, subject)) == 0 {
		return nil, errSubject(subject)
	}
	q, err := readSchema(r)
	if err != nil {
		return nil, err
	}
	versions := a.visible(r, subject)
	if i := slices.IndexFunc(versions, sameText(q.Schema)); i >= 0 {
		return show(versions[i]), nil
	}
	return nil, errSchema
}

func (a *registryAPI) register(r *http.Request) (any, error) {
	q, err := readSchema(r)
	if err != nil {
		return nil, err
	}
	subject := r.PathValue("subject")
	type answer struct {
		ID int `json:"id"`
	}
	live := a.store.live(subject)
	if i := slices.IndexFunc(live, sameText(q.Schema)); i >= 0 {
		return answer{live[i].ID}, nil
	}
	messages, err := compare(a.store.level(subject), q.Schema, live)
	if err != nil {
		return nil, err
	}
	if len(messages) > 0 {
		return nil, &restError{409, 40901, fmt.Sprintf("Schema being registered is incompatible with an earlier schema for subject \"%s\", details: %v", subject, messages)}
	}
	id, known := a.store.ids[q.Schema]
	if !known {
		id = a.store.lastID + 1
	}
	reg := registration{Subject: subject, Version: a.store.used[subject] + 1, ID: id, Schema: q.Schema}
	if err := a.store.commit(change{Register: &reg}); err != nil {
		return nil, err
	}
	return answer{id}, nil
}

func (a *registryAPI) deleteSubject(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	all, live := a.store.subjects[subject], a.store.live(subject)
	d := deletion{Subject: subject, Permanent: flag(r, "permanent")}
	switch {
	case len(all) == 0:
		return nil, errSubject(subject)
	case d.Permanent && len(live) > 0:
		return nil, &restError{404, 40405, fmt.Sprintf("Subject '%s' was not deleted first before being permanently deleted", subject)}
	case !d.Permanent && len(live) == 0:
		return nil, &restError{404, 40404, fmt.Sprintf("Subject '%s' was soft deleted.Set permanent=true to delete permanently", subject)}
	case d.Permanent:
		live = all
	}
	for _, v := range live {
		d.Versions = append(d.Versions, v.Version)
	}
	if err := a.store.commit(change{Delete: &d}); err != nil {
		return nil, err
	}
	return d.Versions, nil
}

func (a *registryAPI) deleteVersion(r *http.Request) (any, error) {
	permanent := flag(r, "permanent")
	if permanent {
		r.URL.RawQuery = "deleted=true"
	}
	v, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if permanent && !v.deleted {
		return nil, &restError{404, 40407, fmt.Sprintf("Subject '%s' Version %d was not deleted first before being permanently deleted", v.Subject, v.Version)}
	}
	if err := a.store.commit(change{Delete: &deletion{Subject: v.Subject, Versions: []int{v.Version}, Permanent: permanent}}); err != nil {
		return nil, err
	}
	return v.Version, nil
}

func (a *registryAPI) getLevel(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	level, set := a.store.levels[subject]
	if !set && !flag(r, "defaultToGlobal") {
		return nil, &restError{404, 40408, fmt.Sprintf("Subject '%s' does not have subject-level compatibility configured", subject)}
	}
	if !set {
		level = a.store.level(subject)
	}
	return struct {
		Level string `json:"compatibilityLevel"`
	}{level}, nil
}

type levelBody struct {
	Level string `json:"compatibility"`
}

func (a *registryAPI) putLevel(r *http.Request) (any, error) {
	var body levelBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if _, err := schemas.ParseLevel(body.Level); err != nil {
		return nil, &restError{422, 42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"}
	}
	if err := a.store.commit(change{Level: &levelChange{Subject: r.PathValue("subject"), Level: body.Level}}); err != nil {
		return nil, err
	}
	return body, nil
}

func (a *registryAPI) deleteLevel(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	was, set := a.store.levels[subject]
	if !set {
		return nil, &restError{404, 40408, fmt.Sprintf("Subject '%s' does not have subject-level compatibility configured", subject)}
	}
	if err := a.store.commit(change{Level: &levelChange{Subject: subject}}); err != nil {
		return nil, err
	}
	return levelBody{was}, nil
}

func (a *registryAPI) mode(*http.Request) (any, error) {
	return struct {
		Mode string `json:"mode"`
	}{"READWRITE"}, nil
}
