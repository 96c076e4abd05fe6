package cli

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"webcheck/prober"
)

// module is one of the blackbox_exporter's: how a target is probed.
type module struct {
	name   string
	target prober.Target // without id and URL
	kind   string        // "http", "tcp", "tls" or "dns"
	reject string        // why no target can be probed like this, after the module's name

	family                 string        // of addresses that is preferred
	noFallback             bool          // and no other one taken
	timeout                time.Duration // 0 leaves it to the job
	question, questionType string
	talk                   func() // reads what a connection says; nil for nothing
}

func sortedModules(modules map[string]*module) []string { return slices.Sorted(maps.Keys(modules)) }

// usualModules are those of the exporter's own blackbox.yml that need no further file.
func usualModules() map[string]*module {
	modules := make(map[string]*module)
	add := func(name, kind string, change func(*prober.Target)) {
		m := &module{name: name, kind: kind, target: prober.NewTarget("", "")}
		change(&m.target)
		modules[name] = m
	}
	add("http_2xx", "http", func(*prober.Target) {})
	add("http_post_2xx", "http", func(t *prober.Target) { t.Method = http.MethodPost })
	add("tcp_connect", "tcp", func(*prober.Target) {})
	add("ssh_banner", "tcp", func(t *prober.Target) { t.BodyMatches = regexp.MustCompile("(?m)^SSH-2.0-") })
	add("pop3s_banner", "tls", func(*prober.Target) {})
	for _, name := range []string{"icmp", "icmp_ttl5", "grpc", "grpc_plain"} {
		modules[name] = &module{reject: "is none of http, tcp and dns"}
	}
	return modules
}

// modules reads the exporter's configuration. Its keys are those of github.com/prometheus/blackbox_exporter, CONFIGURATION.md.
func (i *importer) modules() map[string]*module {
	modules := make(map[string]*module)
	found := false
	i.keys(place{}, i.root, func(key string, p place, value ast.Node) {
		if key != "modules" {
			i.notTaken(p)
			return
		}
		found = true
		i.keys(p, value, func(name string, p place, value ast.Node) { modules[name] = i.module(name, p, value) })
	})
	if !found {
		i.note(place{}, "there are no modules")
	}
	return modules
}

func (i *importer) module(name string, at place, node ast.Node) *module {
	m := &module{name: name, target: prober.NewTarget("", ""), questionType: "ANY"}
	sections := make(map[string]func())
	i.keys(at, node, func(key string, p place, value ast.Node) {
		switch key {
		case "prober":
			m.kind = i.text(p, value)
		case "timeout":
			i.duration(p, value, &m.timeout)
		case "http", "tcp", "dns":
			sections[key] = func() {
				read := map[string]func(*module, string, place, ast.Node){"http": i.httpKey, "tcp": i.tcpKey, "dns": i.dnsKey}[key]
				i.keys(p, value, func(key string, p place, value ast.Node) { read(m, key, p, value) })
			}
		case "icmp", "grpc", "unix", "websocket":
		default:
			i.notTaken(p)
		}
	})
	if !slices.Contains([]string{"http", "tcp", "dns"}, m.kind) {
		m.reject = "is none of http, tcp and dns"
	} else if read := sections[m.kind]; read != nil {
		read()
	}
	if m.talk != nil {
		m.talk()
	}
	if m.noFallback {
		m.target.IPFamily = cmp.Or(m.family, prober.IPv6) // as the exporter prefers
	}
	if m.kind == "dns" && m.question == "" {
		m.reject = "asks for no name"
	}
	return m
}

// commonKey reads a key that modules of several kinds have. A switch that is off, and a list without items, ask for nothing.
func (i *importer) commonKey(m *module, key string, at place, node ast.Node) {
	switch key {
	case "preferred_ip_protocol":
		m.family = map[string]string{"ip4": prober.IPv4, "ip6": prober.IPv6}[i.text(at, node)]
	case "ip_protocol_fallback":
		m.noFallback = !i.isTrue(at, node)
	case "tls_config":
		i.keys(at, node, func(key string, p place, value ast.Node) {
			if key == "insecure_skip_verify" {
				m.target.TLSVerify = !i.isTrue(p, value)
				return
			}
			i.notTaken(p)
		})
	default:
		if text, is := node.(ast.ScalarNode); is && text.GetToken().Value == "false" {
			return
		}
		if list, is := node.(*ast.SequenceNode); is && len(list.Values) == 0 {
			return
		}
		i.notTaken(at)
	}
}

// expressions calls take for each expression of a list, and notes those that are none, or that it does not take.
func (i *importer) expressions(at place, node ast.Node, take func(place, *regexp.Regexp) bool) {
	for n, text := range i.texts(at, node) {
		p := at
		p.field = fmt.Sprintf("%s[%d]", at.field, n)
		pattern, err := regexp.Compile(text)
		switch {
		case err != nil:
			i.note(p, "not taken over: it is not a regular expression")
		case !take(p, pattern):
			i.note(p, "not taken over: a target has one such expression")
		}
	}
}

// first makes into pattern, unless there is another one.
func first(into **regexp.Regexp, pattern *regexp.Regexp) bool {
	if *into != nil && (*into).String() != pattern.String() {
		return false
	}
	*into = pattern
	return true
}

// tcpKey reads one key of a module that connects.
func (i *importer) tcpKey(m *module, key string, at place, node ast.Node) {
	switch key {
	case "tls":
		if i.isTrue(at, node) {
			m.kind = "tls"
		}
	case "query_response":
		m.talk = func() { i.talk(m, at, node) } // what is said depends on the other keys
	default:
		i.commonKey(m, key, at, node)
	}
}

// talk reads what is sent and expected: our check sends once, and then looks at what comes.
func (i *importer) talk(m *module, at place, node ast.Node) {
	t := &m.target
	for n, item := range i.list(node) {
		step := at.item(item, n)
		i.keys(step, item, func(key string, p place, value ast.Node) {
			text := i.text(p, value)
			switch {
			case m.kind == "tls":
				i.notTaken(p)
			case key == "send" && t.BodyMatches == nil:
				t.Body += text + "\n" // as the exporter does
			case key == "expect" && t.BodyMatches == nil:
				i.expressions(p, value, func(_ place, e *regexp.Regexp) bool {
					t.BodyMatches = regexp.MustCompile("(?m:" + e.String() + ")") // it looks at each line
					return true
				})
			default:
				i.notTaken(p)
			}
		})
	}
}

// dnsKey reads one key of a module that asks a resolver, which is the target.
func (i *importer) dnsKey(m *module, key string, at place, node ast.Node) {
	switch key {
	case "query_name":
		m.question = i.text(at, node)
	case "query_type":
		m.questionType = i.text(at, node)
	case "query_class":
		if i.text(at, node) != "IN" {
			i.notTaken(at)
		}
	case "recursion_desired":
		if !i.isTrue(at, node) {
			i.notTaken(at)
		}
	case "transport_protocol":
		if i.text(at, node) != "udp" {
			i.notTaken(at)
		}
	case "valid_rcodes":
		if codes := i.texts(at, node); !slices.Equal(codes, []string{"NOERROR"}) {
			m.reject = "takes other answers than NOERROR"
		}
	case "validate_answer_rrs", "validate_authority_rrs", "validate_additional_rrs":
		i.note(at, "not taken over: webcheck looks at the records' values alone")
	default:
		i.commonKey(m, key, at, node)
	}
}
