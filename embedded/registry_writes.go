package embedded

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

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

// readSchema decodes a schema, judges it alone (is it Avro, whole and without references?) and normalizes it where that is
// asked for or configured.
func (a *registryAPI) readSchema(r *http.Request) (schemaRequest, error) {
	var q schemaRequest
	if err := decode(r, &q); err != nil {
		return q, err
	}
	return q, a.judge(r, &q)
}

func (a *registryAPI) judge(r *http.Request, q *schemaRequest) error {
	switch {
	case q.SchemaType != "" && q.SchemaType != "AVRO":
		return &restError{422, 42201, fmt.Sprintf("schemaType '%s' is not kept here: only AVRO", q.SchemaType)}
	case len(q.References) > 0:
		return &restError{422, 42201, "references are not kept here: write the schema in one piece"}
	case q.Schema == "":
		return &restError{422, 42201, "Empty schema"}
	}
	if err := schemas.CheckAvro(q.Schema); err != nil {
		return &restError{422, 42201, fmt.Sprintf("Invalid schema: %v", err)}
	}
	if a.normalizes(r) {
		q.Schema = schemas.Normalize(q.Schema)
	}
	return nil
}

// normalizes says whether the request's schema is to be normalized. An import is not: it keeps what was registered elsewhere.
func (a *registryAPI) normalizes(r *http.Request) bool {
	subject := r.PathValue("subject")
	configured := a.store.config(subject).Normalize
	return a.store.mode(subject) != modeImport && (flag(r, "normalize") || configured != nil && *configured)
}

// same finds the schema among versions: the very text, else one that Avro Java prints alike, the latest first.
func same(versions []version, text string, normalizes bool) (version, bool) {
	form := schemas.Canonical
	if normalizes {
		form = schemas.Normalize
	}
	wanted := form(text)
	var found version
	for _, v := range slices.Backward(versions) {
		if v.Schema == text {
			return v, true
		}
		if found.Version == 0 && form(v.Schema) == wanted {
			found = v
		}
	}
	return found, found.Version != 0
}

func (a *registryAPI) lookUp(r *http.Request) (any, error) {
	q, err := a.readSchema(r)
	if err != nil {
		return nil, err
	}
	versions := a.visible(r, r.PathValue("subject"))
	if v, ok := same(versions, q.Schema, a.normalizes(r)); ok {
		return show(v), nil
	}
	if len(versions) == 0 {
		return nil, errSubject(r.PathValue("subject"))
	}
	return nil, errSchema
}

// idAnswer is the answer to a registration.
type idAnswer struct {
	ID int `json:"id"`
}

func (a *registryAPI) register(r *http.Request) (any, error) {
	var q schemaRequest
	if err := decode(r, &q); err != nil {
		return nil, err
	}
	subject := r.PathValue("subject")
	if err := a.allowsRegistering(subject, q.ID > 0); err != nil {
		return nil, err
	}
	if err := a.judge(r, &q); err != nil {
		return nil, err
	}
	if q.ID > 0 {
		return a.importVersion(subject, q)
	}
	live := a.store.live(subject)
	if v, ok := same(live, q.Schema, a.normalizes(r)); ok {
		return idAnswer{v.ID}, nil
	}
	if !flag(r, "force") {
		messages, err := compare(a.store.config(subject).Level, q.Schema, live)
		if err != nil {
			return nil, err
		}
		if len(messages) > 0 {
			return nil, &restError{409, 40901, fmt.Sprintf("Schema being registered is incompatible with an earlier schema for subject \"%s\", details: [%s]",
				subject, strings.Join(messages, ", "))}
		}
	}
	reg := registration{Subject: subject, Version: a.store.used[subject] + 1, ID: a.store.ids[schemas.Canonical(q.Schema)], Schema: q.Schema}
	if q.Version > 0 && q.Version != reg.Version {
		return nil, &restError{422, 42201, "Version is not one more than previous version"}
	}
	if reg.ID == 0 {
		reg.ID = a.store.lastID + 1
	} else {
		reg.Schema = a.store.texts[reg.ID]
	}
	return idAnswer{reg.ID}, a.store.commit(change{Register: &reg})
}

// importVersion takes a schema with the id, and the version if there is one, that it has elsewhere. Nothing is compared.
func (a *registryAPI) importVersion(subject string, q schemaRequest) (any, error) {
	reg := registration{Subject: subject, Version: q.Version, ID: q.ID, Schema: q.Schema}
	if text, ok := a.store.texts[q.ID]; ok {
		if !schemas.SameSchema(text, q.Schema) {
			return nil, notPermitted("Overwrite new schema with id %d in context . is not permitted.", q.ID)
		}
		reg.Schema = text
	}
	for _, v := range a.store.subjects[subject] {
		if v.Version == q.Version && v.ID != q.ID {
			return nil, notPermitted("Overwrite version %d of subject %s, which has id %d, is not permitted.", v.Version, subject, v.ID)
		}
		if v.ID == q.ID && !v.deleted && (q.Version <= 0 || v.Version == q.Version) {
			return idAnswer{q.ID}, nil
		}
	}
	if reg.Version <= 0 {
		reg.Version = a.store.used[subject] + 1
	}
	return idAnswer{q.ID}, a.store.commit(change{Register: &reg})
}

func (a *registryAPI) deleteSubject(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	all, live := a.store.subjects[subject], a.store.live(subject)
	d := deletion{Subject: subject, Permanent: flag(r, "permanent")}
	if err := a.allowsWriting(subject); err != nil {
		return nil, err
	}
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
	if text := r.PathValue("version"); permanent || text != "latest" && text != "-1" {
		r.URL.RawQuery = "deleted=true"
	}
	v, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if err := a.allowsWriting(v.Subject); err != nil {
		return nil, err
	}
	if !permanent && v.deleted {
		return nil, &restError{404, 40406, fmt.Sprintf("Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", v.Subject, v.Version)}
	}
	if permanent && !v.deleted {
		return nil, &restError{404, 40407, fmt.Sprintf("Subject '%s' Version %d was not deleted first before being permanently deleted", v.Subject, v.Version)}
	}
	if err := a.store.commit(change{Delete: &deletion{Subject: v.Subject, Versions: []int{v.Version}, Permanent: permanent}}); err != nil {
		return nil, err
	}
	return v.Version, nil
}
