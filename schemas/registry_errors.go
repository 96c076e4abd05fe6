package schemas

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// Answers of a registry that callers branch on.
var (
	// ErrNotRegistered is what [Registry.LookUp]'s error satisfies when the schema is not under its subject.
	ErrNotRegistered = errors.New("schema not registered")
	// ErrUnknownSchema is what [Registry.WriterSchema]'s error satisfies when no schema has the id under the subject.
	ErrUnknownSchema = errors.New("unknown schema id")
)

// NotRegisteredError says that a schema is not registered under Subject. It satisfies errors.Is with [ErrNotRegistered].
type NotRegisteredError struct {
	// Subject that was looked under.
	Subject string
}

// Error names the subject.
func (e *NotRegisteredError) Error() string {
	return fmt.Sprintf("this build's schema is not registered under %q", e.Subject)
}

// Is makes the error satisfy errors.Is with [ErrNotRegistered].
func (e *NotRegisteredError) Is(target error) bool { return target == ErrNotRegistered }

// Hint says what registers it.
func (e *NotRegisteredError) Hint() string {
	return `run "webcheck schema register", which says first whether it may follow, or set registry.auto_register to true`
}

// UnknownSchemaError says that the registry knows no schema ID under Subject. It satisfies errors.Is with
// [ErrUnknownSchema].
type UnknownSchemaError struct {
	// Subject that was expected.
	Subject string
	// ID that a value carried.
	ID int
}

// Error names the id and the subject.
func (e *UnknownSchemaError) Error() string {
	return fmt.Sprintf("unknown schema id %d under %q", e.ID, e.Subject)
}

// Is makes the error satisfy errors.Is with [ErrUnknownSchema].
func (e *UnknownSchemaError) Is(target error) bool { return target == ErrUnknownSchema }

// RegistryError says that the registry gave no answer to a question: it is away, refuses our credentials or is in
// trouble itself. It may pass.
type RegistryError struct {
	// Status is the HTTP status, or 0 when there was no response.
	Status int

	op  string
	err error
}

// newRegistryError makes an error of what was tried, a format with one argument, and the cause.
func newRegistryError(format string, arg any, err error) *RegistryError {
	return &RegistryError{Status: status(err), op: fmt.Sprintf(format, arg), err: err}
}

// Error says what was asked and what came back.
func (e *RegistryError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s: registry answered %d %s: %s", e.op, e.Status, http.StatusText(e.Status), e.err)
	}
	return fmt.Sprintf("%s: %s", e.op, e.err)
}

// Unwrap returns the cause.
func (e *RegistryError) Unwrap() error { return e.err }

// Hint says where to look.
func (e *RegistryError) Hint() string {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check the registry's user and password, and that the user may read and register this subject"
	case 0, http.StatusNotFound, http.StatusMethodNotAllowed:
		return "check the registry's URL, with its path, and that the registry is running"
	case http.StatusUnprocessableEntity:
		return "the registry's mode (GET /mode) must be READWRITE to register and configure, and may be changed by its keeper"
	default:
		return "look at the registry's own log"
	}
}

// TakenError says that schemas were not imported, because the registry has others in their place. Nothing was written.
type TakenError struct {
	// Conflicts say what is in whose place, one each.
	Conflicts []string
}

// Error lists the conflicts in one line.
func (e *TakenError) Error() string {
	return "importing schemas: nothing was written, the registry has others in their place: " + strings.Join(e.Conflicts, "; ")
}

// Hint says why there is no way around it.
func (e *TakenError) Hint() string {
	return "the ids are in the events, so they cannot be given anew: import into a registry, or a context of one, where they are free"
}

// ImportError says that an import ended halfway.
type ImportError struct {
	// Written are the versions that are in the registry now, in the order they were given.
	Written []Version
	// Asked is how many there were to be written.
	Asked int

	err error
}

// Error says what was written and why not the rest.
func (e *ImportError) Error() string {
	if len(e.Written) == 0 {
		return fmt.Sprintf("importing schemas: nothing of %d versions was written: %s", e.Asked, e.err)
	}
	names := make([]string, len(e.Written))
	for i, v := range e.Written {
		names[i] = v.name()
	}
	return fmt.Sprintf("importing schemas: %d of %d versions written (%s): %s", len(names), e.Asked, strings.Join(names, ", "), e.err)
}

// Unwrap returns the cause.
func (e *ImportError) Unwrap() error { return e.err }

// Hint says how to go on.
func (e *ImportError) Hint() string {
	return "import the same schemas again once the cause is gone: those that are there are passed over"
}

// status returns the HTTP status behind err, or 0 when there was none.
func status(err error) int {
	if response, ok := errors.AsType[*sr.ResponseError](err); ok {
		return response.StatusCode
	}
	return 0
}

// forbids says whether err is the registry's word that its mode does not allow this.
func forbids(err error) bool {
	response, ok := errors.AsType[*sr.ResponseError](err)
	return ok && response.ErrorCode == sr.ErrOperationNotPermitted.Code
}

// saysNone says whether err is the registry's own word that a schema, version or subject does not exist. A 404 alone is
// not: a wrong path, or a proxy before a registry that is down, gives one too.
func saysNone(err error) bool {
	response, ok := errors.AsType[*sr.ResponseError](err)
	return ok && response.StatusCode == http.StatusNotFound && sr.IsNotFoundError(response.ErrorCode)
}
