package cli

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"webcheck/prober"
)

// secretHeaders are words that the names of headers have in them which let somebody in.
var secretHeaders = regexp.MustCompile(`(?i)authorization|cookie|token|secret|password|api-?key|access-?key|credential|signature`)

var notVariable = regexp.MustCompile(`[^A-Z0-9]+`)

// secretVariable is the variable that a secret of owner, a target or a module, is to be put into. The prober's settings allow its name.
func secretVariable(owner, what string) string {
	name := strings.Trim(notVariable.ReplaceAllString(strings.ToUpper(owner+"_"+what), "_"), "_")
	return "WEBCHECK_SECRET_" + name
}

// secret returns the reference that stands for a secret of the file, and notes what is to be done for it. No note has the secret.
func (i *importer) secret(p place, owner, what string) string {
	variable := secretVariable(owner, what)
	i.note(p, "not taken over: set the variable %s to it where the prober runs", variable)
	return "env:" + variable
}

// secretFile returns the reference of a file that holds a secret.
func (i *importer) secretFile(p place, path, owner, what string) string {
	if !filepath.IsAbs(path) {
		return i.secret(p, owner, what)
	}
	i.note(p, "is read where the prober runs: let its setting prober.secrets allow file:%s", path)
	return "file:" + path
}

// header sets a header of t. Its value stays in the file where it looks like a secret, or where it comes from elsewhere.
func (i *importer) header(p place, t *prober.Target, owner, name, value string, isSecret bool) {
	if isSecret || secretHeaders.MatchString(name) {
		if t.SecretHeaders == nil {
			t.SecretHeaders = make(map[string]string)
		}
		t.SecretHeaders[name] = i.secret(p, owner, name)
		return
	}
	if t.Headers == nil {
		t.Headers = make(map[string]string)
	}
	t.Headers[name] = strings.TrimSpace(value)
}

// hasHeader reports whether t sends a header of that name.
func hasHeader(t *prober.Target, name string) bool {
	for _, headers := range []map[string]string{t.Headers, t.SecretHeaders} {
		for other := range headers {
			if http.CanonicalHeaderKey(other) == http.CanonicalHeaderKey(name) {
				return true
			}
		}
	}
	return false
}

// withoutUser takes user and password out of a URL, and makes t sign in with them.
func (i *importer) withoutUser(p place, t *prober.Target, owner string) {
	u, err := url.Parse(t.URL)
	if err != nil || u.User == nil {
		return
	}
	t.BasicAuth = prober.BasicAuth{User: u.User.Username(), Password: i.secret(p, owner, "password")}
	u.User = nil
	t.URL = u.String()
}

// proxy sets the proxy of t, where it is one that webcheck can use.
func (i *importer) proxy(p place, t *prober.Target, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		i.note(p, "not taken over: a proxy must be http://host:port, without user and password")
		return
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if t.Proxy = "http://" + u.Hostname() + ":" + port; strings.Contains(u.Hostname(), ":") {
		t.Proxy = "http://[" + u.Hostname() + "]:" + port
	}
}
