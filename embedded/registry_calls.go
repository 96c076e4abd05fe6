package embedded

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// subjectVersion is how a version is shown.
type subjectVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Schema  string `json:"schema"`
}

func show(v version) subjectVersion {
	return subjectVersion{Subject: v.Subject, Version: v.Version, ID: v.ID, Schema: v.Schema}
}

// visible is a subject's versions as the request wants to see them.
func (a *registryAPI) visible(r *http.Request, subject string) []version {
	switch {
	case flag(r, "deletedOnly"):
		return slices.DeleteFunc(slices.Clone(a.store.subjects[subject]), func(v version) bool { return !v.deleted })
	case flag(r, "deleted"):
		return slices.Clone(a.store.subjects[subject])
	}
	return a.store.live(subject)
}

func (a *registryAPI) names() []string {
	names := make([]string, 0, len(a.store.subjects))
	for name := range a.store.subjects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// hasPrefix says whether the request asks for the subject of this name. The context before a prefix is this registry's only
// one, or any.
func hasPrefix(r *http.Request, name string) bool {
	prefix := r.URL.Query().Get("subjectPrefix")
	for _, context := range []string{":*:", ":.:"} {
		prefix = strings.TrimPrefix(prefix, context)
	}
	return strings.HasPrefix(name, prefix)
}

func (a *registryAPI) listSubjects(r *http.Request) (any, error) {
	found := []string{}
	for _, name := range a.names() {
		if hasPrefix(r, name) && len(a.visible(r, name)) > 0 {
			found = append(found, name)
		}
	}
	return page(r, found)
}

func (a *registryAPI) allSchemas(r *http.Request) (any, error) {
	found := []subjectVersion{}
	for _, name := range a.names() {
		versions := a.visible(r, name)
		if !hasPrefix(r, name) || len(versions) == 0 {
			continue
		}
		if flag(r, "latestOnly") {
			versions = versions[len(versions)-1:]
		}
		for _, v := range versions {
			found = append(found, show(v))
		}
	}
	return page(r, found)
}

func (a *registryAPI) listVersions(r *http.Request) (any, error) {
	versions := a.visible(r, r.PathValue("subject"))
	if len(versions) == 0 {
		return nil, errSubject(r.PathValue("subject"))
	}
	numbers := make([]int, len(versions))
	for i, v := range versions {
		numbers[i] = v.Version
	}
	return page(r, numbers)
}

// find is the version that the request's path names: a number, or "latest" (also -1).
func (a *registryAPI) find(r *http.Request) (version, error) {
	subject, text := r.PathValue("subject"), r.PathValue("version")
	versions := a.visible(r, subject)
	if len(versions) == 0 {
		return version{}, errSubject(subject)
	}
	if text == "latest" || text == "-1" {
		return versions[len(versions)-1], nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return version{}, &restError{422, 42202, fmt.Sprintf(`The specified version '%s' is not a valid version id. `+
			`Allowed values are between [1, 2^31-1] and the string "latest"`, text)}
	}
	for _, v := range versions {
		if v.Version == n {
			return v, nil
		}
	}
	return version{}, errVersion(n)
}

func (a *registryAPI) version(r *http.Request) (any, error) {
	v, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return show(v), nil
}

func (a *registryAPI) textByVersion(r *http.Request) (any, error) {
	v, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return plainText(v.Schema), nil
}

// referencedBy is always empty: references are refused at registration.
func (a *registryAPI) referencedBy(r *http.Request) (any, error) {
	if _, err := a.find(r); err != nil {
		return nil, err
	}
	return []int{}, nil
}

func (a *registryAPI) text(r *http.Request) (int, string, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return 0, "", errPath
	}
	text, ok := a.store.texts[id]
	if !ok {
		return 0, "", &restError{404, 40403, fmt.Sprintf("Schema %d not found", id)}
	}
	return id, text, nil
}

func (a *registryAPI) schemaByID(r *http.Request) (any, error) {
	_, text, err := a.text(r)
	if err != nil {
		return nil, err
	}
	return struct {
		Schema string `json:"schema"`
	}{text}, nil
}

func (a *registryAPI) textByID(r *http.Request) (any, error) {
	_, text, err := a.text(r)
	if err != nil {
		return nil, err
	}
	return plainText(text), nil
}

// uses are the versions that have the request's schema id.
func (a *registryAPI) uses(r *http.Request) ([]version, error) {
	id, _, err := a.text(r)
	if err != nil {
		return nil, err
	}
	var found []version
	for _, name := range a.names() {
		for _, v := range a.visible(r, name) {
			if v.ID == id && cmp.Or(r.URL.Query().Get("subject"), name) == name {
				found = append(found, v)
			}
		}
	}
	return found, nil
}

func (a *registryAPI) subjectsByID(r *http.Request) (any, error) {
	found, err := a.uses(r)
	if err != nil {
		return nil, err
	}
	subjects := []string{}
	for _, v := range found {
		if !slices.Contains(subjects, v.Subject) {
			subjects = append(subjects, v.Subject)
		}
	}
	return page(r, subjects)
}

func (a *registryAPI) versionsByID(r *http.Request) (any, error) {
	found, err := a.uses(r)
	if err != nil {
		return nil, err
	}
	type use struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	uses := []use{}
	for _, v := range found {
		uses = append(uses, use{v.Subject, v.Version})
	}
	return page(r, uses)
}
