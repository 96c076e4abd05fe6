package cli

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"webcheck/prober"
)

// Defaults of Prometheus (prometheus.io/docs/prometheus/latest/configuration).
const (
	scrapeInterval = time.Minute
	scrapeTimeout  = 10 * time.Second
)

// jobOwn are keys of a job that say how its metrics are fetched and kept, and nothing about what is probed.
var jobOwn = []string{
	"metrics_path", "scheme", "honor_labels", "honor_timestamps", "basic_auth", "authorization", "tls_config", "metric_relabel_configs", "follow_redirects",
	"enable_http2", "proxy_url", "sample_limit", "label_limit", "target_limit", "body_size_limit", "scrape_protocols", "track_timestamps_staleness",
}

// job is what is probed, and how, by one job of Prometheus.
type job struct {
	name              string
	module            string
	interval, timeout time.Duration
}

// prometheus reads a prometheus.yml, or one of its files of targets, which is a list.
func (i *importer) prometheus(modules map[string]*module) {
	usual := job{interval: scrapeInterval, timeout: scrapeTimeout}
	if _, is := i.root.(*ast.SequenceNode); is {
		i.targetGroups(place{field: "list"}, i.root, usual, modules)
		return
	}
	found := false
	var jobs ast.Node
	var at place
	i.keys(place{}, i.root, func(key string, p place, value ast.Node) {
		switch key {
		case "global":
			i.keys(p, value, func(key string, p place, value ast.Node) { i.jobTimes(&usual, key, p, value) })
		case "scrape_configs":
			found, jobs, at = true, value, p
		case "scrape_config_files":
			i.note(p, "not taken over: import these files by themselves")
		}
	})
	if !found {
		i.note(place{}, "there are no scrape_configs, and no list of targets")
	}
	for n, item := range i.list(jobs) {
		i.job(at.item(item, n), item, usual, modules)
	}
}

// jobTimes reads a key that a job and the defaults of all have, and reports whether it is one.
func (i *importer) jobTimes(j *job, key string, at place, value ast.Node) bool {
	switch key {
	case "scrape_interval":
		i.duration(at, value, &j.interval)
	case "scrape_timeout":
		i.duration(at, value, &j.timeout)
	default:
		return false
	}
	return true
}

// job reads one job. Only one that probes has targets of ours.
func (i *importer) job(at place, node ast.Node, j job, modules map[string]*module) {
	probes := false
	var groups []func()
	var notes []place
	i.keys(at, node, func(key string, p place, value ast.Node) {
		switch {
		case i.jobTimes(&j, key, p, value):
		case key == "job_name":
			j.name = i.text(p, value)
		case key == "params":
			probes = i.params(&j, p, value) || probes
		case key == "static_configs":
			groups = append(groups, func() { i.targetGroups(p, value, j, modules) })
		case key == "relabel_configs":
			groups = append(groups, func() { i.relabels(p, value) })
		case key == "metrics_path" && i.text(p, value) == "/probe":
			probes = true
		case !slices.Contains(jobOwn, key):
			notes = append(notes, p)
		}
	})
	if !probes {
		i.note(at, "left out: job %q does not probe, it reads metrics", j.name)
		return
	}
	for _, p := range notes {
		if strings.HasSuffix(p.field, "file_sd_configs") {
			i.note(p, "not taken over: import these files by themselves")
		} else {
			i.notTaken(p)
		}
	}
	for _, read := range groups {
		read()
	}
}

// params reads the parameters of the exporter's URL, and reports whether one of them is the module.
func (i *importer) params(j *job, at place, node ast.Node) bool {
	i.keys(at, node, func(key string, p place, value ast.Node) {
		texts := i.texts(p, value)
		if key != "module" || len(texts) != 1 {
			i.notTaken(p)
		}
		if key == "module" && len(texts) > 0 {
			j.module = texts[0]
		}
	})
	return j.module != ""
}

// usualRelabels are those that every job of the exporter has: the address becomes the target, and the exporter the address.
var usualRelabels = []string{
	"source_labels=__address__ target_label=__param_target", "source_labels=__param_target target_label=instance",
	"source_labels=__param_target target_label=target", "source_labels=module target_label=__param_module",
}

// relabels notes the rules that do more.
func (i *importer) relabels(at place, node ast.Node) {
	for n, item := range i.list(node) {
		var parts []string
		rule := at.item(item, n)
		toExporter := false
		i.keys(rule, item, func(key string, p place, value ast.Node) {
			switch {
			case key == "replacement":
				toExporter = true
			case key == "action" && i.text(p, value) == "replace":
			default:
				parts = append(parts, key+"="+strings.Join(i.texts(p, value), ","))
			}
		})
		slices.Sort(parts)
		text := strings.Join(parts, " ")
		if toExporter && text != "target_label=__address__" || !toExporter && !slices.Contains(usualRelabels, text) {
			i.notTaken(rule)
		}
	}
}

// targetGroups reads lists of targets with their labels.
func (i *importer) targetGroups(at place, node ast.Node, j job, modules map[string]*module) {
	for n, item := range i.list(node) {
		group, of := at.item(item, n), j
		var targets ast.Node
		var where place
		labels := prober.NewTarget("", "")
		if labels.Labels = make(map[string]string); j.name != "" {
			labels.Labels["job"] = j.name
		}
		i.keys(group, item, func(key string, p place, value ast.Node) {
			switch key {
			case "targets":
				targets, where = value, p
			case "labels":
				i.groupLabels(&labels, &of, p, value)
			default:
				i.notTaken(p)
			}
		})
		for n, item := range i.list(targets) {
			at := where.item(item, n)
			i.probed(at, i.text(at, item), of, labels.Labels, modules)
		}
	}
}

// groupLabels reads the labels of a group. Those that begin with two underscores are Prometheus' own; one of them is the module.
func (i *importer) groupLabels(t *prober.Target, j *job, at place, node ast.Node) {
	for _, label := range i.pairs(at, node) {
		switch {
		case label.key == "__param_module", label.key == "module" && j.module == "":
			j.module = label.value
		case !strings.HasPrefix(label.key, "__"):
			i.label(t, label)
		default:
			i.notTaken(label.place)
		}
	}
}

// probed makes a target of an address that the exporter is asked to probe.
func (i *importer) probed(at place, address string, j job, labels map[string]string, modules map[string]*module) {
	name := j.module
	if name == "" {
		name = "http_2xx" // what the exporter takes
	}
	m := modules[name]
	if m == nil {
		i.note(at, "left out: there is no module %q%s; --modules FILE reads the exporter's", name, didYouMean(name, sortedModules(modules)))
		return
	}
	if m.reject != "" {
		i.note(at, "left out: module %q %s", name, m.reject)
		return
	}
	t := m.target
	t.Interval, t.Timeout = j.interval, min(j.interval, j.timeout)
	if m.timeout > 0 {
		t.Timeout = min(t.Timeout, m.timeout)
	}
	t.Labels = labels
	host := address
	switch m.kind {
	case "http":
		if t.URL = address; !strings.Contains(address, "://") {
			t.URL = "http://" + address
		}
		if u, err := url.Parse(t.URL); err == nil {
			host = u.Host + u.Path
		}
		if t.BasicAuth == (prober.BasicAuth{}) {
			i.withoutUser(at, &t, host)
		}
	case "dns":
		t.URL, host = questionURL(address, m.question, m.questionType), m.question+"-"+address
	default:
		t.URL = fmt.Sprintf("%s://%s", m.kind, address)
	}
	i.add(at, t, host)
}
