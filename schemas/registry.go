package schemas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// Registry asks a schema registry that speaks Confluent's REST API. It keeps nothing and may be shared.
//
// Its errors come in two kinds. [ErrIncompatible], [ErrNotRegistered], [ErrUnknownSchema], [*ProfileError] and [*TakenError]
// are answers: asking again brings the same. Everything else, a [*RegistryError] among them, says that there was no answer
// (the registry is away, refuses our credentials, or is in trouble itself) and may pass.
type Registry struct {
	client  *sr.Client
	observe func(error) // may be nil
}

// NewRegistry returns a Registry that asks through cl, with cl's timeouts and credentials.
func NewRegistry(cl *sr.Client) *Registry {
	return &Registry{client: cl}
}

// Observed returns a Registry that asks as r does, and calls observe after each call of WriterSchema: with nil when the
// registry answered, be it that there is no such schema, and else with the error.
func (r *Registry) Observed(observe func(error)) *Registry {
	return &Registry{client: r.client, observe: observe}
}

// registerAttempts bounds how often Register tries again after losing a race, which each other prober can win once.
const registerAttempts = 3

// Register makes sure that s is registered under its subject, with its own text, and returns its id. A schema that is
// there already keeps its id, and then a registry that only allows reading will do. A refusal is an
// [*IncompatibleError] with all the registry's reasons; a text it takes for no schema at all is a [*ProfileError]. Those
// who register one schema at once all get one id, though a registry may list it as more than one version.
func (r *Registry) Register(ctx context.Context, s *Schema) (int, error) {
	id, _, err := r.register(ctx, s)
	return id, err
}

// register registers s, and says whether it was not there before.
func (r *Registry) register(ctx context.Context, s *Schema) (id int, isNew bool, err error) {
	var refusal error
	for range registerAttempts {
		id, err := r.LookUp(ctx, s)
		if err == nil || !errors.Is(err, ErrNotRegistered) {
			return id, isNew, err
		}
		isNew = true
		id, err = r.client.RegisterSchema(ctx, s.Subject, sr.Schema{Schema: s.Text}, -1, -1)
		if err == nil {
			return id, isNew, nil
		}
		switch answered := status(err); {
		case answered == http.StatusConflict:
			// The status tells, not the code in the answer's body, which differs between products and releases.
			refusal = err
		case answered == http.StatusUnprocessableEntity && !forbids(err):
			return 0, isNew, newProfileError(s.Subject, "", "the registry refuses it: "+err.Error())
		default:
			return 0, isNew, newRegistryError("registering the schema for %q", s.Subject, err)
		}
		// Apicurio also says 409 to all but one of those who register a subject's first schema at once.
		if messages, refused := r.refusals(ctx, s); refused {
			return 0, isNew, &IncompatibleError{Subject: s.Subject, Messages: orRefusal(messages, refusal)}
		}
	}
	return 0, isNew, &IncompatibleError{Subject: s.Subject, Messages: []string{refusal.Error()}}
}

// refusals asks why s was refused, against each version, since a refusal may name the first reason only. It is false if
// the registry says that s may be registered after all.
func (r *Registry) refusals(ctx context.Context, s *Schema) ([]string, bool) {
	const allVersions = -2
	result, err := r.client.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), s.Subject, allVersions, sr.Schema{Schema: s.Text})
	if err != nil {
		return nil, true
	}
	return result.Messages, !result.Is
}

// orRefusal returns messages, or what the refusal itself said where the registry has no list of them.
func orRefusal(messages []string, refusal error) []string {
	if len(messages) == 0 {
		return []string{refusal.Error()}
	}
	return messages
}

// LookUp returns the id that s has under its subject. It satisfies [ErrNotRegistered] when the subject or this text
// under it is not there.
func (r *Registry) LookUp(ctx context.Context, s *Schema) (int, error) {
	found, err := r.client.LookupSchema(ctx, s.Subject, sr.Schema{Schema: s.Text})
	if saysNone(err) {
		return 0, &NotRegisteredError{Subject: s.Subject}
	}
	if err != nil {
		return 0, newRegistryError("looking up the schema for %q", s.Subject, err)
	}
	return found.ID, nil
}

// WriterSchema returns the schema that values with id were written with, as long as it is registered under subject, even
// if it was deleted softly since. It satisfies [ErrUnknownSchema] when the registry says that there is none, and is a
// [*ProfileError] when there is one that no reader of ours will touch.
func (r *Registry) WriterSchema(ctx context.Context, subject string, id int) (*Schema, error) {
	schema, err := r.writerSchema(ctx, subject, id)
	if r.observe != nil {
		if _, unfit := errors.AsType[*ProfileError](err); unfit || errors.Is(err, ErrUnknownSchema) {
			r.observe(nil)
		} else {
			r.observe(err)
		}
	}
	return schema, err
}

func (r *Registry) writerSchema(ctx context.Context, subject string, id int) (*Schema, error) {
	ctx = sr.WithParams(ctx, sr.ShowDeleted)
	known, err := r.isRegistered(ctx, subject, id)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, &UnknownSchemaError{Subject: subject, ID: id}
	}
	found, err := r.client.SchemaByID(ctx, id)
	if saysNone(err) {
		return nil, &UnknownSchemaError{Subject: subject, ID: id}
	}
	if err != nil {
		return nil, newRegistryError("fetching schema %d", id, err)
	}
	if found.Type != sr.TypeAvro {
		return nil, newProfileError(subject, "", fmt.Sprintf("schema %d is not Avro but %s", id, found.Type))
	}
	return ParseSchema(subject, found.Schema)
}

// isRegistered says whether id is among the versions of subject.
func (r *Registry) isRegistered(ctx context.Context, subject string, id int) (bool, error) {
	versions, err := r.client.SchemaVersionsByID(ctx, id)
	if err == nil {
		return slices.ContainsFunc(versions, func(v sr.SubjectVersion) bool { return sameSubject(v.Subject, subject) }), nil
	}
	if saysNone(err) {
		return false, nil
	}
	// A registry before 5.5 has no such path; it does not say that there is no such schema.
	if s := status(err); s != http.StatusNotFound && s != http.StatusMethodNotAllowed {
		return false, newRegistryError("looking for schema %d", id, err)
	}
	registered, err := r.client.Schemas(ctx, subject)
	if saysNone(err) {
		return false, nil
	}
	if err != nil {
		return false, newRegistryError("listing the schemas of %q", subject, err)
	}
	return slices.ContainsFunc(registered, func(s sr.SubjectSchema) bool { return s.ID == id }), nil
}

// sameSubject says whether got, which a registry may qualify with a context (":.context:subject"), is subject.
func sameSubject(got, subject string) bool {
	if strings.HasPrefix(got, ":.") {
		_, got, _ = strings.Cut(got[2:], ":")
	}
	return got == subject
}
