package cli

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"webcheck/prober"
)

// httpKey reads one key of a module that asks a web server.
func (i *importer) httpKey(m *module, key string, at place, node ast.Node) {
	t := &m.target
	switch key {
	case "valid_status_codes":
		i.statusCodes(t, at, node)
	case "valid_http_versions":
		i.httpVersions(t, at, i.texts(at, node))
	case "method":
		t.Method = strings.ToUpper(i.text(at, node))
	case "headers":
		for _, h := range i.pairs(at, node) {
			i.header(h.place, t, m.name, h.key, h.value, false)
		}
	case "http_headers":
		i.keys(at, node, func(name string, p place, value ast.Node) { i.headerValues(m, name, p, value) })
	case "body":
		t.Body = i.text(at, node)
	case "no_follow_redirects", "follow_redirects":
		if i.isTrue(at, node) == (key == "no_follow_redirects") {
			t.MaxRedirects = 0
		}
	case "fail_if_body_matches_regexp":
		i.expressions(at, node, func(p place, e *regexp.Regexp) bool { return also(&t.BodyNotMatches, e) })
	case "fail_if_body_not_matches_regexp":
		i.expressions(at, node, func(p place, e *regexp.Regexp) bool { return first(&t.BodyMatches, e) })
	case "fail_if_header_not_matches", "fail_if_header_not_matches_regexp":
		for n, item := range i.list(node) {
			i.headerMatch(t, at.item(item, n), item)
		}
	case "enable_http2":
		if !i.isTrue(at, node) {
			t.HTTPVersion = prober.HTTP11
		}
	case "proxy_url":
		i.proxy(at, t, i.text(at, node))
	default:
		if !i.signInKey(m, key, at, node) {
			i.commonKey(m, key, at, node)
		}
	}
}

// statusCodes reads the codes that are fine; without one it stays 2xx.
func (i *importer) statusCodes(t *prober.Target, at place, node ast.Node) {
	var codes []int
	for _, text := range i.texts(at, node) {
		code, err := strconv.Atoi(text)
		if err != nil || code < 100 || code > 599 {
			i.note(at, "not taken over: %s is no HTTP status", text)
			continue
		}
		codes = append(codes, code)
	}
	if slices.Sort(codes); len(codes) > 0 {
		t.Status = statusRanges(slices.Compact(codes))
	}
}

// httpVersions reads the versions that are fine. A target speaks one of them, or whichever it is offered.
func (i *importer) httpVersions(t *prober.Target, at place, versions []string) {
	all := []string{"HTTP/1.1", "HTTP/2.0", "HTTP/2"}
	old, others := slices.Contains(versions, all[0]), slices.ContainsFunc(versions, func(v string) bool { return !slices.Contains(all, v) })
	switch {
	case others:
		i.notTaken(at)
	case len(versions) == 0 || old && len(versions) > 1:
	case old:
		t.HTTPVersion = prober.HTTP11
	default:
		t.HTTPVersion = prober.HTTP2
	}
}

// headerValues reads a header with its values, its secrets and the files of secrets, of which the exporter takes the last.
func (i *importer) headerValues(m *module, name string, at place, node ast.Node) {
	i.keys(at, node, func(key string, p place, value ast.Node) {
		texts := i.texts(p, value)
		if len(texts) == 0 {
			return
		}
		text := texts[len(texts)-1]
		switch key {
		case "values":
			i.header(p, &m.target, m.name, name, text, false)
		case "secrets":
			i.header(p, &m.target, m.name, name, "", true)
		case "files":
			if m.target.SecretHeaders == nil {
				m.target.SecretHeaders = make(map[string]string)
			}
			m.target.SecretHeaders[name] = i.secretFile(p, text, m.name, name)
		default:
			i.notTaken(p)
		}
	})
}

// headerMatch reads what a header must match.
func (i *importer) headerMatch(t *prober.Target, at place, node ast.Node) {
	var header, expression string
	i.keys(at, node, func(key string, p place, value ast.Node) {
		switch key {
		case "header":
			header = i.text(p, value)
		case "regexp":
			expression = i.text(p, value)
		default:
			if i.isTrue(p, value) {
				i.note(p, "not taken over: a header that is missing does not match")
			}
		}
	})
	pattern, err := regexp.Compile(expression)
	if err != nil || t.HeaderMatches[http.CanonicalHeaderKey(header)] != nil {
		i.notTaken(at)
		return
	}
	if t.HeaderMatches == nil {
		t.HeaderMatches = make(map[string]*regexp.Regexp)
	}
	t.HeaderMatches[http.CanonicalHeaderKey(header)] = pattern
}

// signInKey reads a key that says who asks, and reports whether it is one. No password or token is taken over.
func (i *importer) signInKey(m *module, key string, at place, node ast.Node) bool {
	t := &m.target
	switch key {
	case "basic_auth":
		i.keys(at, node, func(key string, p place, value ast.Node) {
			switch text := i.text(p, value); key {
			case "username":
				t.BasicAuth.User = text
			case "password":
				t.BasicAuth.Password = i.secret(p, m.name, "password")
			case "password_file":
				t.BasicAuth.Password = i.secretFile(p, text, m.name, "password")
			default:
				i.notTaken(p)
			}
		})
	case "authorization":
		i.authorization(m, at, node)
	case "bearer_token":
		t.BearerToken = i.secret(at, m.name, "token")
	case "bearer_token_file":
		t.BearerToken = i.secretFile(at, i.text(at, node), m.name, "token")
	default:
		return false
	}
	return true
}

// authorization reads the header Authorization in its parts.
func (i *importer) authorization(m *module, at place, node ast.Node) {
	reference, isBearer := "", true
	i.keys(at, node, func(key string, p place, value ast.Node) {
		switch text := i.text(p, value); key {
		case "type":
			isBearer = strings.EqualFold(text, "Bearer")
		case "credentials":
			reference = i.secret(p, m.name, "token")
		case "credentials_file":
			reference = i.secretFile(p, text, m.name, "token")
		default:
			i.notTaken(p)
		}
	})
	if isBearer {
		m.target.BearerToken = reference
		return
	}
	i.header(at, &m.target, m.name, "Authorization", "", true)
}
