package embedded

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"webcheck/schemas"
)

// The modes, by Confluent's names. A subject has its own, else that of all.
const (
	modeReadWrite        = "READWRITE"
	modeReadOnly         = "READONLY"
	modeReadOnlyOverride = "READONLY_OVERRIDE" // for all subjects, whatever their own says
	modeImport           = "IMPORT"            // schemas come with the ids they have elsewhere, and none without
	modeForward          = "FORWARD"           // Confluent's for what it forwards to another cluster: not here
)

func notPermitted(format string, args ...any) error {
	return &restError{422, 42205, fmt.Sprintf(format, args...)}
}

// allowsWriting says whether the subject, or all of them, may be changed.
func (a *registryAPI) allowsWriting(subject string) error {
	if mode := a.store.mode(subject); mode == modeReadOnly || mode == modeReadOnlyOverride {
		return notPermitted("Subject %s in context . is in read-only mode", cmp.Or(subject, "null"))
	}
	return nil
}

func (a *registryAPI) allowsRegistering(subject string, withID bool) error {
	if err := a.allowsWriting(subject); err != nil {
		return err
	}
	switch mode := a.store.mode(subject); {
	case withID && mode != modeImport:
		return notPermitted("Subject %s in context . is not in import mode", subject)
	case !withID && mode != modeReadWrite:
		return notPermitted("Subject %s in context . is not in read-write mode", subject)
	}
	return nil
}

// configuration is what is configured, as Confluent shows it.
type configuration struct {
	Normalize *bool  `json:"normalize,omitempty"`
	Level     string `json:"compatibilityLevel,omitempty"`
}

func (a *registryAPI) getLevel(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	c, set := a.store.levels[subject]
	switch {
	case subject == "" || !set && flag(r, "defaultToGlobal"):
		c = a.store.config(subject)
	case !set:
		return nil, &restError{404, 40408, fmt.Sprintf("Subject '%s' does not have subject-level compatibility configured", subject)}
	}
	return configuration{c.Normalize, c.Level}, nil
}

// levelBody is a request to configure; the fields that are not there stay as they were.
type levelBody struct {
	Level     string `json:"compatibility,omitempty"`
	Normalize *bool  `json:"normalize,omitempty"`
}

func (a *registryAPI) putLevel(r *http.Request) (any, error) {
	var body levelBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	body.Level = strings.ToUpper(body.Level)
	if _, err := schemas.ParseLevel(body.Level); err != nil && body.Level != "" {
		return nil, &restError{422, 42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"}
	}
	subject := r.PathValue("subject")
	if err := a.allowsWriting(subject); err != nil {
		return nil, err
	}
	was := a.store.levels[subject]
	c := levelChange{Subject: subject, Level: cmp.Or(body.Level, was.Level), Normalize: cmp.Or(body.Normalize, was.Normalize)}
	if c.Level == "" && c.Normalize == nil {
		return body, nil
	}
	if err := a.store.commit(change{Level: &c}); err != nil {
		return nil, err
	}
	return levelBody{c.Level, c.Normalize}, nil
}

func (a *registryAPI) deleteLevel(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	if _, set := a.store.levels[subject]; !set && subject != "" {
		return nil, errSubject(subject)
	}
	if err := a.allowsWriting(subject); err != nil {
		return nil, err
	}
	was := a.store.config(subject)
	return configuration{was.Normalize, was.Level}, a.store.commit(change{Level: &levelChange{Subject: subject}})
}

type modeBody struct {
	Mode string `json:"mode"`
}

func (a *registryAPI) getMode(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	if subject == "" || flag(r, "defaultToGlobal") {
		return modeBody{a.store.mode(subject)}, nil
	}
	mode, set := a.store.modes[subject]
	if !set {
		return nil, &restError{404, 40409, fmt.Sprintf("Subject '%s' does not have subject-level mode configured", subject)}
	}
	return modeBody{mode}, nil
}

func (a *registryAPI) putMode(r *http.Request) (any, error) {
	var body modeBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	m := modeChange{Subject: r.PathValue("subject"), Mode: strings.ToUpper(body.Mode)}
	switch {
	case m.Mode == modeForward && m.Subject != "":
		return nil, &restError{422, 42204, "Forward mode only supported on global level"}
	case m.Mode != "" && !slices.Contains([]string{modeReadWrite, modeReadOnly, modeReadOnlyOverride, modeImport}, m.Mode):
		return nil, &restError{422, 42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and IMPORT."}
	}
	if m.Mode == modeImport && a.store.mode(m.Subject) != modeImport && !flag(r, "force") {
		for _, name := range a.names() {
			if (m.Subject == "" || m.Subject == name) && len(a.store.live(name)) > 0 {
				return nil, notPermitted("Cannot import since found existing subjects")
			}
		}
		m.Clear = true
	}
	if err := a.store.commit(change{Mode: &m}); err != nil {
		return nil, err
	}
	return body, nil
}

func (a *registryAPI) deleteMode(r *http.Request) (any, error) {
	subject := r.PathValue("subject")
	was, set := a.store.modes[subject]
	if !set && subject != "" {
		return nil, errSubject(subject)
	}
	return modeBody{cmp.Or(was, modeReadWrite)}, a.store.commit(change{Mode: &modeChange{Subject: subject}})
}
