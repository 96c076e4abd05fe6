package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"webcheck/gen/event"
)

// printer is the only place that writes results. Its rules: colour only on a terminal that wants it, one check is one line,
// and whatever came from the outside is made printable first.
type printer struct {
	out    io.Writer
	colour bool
	width  int // of the column of target ids
}

// maxIDWidth keeps one long id from pushing all lines to the right.
const maxIDWidth = 24

// maxPositionWidth fits the positions of a topic with up to a hundred partitions and a million events each.
const maxPositionWidth = len("webcheck.checks/99@999999")

// newPrinter returns a printer to out. It colours when out is a terminal, NO_COLOR is not set (https://no-color.org) and
// the terminal is not a dumb one.
func newPrinter(out io.Writer, env func(string) (string, bool)) *printer {
	noColour, _ := env("NO_COLOR")
	return &printer{out: out, colour: noColour == "" && canBeSteered(out, env)}
}

// canBeSteered reports whether a person looks at out on a terminal that understands more than lines of text.
func canBeSteered(out io.Writer, env func(string) (string, bool)) bool {
	kind, _ := env("TERM")
	return kind != "dumb" && isTerminal(out)
}

// isTerminal reports whether a person looks at or types into stream.
func isTerminal(stream any) bool {
	if results, is := stream.(*results); is {
		stream = results.out
	}
	file, is := stream.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// results is standard output. It keeps the first error, so that results that nobody got are not taken for delivered.
type results struct {
	out io.Writer
	mu  sync.Mutex
	err error
}

// Write writes p.
func (r *results) Write(p []byte) (int, error) {
	n, err := r.out.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = cmp.Or(r.err, err)
	return n, err
}

// failure says why a result was not written, if one was not.
func (r *results) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("writing results: %w", withoutPath(r.err))
}

// printf writes one line of the program's own words. Arguments from the outside are to be made printable by the caller.
func (p *printer) printf(format string, arguments ...any) {
	fmt.Fprintf(p.out, format+"\n", arguments...)
}

// fit sets the column of target ids so that these ids fit.
func (p *printer) fit(ids ...string) {
	for _, id := range ids {
		p.width = min(max(p.width, utf8.RuneCountInString(printable(id))), maxIDWidth)
	}
}

// The colours of the outcomes, as ANSI codes.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	faint  = "2"
)

func (p *printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// check writes one line for a check: time, label, outcome, status, total, phases, and the failure if there is one. The
// label is the target's id, or whatever the person asked for.
func (p *printer) check(at time.Time, label string, e *event.CheckCompleted) {
	p.fit(label)
	p.printf("%s", p.checkText(at, label, e))
}

// checkAt is check with the event's position in Kafka before it.
func (p *printer) checkAt(position string, at time.Time, label string, e *event.CheckCompleted) {
	p.fit(label)
	p.printf("%-*s  %s", maxPositionWidth, position, p.checkText(at, label, e))
}

func (p *printer) checkText(at time.Time, label string, e *event.CheckCompleted) string {
	colour, known := map[string]string{event.OutcomeUp: green, event.OutcomeDegraded: yellow, event.OutcomeDown: red}[e.Outcome]
	if !known {
		colour = faint
	}
	fields := []string{
		p.paint(faint, at.Format(time.TimeOnly)),
		fmt.Sprintf("%-*s", p.width, printable(label)),
		p.paint(colour, fmt.Sprintf("%-8s", printable(e.Outcome))),
		fmt.Sprintf("%3s", statusText(e)),
		fmt.Sprintf("%9s", microseconds(e.TotalUs)),
	}
	if phases := phasesText(e); phases != "" {
		fields = append(fields, p.paint(faint, phases))
	}
	if text := failureText(e); text != "" {
		fields = append(fields, p.paint(colour, text))
	}
	return strings.TrimRight(strings.Join(fields, "  "), " ")
}

func statusText(e *event.CheckCompleted) string {
	if e.StatusCode == nil {
		return "-"
	}
	return strconv.Itoa(int(*e.StatusCode))
}

// microseconds writes a phase in milliseconds, as finely as its size deserves.
func microseconds(us *int32) string {
	if us == nil {
		return "-"
	}
	switch ms := float64(*us) / 1000; {
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f ms", ms)
	}
}

// phasesText lists the phases that were measured; milliseconds without their unit, which the total has.
func phasesText(e *event.CheckCompleted) string {
	var parts []string
	for _, phase := range []struct {
		name string
		us   *int32
	}{{"dns", e.DNSUs}, {"connect", e.ConnectUs}, {"tls", e.TLSUs}, {"first byte", e.FirstByteUs}, {"transfer", e.TransferUs}} {
		if phase.us != nil {
			parts = append(parts, phase.name+" "+strings.TrimSuffix(microseconds(phase.us), " ms"))
		}
	}
	return strings.Join(parts, ", ")
}

// failureText says why a check is not up: the reason's name and its sentence.
func failureText(e *event.CheckCompleted) string {
	var parts []string
	if e.Failure != nil {
		parts = append(parts, printable(*e.Failure))
	}
	if e.FailureText != nil && *e.FailureText != "" {
		parts = append(parts, printable(*e.FailureText))
	}
	return strings.Join(parts, ": ")
}

// json writes v as one line of JSON, in which what could steer a terminal is escaped as everywhere: JSON itself lets most of
// it stand.
func (p *printer) json(v any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := p.out.Write(escapeJSON(line.Bytes()))
	return err
}

// escapeJSON writes every character of a JSON text that is not printable as an escape. They are in strings only, so the text
// means the same.
func escapeJSON(text []byte) []byte {
	escaped := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

// jsonEvent is an event as JSON, with the names and the order of its Avro schema. What a check without a schedule does not
// know (event id, slot, location, prober) is left out.
type jsonEvent struct{ *event.CheckCompleted }

// MarshalJSON writes one object.
func (j jsonEvent) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fields := reflect.ValueOf(*j.CheckCompleted)
	for i := range fields.NumField() {
		value := fields.Field(i)
		if value.IsZero() && (value.Kind() == reflect.String || value.Type() == reflect.TypeFor[time.Time]()) {
			continue
		}
		text, err := json.Marshal(value.Interface())
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%q:%s", fields.Type().Field(i).Tag.Get("avro"), text)
	}
	return append(append([]byte{'{'}, bytes.TrimPrefix(b.Bytes(), []byte{','})...), '}'), nil
}

// printable returns text with every character that could steer a terminal written as an escape: control characters,
// invisible formatting such as a reversed reading direction, and bytes that are no UTF-8.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		size := utf8.RuneLen(r)
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == ' ' || size > 0 && unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// printableLines is printable for a text of several lines, each of which stays one.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// printError writes what ended a command: one sentence, then the hint. Faults of a configuration stand for themselves.
func printError(out io.Writer, err error, by *scrubber) {
	text := printableLines(by.scrub(err.Error()))
	if _, is := err.(*ConfigError); is {
		fmt.Fprintln(out, text)
		return
	}
	fmt.Fprintln(out, "webcheck: "+strings.ReplaceAll(text, "\n", "\n  "))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintln(out, "hint: "+printable(by.scrub(hint)))
	}
}
