package cli

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"webcheck/prober"
)

// targetReader reads one target; its faults go to the document.
type targetReader struct {
	d      *document
	field  string                  // "targets[3]"
	places map[string]*token.Token // of the values, by key
	bad    map[string]bool         // keys whose value was unreadable
	target prober.Target
}

// readTargets reads the list of targets of a document.
func readTargets(d *document) ([]prober.Target, []Fault) {
	if len(d.pieces) > 0 {
		if targets, ok := readPieces(d.pieces); ok {
			return targets, nil
		}
		whole := readWhole(d.file, d.whole)
		faults := whole.faults
		targets, more := readTargets(whole)
		return targets, append(faults, more...)
	}
	d.faults = nil
	var targets []prober.Target
	firstLine := make(map[string]int)
	for i, node := range d.targets {
		r := &targetReader{d: d, field: fmt.Sprintf("targets[%d]", i), places: make(map[string]*token.Token), bad: make(map[string]bool)}
		r.target = prober.NewTarget("", "")
		before := len(d.faults)
		d.mapping(node, r.field, targetKeys, r.key)
		if node.Type() == ast.NullType {
			d.fault(startOf(node), r.field, "is empty")
		}
		if len(d.faults) == before || len(r.places) > 0 {
			r.validate(startOf(node))
		}
		if id := r.target.ID; id != "" {
			at := r.places["id"]
			if line, taken := firstLine[id]; taken {
				d.fault(at, r.field+".id", "%q is taken; first on line %d", id, line)
			} else {
				firstLine[id] = at.Position.Line
			}
		}
		targets = append(targets, r.target)
	}
	return targets, d.faults
}

// key reads the value of one key.
func (r *targetReader) key(key string, at *token.Token, value ast.Node) {
	field := r.field + "." + key
	r.places[key] = startOf(value)
	before := len(r.d.faults)
	switch key {
	case "expect_status":
		r.readStatus(field, at, value)
	case "labels":
		r.readLabels(field, value)
	case "rules":
		r.readRules(field, value)
		return // each rule has a place and faults of its own
	case "headers":
		r.target.Headers = r.readTexts(key, field, value, nil)
	case "secret_headers":
		r.target.SecretHeaders = r.readTexts(key, field, value, nil)
	case "basic_auth":
		r.readBasicAuth(field, value)
	case "header_matches":
		r.readHeaderMatches(field, value)
	default:
		if text := r.d.scalar(value, at, field); len(r.d.faults) == before {
			r.readScalar(key, field, text)
		}
	}
	if len(r.d.faults) > before {
		r.bad[key] = true
	}
}

// readScalar reads one of the keys whose value is one text.
func (r *targetReader) readScalar(key, field, text string) {
	var err error
	switch key {
	case "id":
		r.target.ID = text
	case "url":
		r.target.URL = text
	case "interval":
		err = readDuration(text, &r.target.Interval)
	case "timeout":
		err = readDuration(text, &r.target.Timeout)
	case "body_matches":
		err = readRegex(text, &r.target.BodyMatches)
	case "max_redirects":
		err = readNumber(text, &r.target.MaxRedirects)
	default:
		err = r.readRequestScalar(key, text)
	}
	if err != nil {
		r.d.fault(r.places[key], field, "%s", err.Error())
	}
}

// readDuration leaves what is there where the text is no duration, so that one fault does not become two.
func readDuration(text string, into *time.Duration) error {
	d, err := parseDuration(text)
	if err == nil {
		*into = d
	}
	return err
}

// readStatus reads a code, a range, or a list of both.
func (r *targetReader) readStatus(field string, at *token.Token, value ast.Node) {
	items := []ast.Node{value}
	if list, is := value.(*ast.SequenceNode); is {
		items = list.Values
	}
	r.target.Status = nil
	for i, item := range items {
		before, itemField := len(r.d.faults), field
		if len(items) > 1 {
			itemField = fmt.Sprintf("%s[%d]", field, i)
		}
		text := r.d.scalar(item, at, itemField)
		if len(r.d.faults) > before {
			continue
		}
		ranges, err := parseStatus(text)
		if err != nil {
			r.d.fault(startOf(item), itemField, "%s", err.Error())
		}
		r.target.Status = append(r.target.Status, ranges...)
	}
}

var statusRange = regexp.MustCompile(`^([1-5]\d\d)(?:-([1-5]\d\d))?$`)

// parseStatus reads codes and ranges with commas between them: 200-299,301.
func parseStatus(text string) ([]prober.StatusRange, error) {
	var ranges []prober.StatusRange
	for _, part := range splitList(text) {
		found := statusRange.FindStringSubmatch(part)
		if found == nil {
			return nil, fmt.Errorf("%q is not an HTTP status (examples: 200, 200-299)", part)
		}
		low, _ := strconv.Atoi(found[1])
		high := low
		if found[2] != "" {
			high, _ = strconv.Atoi(found[2])
		}
		if high < low {
			return nil, fmt.Errorf("%q ends before it begins", part)
		}
		ranges = append(ranges, prober.StatusRange{Low: low, High: high})
	}
	return ranges, nil
}

func (r *targetReader) readLabels(field string, value ast.Node) {
	r.target.Labels = make(map[string]string)
	r.d.mapping(value, field, nil, func(key string, at *token.Token, value ast.Node) {
		r.target.Labels[key] = r.d.scalar(value, at, field+"."+key)
	})
}

// validate says what the prober says about the target, at the place of each value.
func (r *targetReader) validate(start *token.Token) {
	if r.places["timeout"] == nil {
		r.target.Timeout = prober.DefaultTimeoutFor(r.target.Interval)
	}
	for _, fault := range r.target.Validate() {
		key := fault.Field // that of a rule, else that of the target
		if r.places[key] == nil {
			key, _, _ = strings.Cut(key, ".")
		}
		at := r.places[key]
		switch {
		case r.bad[key], r.bad[strings.SplitN(key, ".", 2)[0]]:
		case at == nil && (key == "id" || key == "url"):
			r.d.fault(start, r.field+"."+key, "is missing")
		case at == nil:
			r.d.fault(start, r.field+"."+fault.Field, "%s", fault.Message)
		default:
			r.d.fault(at, r.field+"."+fault.Field, "%s", fault.Message)
		}
	}
}

// newTarget is a target with every default but the interval.
func newTarget(id, url string, interval time.Duration) prober.Target {
	target := prober.NewTarget(id, url)
	target.Interval, target.Timeout = interval, prober.DefaultTimeoutFor(interval)
	return target
}

// withScheme is the URL that a person means who leaves https:// out.
func withScheme(text string) string {
	if strings.Contains(text, "://") {
		return text
	}
	return "https://" + text
}

// targetsFromURLs makes targets of URLs on the command line, each with an id made of its host and path.
func targetsFromURLs(urls []string, interval time.Duration) ([]prober.Target, error) {
	var targets []prober.Target
	taken := make(map[string]bool)
	for _, text := range urls {
		text = withScheme(text)
		u, err := url.Parse(text)
		if err != nil { // the text may hold a password, and the cause repeats it
			return nil, usageError{errors.New("one of the URLs is none (example: https://example.com/health)")}
		}
		id := slug(u.Host + u.Path)
		for n := 2; taken[id]; n++ {
			id = fmt.Sprintf("%s-%d", slug(u.Host+u.Path), n)
		}
		taken[id] = true
		target := newTarget(id, text, interval)
		if faults := target.Validate(); len(faults) > 0 {
			return nil, usageError{fmt.Errorf("%q: %s %s", u.Redacted(), faults[0].Field, faults[0].Message)}
		}
		targets = append(targets, target)
	}
	return targets, nil
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// maxSlug keeps the ids made of long paths readable.
const maxSlug = 48

func slug(text string) string {
	id := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if len(id) > maxSlug {
		id = strings.TrimRight(id[:maxSlug], "-")
	}
	if id == "" {
		return "target"
	}
	return id
}
