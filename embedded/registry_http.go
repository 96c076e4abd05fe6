package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// restError is an answer other than 200, in the form and with the codes of Confluent's registry (its Errors.java).
type restError struct {
	status  int
	code    int
	message string
}

func (e *restError) Error() string { return e.message }

func errSubject(subject string) error {
	return &restError{404, 40401, fmt.Sprintf("Subject '%s' not found.", subject)}
}

func errVersion(v int) error {
	return &restError{404, 40402, fmt.Sprintf("Version %d not found.", v)}
}

var (
	errSchema = &restError{404, 40403, "Schema not found"}
	errPath   = &restError{404, 404, "HTTP 404 Not Found"}
	errMethod = &restError{405, 405, "HTTP 405 Method Not Allowed"}
)

const registryMedia = "application/vnd.schemaregistry.v1+json"

// registryAPI is the registry's paths on a store.
type registryAPI struct {
	store *store
	log   *slog.Logger
}

// call answers one request with a value to be shown as JSON; a string is shown as it is.
type call func(r *http.Request) (any, error)

// plainText is an answer that is not wrapped into JSON.
type plainText string

func newRegistryHandler(s *store, log *slog.Logger) http.Handler {
	a := &registryAPI{store: s, log: log}
	mux := http.NewServeMux()
	for pattern, c := range map[string]call{
		"GET /{$}":                                                  func(*http.Request) (any, error) { return struct{}{}, nil },
		"GET /schemas":                                              a.allSchemas,
		"GET /schemas/types":                                        func(*http.Request) (any, error) { return []string{"AVRO"}, nil },
		"GET /schemas/ids/{id}":                                     a.schemaByID,
		"GET /schemas/ids/{id}/schema":                              a.textByID,
		"GET /schemas/ids/{id}/subjects":                            a.subjectsByID,
		"GET /schemas/ids/{id}/versions":                            a.versionsByID,
		"GET /contexts":                                             func(*http.Request) (any, error) { return []string{"."}, nil },
		"GET /subjects":                                             a.listSubjects,
		"POST /subjects/{subject}":                                  a.lookUp,
		"DELETE /subjects/{subject}":                                a.deleteSubject,
		"GET /subjects/{subject}/versions":                          a.listVersions,
		"POST /subjects/{subject}/versions":                         a.register,
		"GET /subjects/{subject}/versions/{version}":                a.version,
		"DELETE /subjects/{subject}/versions/{version}":             a.deleteVersion,
		"GET /subjects/{subject}/versions/{version}/schema":         a.textByVersion,
		"GET /subjects/{subject}/versions/{version}/referencedby":   a.referencedBy,
		"POST /compatibility/subjects/{subject}/versions":           a.checkAll,
		"POST /compatibility/subjects/{subject}/versions/{version}": a.checkOne,
		"GET /config":                                               a.getLevel,
		"PUT /config":                                               a.putLevel,
		"DELETE /config":                                            a.deleteLevel,
		"GET /config/{subject}":                                     a.getLevel,
		"PUT /config/{subject}":                                     a.putLevel,
		"DELETE /config/{subject}":                                  a.deleteLevel,
		"GET /mode":                                                 a.getMode,
		"PUT /mode":                                                 a.putMode,
		"DELETE /mode":                                              a.deleteMode,
		"GET /mode/{subject}":                                       a.getMode,
		"PUT /mode/{subject}":                                       a.putMode,
		"DELETE /mode/{subject}":                                    a.deleteMode,
		"/":                                                         func(r *http.Request) (any, error) { return nil, unknown(mux, r) },
	} {
		mux.Handle(pattern, a.serve(c))
	}
	return local(mux)
}

// unknown says whether the request's path is not there, or only not for its method.
func unknown(mux *http.ServeMux, r *http.Request) error {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			return errMethod
		}
	}
	return errPath
}

// local refuses what a page in a browser could send from another site, by a forged host name or a cross-site request: the
// registry has no password, being reachable from this machine only.
func local(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	checked := guard.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if host != "127.0.0.1" && host != "localhost" && host != "::1" {
			http.Error(w, "this registry answers on the loopback interface only", http.StatusMisdirectedRequest)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

// serve runs c under the store's lock: schemas are few and answers short.
func (a *registryAPI) serve(c call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxSchemaBytes)
		body, err := io.ReadAll(r.Body)
		if err == nil {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			a.store.mu.Lock()
			defer a.store.mu.Unlock()
			var answer any
			if answer, err = c(r); err == nil {
				a.reply(w, http.StatusOK, answer)
				return
			}
		}
		a.refuse(w, err)
	})
}

func (a *registryAPI) reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", registryMedia)
	w.WriteHeader(status)
	if text, ok := answer.(plainText); ok {
		_, _ = io.WriteString(w, string(text))
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *registryAPI) refuse(w http.ResponseWriter, err error) {
	var rest *restError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &rest):
	case errors.As(err, &large):
		rest = &restError{413, 413, fmt.Sprintf("the request is larger than %d bytes", large.Limit)}
	default:
		a.log.Error("registry could not keep a change", "error", err)
		rest = &restError{500, 50001, "Error in the backend data store: " + err.Error()}
	}
	a.reply(w, rest.status, struct {
		ErrorCode int    `json:"error_code"`
		Message   string `json:"message"`
	}{rest.code, rest.message})
}

// decode reads a request's JSON. Fields that are not known are passed over: clients of newer registries send more.
func decode(r *http.Request, into any) error {
	switch err := json.NewDecoder(r.Body).Decode(into); {
	case errors.Is(err, io.EOF):
		return &restError{422, 422, "the request has no body"}
	case err != nil:
		return &restError{400, 400, "the request is not the JSON expected: " + err.Error()}
	}
	return nil
}

// page is the part of list that the request's offset and limit ask for.
func page[T any](r *http.Request, list []T) ([]T, error) {
	bound := map[string]int{"offset": 0, "limit": -1}
	for name := range bound {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, errPath // as Confluent answers what is no number
			}
			bound[name] = int(n)
		}
	}
	list = list[min(max(bound["offset"], 0), len(list)):]
	if limit := bound["limit"]; limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return list, nil
}

// flag reads a yes-or-no query parameter.
func flag(r *http.Request, name string) bool {
	on, err := strconv.ParseBool(r.URL.Query().Get(name))
	return err == nil && on
}
