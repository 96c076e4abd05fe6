package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"webcheck/gen/event"
)

func pointer[T any](v T) *T { return &v }

func TestControlCharactersAreNeverPrintedRaw(t *testing.T) {
	for text, want := range map[string]string{
		"plain äöü 世界 🙂":       "plain äöü 世界 🙂",
		"\x1b[31mred\x1b[0m":   `\x1b[31mred\x1b[0m`,
		"a\r\nb\tc\x00":        `a\r\nb\tc\x00`,
		"\u202egnp.exe":        `\u202egnp.exe`,
		"\u009b31m":            `\u009b31m`,
		"bad \xff\xfe bytes":   `bad \xff\xfe bytes`,
		"\u2028line\ufeffmark": `\u2028line\ufeffmark`,
		"real \uFFFD stays":    "real \uFFFD stays",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestACheckIsOneLine(t *testing.T) {
	at := time.Date(2026, 11, 24, 17, 31, 2, 0, time.UTC)
	e := &event.CheckCompleted{
		Outcome: event.OutcomeDown, StatusCode: pointer(int32(503)), TotalUs: pointer(int32(12345)), DNSUs: pointer(int32(120)), FirstByteUs: pointer(int32(11000)),
		Failure: pointer(event.FailureStatus), FailureText: pointer("status 503\n\x1b[2Jinstead"),
	}
	for colour, want := range map[bool]string{
		false: "17:31:02  site  down      503      12 ms  dns 0.1, first byte 11  status: status 503\\n\\x1b[2Jinstead\n",
		true:  "\x1b[2m17:31:02\x1b[0m  site  \x1b[31mdown    \x1b[0m  503      12 ms  \x1b[2mdns 0.1, first byte 11\x1b[0m  \x1b[31mstatus: status 503\\n\\x1b[2Jinstead\x1b[0m\n",
	} {
		var out bytes.Buffer
		p := &printer{out: &out, colour: colour}
		p.check(at, "site", e)
		if out.String() != want {
			t.Errorf("colour %v:\n got %q\nwant %q", colour, out.String(), want)
		}
	}
	var out bytes.Buffer
	(&printer{out: &out}).check(at, "x", &event.CheckCompleted{Outcome: "newer\x07"})
	if want := "17:31:02  x  newer\\a     -          -\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestColourNeedsATerminalThatWantsIt(t *testing.T) {
	var out bytes.Buffer
	if newPrinter(&out, given(nil, nil).env).colour {
		t.Error("a buffer is no terminal")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there is no terminal to be had here: %v", err)
	}
	defer terminal.Close()
	for want, variables := range map[string]map[string]string{"colour": nil, "NO_COLOR": {"NO_COLOR": "1"}, "dumb": {"TERM": "dumb"}} {
		if got := newPrinter(terminal, given(nil, variables).env).colour; got != (want == "colour") {
			t.Errorf("%s: got colour %v", want, got)
		}
	}
}

func TestAnErrorIsASentenceAndAHint(t *testing.T) {
	var out bytes.Buffer
	printError(&out, usageError{withHint(errors.New("first\nsecond\x1b"), "do this")}, nil)
	if want := "webcheck: first\n  second\\x1b\nhint: do this\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestSuggestionsAreNear(t *testing.T) {
	choices := []string{"kafka", "registry", "postgres", "prober", "processor", "targets"}
	for text, want := range map[string]string{"kafak": "kafka", "postgre": "postgres", "Target": "targets", "x": "", "something": ""} {
		got := didYouMean(text, choices)
		if want == "" && got != "" || want != "" && !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("didYouMean(%q) = %q, want %q", text, got, want)
		}
	}
}
