package cli

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"webcheck/prober"
)

// comparison is a condition of Gatus, with what it asks about on the left: [STATUS] == any(200, 429).
type comparison struct{ subject, operator, value string }

// operators are in the order in which Gatus looks for them; the second one is what it becomes when the sides are changed over.
var operators = [][2]string{{"==", "=="}, {"!=", "!="}, {"<=", ">="}, {">=", "<="}, {">", "<"}, {"<", ">"}}

func readComparison(text string) (comparison, bool) {
	for _, operator := range operators {
		left, right, found := strings.Cut(text, " "+operator[0]+" ")
		if !found {
			continue
		}
		left, right = strings.TrimSpace(left), strings.TrimSpace(right)
		if strings.HasPrefix(right, "[") && !strings.HasPrefix(left, "[") {
			return comparison{right, operator[1], left}, true
		}
		return comparison{left, operator[0], right}, true
	}
	return comparison{}, false
}

// conditions reads the conditions of an endpoint: what it must be to be healthy.
func (i *importer) conditions(e *endpoint) {
	for n, item := range i.list(e.keys["conditions"]) {
		at := e.places["conditions"].item(item, n)
		text, variable := expandGatus(i.text(at, item))
		c, is := readComparison(text)
		if variable != "" || !is || !i.condition(e, at, c) {
			i.note(at, "not taken over: %s", text)
		}
	}
	e.Status = slices.DeleteFunc(e.Status, func(r prober.StatusRange) bool { return r.Low > r.High })
	if len(e.Status) == 0 && e.reject == "" {
		e.reject = "its conditions fit no status"
	}
	if e.MaxLatency >= e.Timeout {
		e.MaxLatency = 0 // such a check times out before
	}
}

// condition makes a field of a condition, and reports whether it could.
func (i *importer) condition(e *endpoint, at place, c comparison) bool {
	isHTTP := strings.HasPrefix(e.URL, "http")
	switch c.subject {
	case "[STATUS]":
		return isHTTP && i.statusCondition(e, c)
	case "[CONNECTED]":
		return c.impliedBy(e, "true", "its health is that nobody answers")
	case "[DNS_RCODE]":
		return strings.HasPrefix(e.URL, "dns:") && c.impliedBy(e, "NOERROR", "its health is an answer other than NOERROR")
	case "[RESPONSE_TIME]":
		ms, is := gatusMillis(c.value)
		if limit := time.Duration(ms) * time.Millisecond; is && ms > 0 && (c.operator == "<" || c.operator == "<=") {
			if e.MaxLatency == 0 || limit < e.MaxLatency {
				e.MaxLatency = limit
			}
			return true
		}
	case "[CERTIFICATE_EXPIRATION]":
		ms, is := gatusMillis(c.value)
		days := int(math.Ceil(float64(ms) / float64((24 * time.Hour).Milliseconds())))
		if is && days > 0 && (c.operator == ">" || c.operator == ">=") && (isHTTP || strings.HasPrefix(e.URL, "tls:")) {
			e.CertificateDays = max(e.CertificateDays, days)
			return true
		}
	case "[BODY]":
		return !strings.HasPrefix(e.URL, "tls:") && i.bodyCondition(e, at, c)
	}
	return false
}

// impliedBy reports whether the condition says what each of our checks wants. The opposite cannot be checked at all.
func (c comparison) impliedBy(e *endpoint, value, reject string) bool {
	if c.operator != "==" && c.operator != "!=" {
		return false
	}
	if (c.operator == "==") != (c.value == value) && e.reject == "" {
		e.reject = reject
	}
	return true
}

// gatusMillis reads a number of milliseconds, or a duration.
func gatusMillis(text string) (int64, bool) {
	if d, err := time.ParseDuration(text); err == nil && d != 0 {
		return d.Milliseconds(), true
	}
	n, err := strconv.ParseInt(text, 0, 64)
	return n, err == nil && n < math.MaxInt32
}

// statusCondition keeps of the codes that are fine those that meet the condition.
func (i *importer) statusCondition(e *endpoint, c comparison) bool {
	fits, is := c.statusTest()
	if !is {
		return false
	}
	var left []int
	for _, r := range e.Status {
		for code := r.Low; code <= r.High; code++ {
			if fits(code) {
				left = append(left, code)
			}
		}
	}
	e.Status = statusRanges(left)
	return true
}

// statusTest returns what the condition asks of a code.
func (c comparison) statusTest() (func(code int) bool, bool) {
	pattern, isPattern := function(c.value, "pat")
	list, isList := function(c.value, "any")
	limit, err := strconv.Atoi(c.value)
	var equal func(int) bool
	switch {
	case isPattern:
		if _, err := path.Match(pattern, "200"); err != nil {
			return nil, false
		}
		equal = func(code int) bool { is, err := path.Match(pattern, strconv.Itoa(code)); return is && err == nil }
	case isList:
		equal = func(code int) bool { return slices.Contains(splitList(list), strconv.Itoa(code)) }
	case err != nil:
		return nil, false
	default:
		equal = func(code int) bool { return code == limit }
	}
	test, is := map[string]func(int) bool{
		"==": equal, "!=": func(code int) bool { return !equal(code) },
		"<": func(code int) bool { return code < limit }, "<=": func(code int) bool { return code <= limit },
		">": func(code int) bool { return code > limit }, ">=": func(code int) bool { return code >= limit },
	}[c.operator]
	return test, is && (err == nil || c.operator == "==" || c.operator == "!=")
}

// statusRanges are the ranges of codes that ascend.
func statusRanges(codes []int) []prober.StatusRange {
	var ranges []prober.StatusRange
	for _, code := range codes {
		if last := len(ranges) - 1; last >= 0 && ranges[last].High == code-1 {
			ranges[last].High = code
			continue
		}
		ranges = append(ranges, prober.StatusRange{Low: code, High: code})
	}
	return ranges
}

// function returns what stands between the brackets of pat(…) and its like.
func function(text, name string) (string, bool) {
	inner, is := strings.CutPrefix(text, name+"(")
	if !is || !strings.HasSuffix(inner, ")") {
		return "", false
	}
	return strings.TrimSuffix(inner, ")"), true
}

// bodyCondition makes expressions of what is asked of the whole body; of a question's answer, of one of its lines.
func (i *importer) bodyCondition(e *endpoint, at place, c comparison) bool {
	line := ""
	switch {
	case strings.HasSuffix(e.URL, "?type=SRV"):
		return false // an answer has the port before the host here
	case strings.HasSuffix(e.URL, "?type=MX"):
		line = `(?m:^\d+ `
	case strings.HasPrefix(e.URL, "dns:"):
		line = `(?m:^`
	}
	expression, is := bodyExpression(c.value, line)
	pattern, err := regexp.Compile(expression)
	if !is || err != nil || len(expression) > prober.MaxBodyRegexBytes {
		return false
	}
	switch {
	case c.operator == "!=":
		return also(&e.BodyNotMatches, pattern)
	case c.operator != "==":
		return false
	case e.BodyMatches != nil && e.BodyMatches.String() != expression:
		i.note(at, "not taken over: a target has one such expression")
		return true
	}
	e.BodyMatches = pattern
	return true
}

// also makes into match what it matched, or what pattern does.
func also(into **regexp.Regexp, pattern *regexp.Regexp) bool {
	if *into != nil {
		both := "(?:" + (*into).String() + ")|(?:" + pattern.String() + ")"
		var err error
		if pattern, err = regexp.Compile(both); err != nil || len(both) > prober.MaxBodyRegexBytes {
			return false
		}
	}
	*into = pattern
	return true
}

// bodyExpression is the expression for a body that equals value, which may be a function of Gatus; or, where line says how one
// begins, for a body of which one line does. Names have no dot at their end here.
func bodyExpression(value, line string) (string, bool) {
	begin, end, any := `\A`, `\z`, `(?s:.*)`
	if line != "" {
		begin, end, any = line, `$)`, `.*`
	}
	text := func(text string) string {
		if line != "" {
			text = strings.TrimSuffix(text, ".")
		}
		return text
	}
	if list, is := function(value, "any"); is {
		var options []string
		for _, option := range strings.Split(list, ",") {
			options = append(options, regexp.QuoteMeta(text(strings.TrimSpace(option))))
		}
		return begin + "(?:" + strings.Join(options, "|") + ")" + end, true
	}
	pattern, is := function(value, "pat")
	switch {
	case is && line != "":
		middle, is := globExpression(text(pattern), any)
		return begin + middle + end, is
	case is:
		return patternExpression(pattern, begin, end, any)
	case strings.HasPrefix(value, "["):
		return "", false // another placeholder
	}
	return begin + regexp.QuoteMeta(text(value)) + end, true
}

// patternExpression writes a pattern for a whole body. What may stand before or behind it is left out, so that it is found sooner.
func patternExpression(pattern, begin, end, any string) (string, bool) {
	middle, is := globExpression(strings.Trim(pattern, "*"), any)
	if !strings.HasPrefix(pattern, "*") {
		middle = begin + middle
	}
	if !strings.HasSuffix(pattern, "*") {
		middle += end
	}
	return middle, is
}

// globExpression writes a pattern of path.Match as an expression.
func globExpression(pattern, any string) (string, bool) {
	if _, err := path.Match(pattern, ""); err != nil {
		return "", false // a backslash or a bracket without its end, too
	}
	var b strings.Builder
	for n := 0; n < len(pattern); n++ {
		switch c := pattern[n]; c {
		case '*':
			b.WriteString(any)
		case '?':
			b.WriteString("(?s:.)")
		case '\\':
			n++
			b.WriteString(regexp.QuoteMeta(pattern[n : n+1]))
		case '[':
			class, _, _ := strings.Cut(pattern[n:], "]")
			if strings.Contains(class, `\\`) {
				return "", false
			}
			fmt.Fprintf(&b, "%s]", class)
			n += len(class)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[n : n+1]))
		}
	}
	return b.String(), true
}
