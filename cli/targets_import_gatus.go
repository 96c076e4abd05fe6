package cli

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"webcheck/prober"
)

// gatusOwn are the top-level keys of Gatus' file that say nothing about endpoints: how the program itself is run.
var gatusOwn = []string{"metrics", "storage", "web", "security", "debug", "concurrency", "disable-monitoring-lock", "skip-invalid-config-update"}

// gatus reads Gatus' configuration. Its keys are those of github.com/TwiN/gatus, config/endpoint.
func (i *importer) gatus() {
	found := false
	i.keys(place{}, i.root, func(key string, at place, value ast.Node) {
		switch {
		case key == "endpoints" || key == "services": // as they were called before version 3
			for n, item := range i.list(value) {
				i.endpoint(at.item(item, n), item)
			}
			found = true
		case !slices.Contains(gatusOwn, key) && !i.isAnchored(value):
			i.notTaken(at)
		}
	})
	if !found {
		i.note(place{}, "there are no endpoints")
	}
}

// endpoint is one endpoint of Gatus as it is read.
type endpoint struct {
	place
	prober.Target
	name, group string
	keys        map[string]ast.Node
	places      map[string]place
	reject      string // why the target cannot be one of ours
}

// endpoint reads one endpoint. What it needs of others, such as the URL's scheme for a condition, is read first.
func (i *importer) endpoint(at place, node ast.Node) {
	before := len(i.d.faults)
	e := &endpoint{place: at, Target: prober.NewTarget("", ""), keys: make(map[string]ast.Node), places: make(map[string]place)}
	i.keys(at, node, func(key string, at place, value ast.Node) { e.keys[key], e.places[key] = value, at })
	e.name, e.group = i.expanded(e, "name"), i.expanded(e, "group")
	e.URL = i.expanded(e, "url")
	i.withoutUser(e.places["url"], &e.Target, e.owner())
	i.endpointLabels(e)
	i.endpointTimes(e)
	i.endpointWay(e)
	for _, key := range []string{"alerts", "ui", "maintenance-windows", "ssh", "store", "always-run"} {
		if e.keys[key] != nil {
			i.notTaken(e.places[key])
		}
	}
	i.conditions(e)
	if e.reject != "" {
		i.d.faults = i.d.faults[:before] // of a target that nobody has
		i.note(at, "left out: %s", e.reject)
		return
	}
	i.add(at, e.Target, e.owner())
}

// owner names the endpoint, as Gatus' own key does.
func (e *endpoint) owner() string { return strings.Trim(e.group+"-"+e.name, "-") }

// expanded returns the text of a key. Gatus puts variables of its environment in, which are not here: the target is left out.
func (i *importer) expanded(e *endpoint, key string) string {
	text, variable := expandGatus(i.text(e.places[key], e.keys[key]))
	if variable != "" && e.reject == "" {
		e.reject = key + " has the variable " + variable + " in it, whose value is not known here"
	}
	return text
}

// expandGatus does to a text what Gatus does before it reads its file, and returns the first variable that is in it.
func expandGatus(text string) (expanded, variable string) {
	parts := strings.Split(text, "$$")
	for n, part := range parts {
		parts[n] = os.Expand(part, func(name string) string {
			if variable == "" {
				variable = name
			}
			return "${" + name + "}"
		})
	}
	return strings.Join(parts, "$"), variable
}

func (i *importer) endpointLabels(e *endpoint) {
	e.Labels = make(map[string]string)
	if e.group != "" {
		e.Labels["group"] = e.group
	}
	if e.name != slug(e.name) {
		e.Labels["name"] = e.name
	}
	for _, label := range i.pairs(e.places["extra-labels"], e.keys["extra-labels"]) {
		i.label(&e.Target, label)
	}
}

// label adds a label whose key may have letters that ours have not.
func (i *importer) label(t *prober.Target, label pair) {
	key := strings.ToLower(label.key)
	if key = strings.TrimLeft(regexp.MustCompile(`[^a-z0-9._-]`).ReplaceAllString(key, "-"), "._-"); key == "" || t.Labels[key] != "" {
		i.notTaken(label.place)
		return
	}
	t.Labels[key] = label.value
}

// endpointTimes reads interval and timeout.
func (i *importer) endpointTimes(e *endpoint) {
	i.duration(e.places["interval"], e.keys["interval"], &e.Interval)
	e.Timeout = prober.DefaultTimeout
	i.keys(e.places["client"], e.keys["client"], func(key string, at place, value ast.Node) {
		if key == "timeout" {
			i.duration(at, value, &e.Timeout)
			if e.Timeout > e.Interval {
				i.note(at, "cut to the interval, which is %s", formatDuration(e.Interval))
			}
		}
	})
	e.Timeout = min(e.Timeout, e.Interval)
	if e.keys["enabled"] != nil {
		e.Paused = !i.isTrue(e.places["enabled"], e.keys["enabled"])
	}
}

// endpointWay reads how the endpoint is reached, by what its URL is.
func (i *importer) endpointWay(e *endpoint) {
	switch scheme, _, _ := strings.Cut(e.URL, "://"); {
	case e.keys["dns"] != nil:
		i.endpointQuestion(e)
	case scheme == "http" || scheme == "https":
		i.endpointRequest(e)
	case scheme == "tcp" || scheme == "tls":
		i.endpointConnection(e)
	case e.reject != "":
	case e.URL == "":
		e.reject = "it has no URL"
	default:
		e.reject = "there is no check for a URL that begins with " + printable(strings.ToLower(scheme)) + "://"
		if scheme == e.URL {
			e.reject = "its URL has no scheme"
		}
	}
	i.keys(e.places["client"], e.keys["client"], func(key string, at place, value ast.Node) { i.clientKey(e, key, at, value) })
}

func (i *importer) clientKey(e *endpoint, key string, at place, value ast.Node) {
	isHTTP := strings.HasPrefix(e.URL, "http")
	switch {
	case key == "timeout":
	case key == "insecure" && (isHTTP || strings.HasPrefix(e.URL, "tls://")):
		e.TLSVerify = !i.isTrue(at, value)
	case key == "ignore-redirect" && isHTTP:
		if i.isTrue(at, value) {
			e.MaxRedirects = 0
		}
	case key == "proxy-url" && isHTTP:
		text, variable := expandGatus(i.text(at, value))
		if variable != "" {
			text = ""
		}
		i.proxy(at, &e.Target, text)
	case key == "insecure" || key == "ignore-redirect" || key == "store-cookies":
		if i.isTrue(at, value) {
			i.notTaken(at)
		}
	default:
		i.notTaken(at)
	}
}

// endpointQuestion makes a question of a resolver of the dns section; the URL is the resolver's address.
func (i *importer) endpointQuestion(e *endpoint) {
	var name, kind string
	i.keys(e.places["dns"], e.keys["dns"], func(key string, at place, value ast.Node) {
		switch key {
		case "query-name":
			name = i.text(at, value)
		case "query-type":
			kind = i.text(at, value)
		default:
			i.notTaken(at)
		}
	})
	e.URL = questionURL(e.URL, name, kind)
	i.useless(e, "method", "headers", "body", "graphql")
}

// questionURL is the URL of a question to a resolver.
func questionURL(resolver, name, kind string) string {
	host, port, err := net.SplitHostPort(resolver)
	if err == nil && port == "53" {
		resolver = host
	}
	if strings.Contains(resolver, ":") && (err != nil || port == "53") {
		resolver = "[" + strings.Trim(resolver, "[]") + "]"
	}
	text := "dns://" + resolver + "/" + url.PathEscape(strings.TrimSuffix(name, "."))
	if kind != "" && kind != "A" {
		text += "?type=" + url.QueryEscape(kind)
	}
	return text
}

// useless notes keys that mean nothing to such an endpoint.
func (i *importer) useless(e *endpoint, keys ...string) {
	for _, key := range keys {
		if e.keys[key] != nil {
			i.notTaken(e.places[key])
		}
	}
}

func (i *importer) endpointConnection(e *endpoint) {
	i.useless(e, "method", "headers", "graphql")
	if strings.HasPrefix(e.URL, "tls://") {
		i.useless(e, "body")
		return
	}
	i.endpointBody(e)
}

// endpointRequest reads what is sent to an HTTP endpoint.
func (i *importer) endpointRequest(e *endpoint) {
	if method := i.expanded(e, "method"); method != "" {
		e.Method = strings.ToUpper(method)
	}
	for _, h := range i.pairs(e.places["headers"], e.keys["headers"]) {
		value, variable := expandGatus(h.value)
		i.header(h.place, &e.Target, e.owner(), h.key, value, variable != "")
	}
	i.endpointBody(e)
	if e.keys["graphql"] != nil && i.isTrue(e.places["graphql"], e.keys["graphql"]) {
		query, err := json.Marshal(map[string]string{"query": e.Body})
		if err == nil { // as of any text
			e.Body = string(query)
		}
		if !hasHeader(&e.Target, "Content-Type") {
			i.header(e.places["graphql"], &e.Target, e.owner(), "Content-Type", "application/json", false)
		}
	}
	e.Status = []prober.StatusRange{{Low: 100, High: 599}} // without a condition any will do
	if e.Method == http.MethodConnect && e.reject == "" {
		e.reject = "its method is CONNECT"
	}
}

var randomString = regexp.MustCompile(`\[RANDOM_STRING_\d+\]|\[LOCAL_ADDRESS\]`)

// endpointBody reads the body, with what Gatus puts into it.
func (i *importer) endpointBody(e *endpoint) {
	text := i.expanded(e, "body")
	text = strings.NewReplacer("[ENDPOINT_NAME]", e.name, "[ENDPOINT_GROUP]", e.group, "[ENDPOINT_URL]", e.URL).Replace(text)
	if found := randomString.FindString(text); found != "" {
		i.note(e.places["body"], "%s in it is sent as it stands", found)
	}
	e.Body = text
}
