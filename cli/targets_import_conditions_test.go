package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/prober"
)

// oneEndpoint imports one endpoint of Gatus with these conditions, and returns its target, if it became one, and the notes.
func oneEndpoint(t *testing.T, url string, conditions ...string) (*prober.Target, string) {
	t.Helper()
	text := "endpoints:\n  - name: x\n    url: " + url + "\n"
	if kind, is := strings.CutPrefix(url, "8.8.8.8 "); is {
		text = "endpoints:\n  - name: x\n    url: 8.8.8.8:53\n    dns: {query-name: example.com, query-type: " + kind + "}\n"
	}
	text += "    conditions:\n"
	for _, condition := range conditions {
		text += fmt.Sprintf("      - %q\n", condition)
	}
	i := newImporter("x.yaml", []byte(text))
	i.gatus()
	var notes []string
	for _, note := range i.d.faults {
		notes = append(notes, note.Message)
	}
	if len(i.targets) == 0 {
		return nil, strings.Join(notes, "; ")
	}
	return &i.targets[0], strings.Join(notes, "; ")
}

func TestAConditionOnTheStatusKeepsTheCodesThatMeetIt(t *testing.T) {
	for conditions, want := range map[string]string{
		"":                                      "100-599",
		"[STATUS] == 200":                       "200",
		"200 == [STATUS]":                       "200",
		"[STATUS] == any(200, 201,301)":         "200-201,301",
		"[STATUS] != any(200, 201)":             "100-199,202-599",
		"[STATUS] < 300":                        "100-299",
		"300 > [STATUS]":                        "100-299",
		"[STATUS] >= 200; [STATUS] <= 299":      "200-299",
		"[STATUS] == pat(2*)":                   "200-299",
		"[STATUS] == pat(20?); [STATUS] != 204": "200-203,205-209",
		"[STATUS] == pat(4[0-2]9)":              "409,419,429",
	} {
		target, notes := oneEndpoint(t, "https://example.com/", splitConditions(conditions)...)
		if target == nil || notes != "" {
			t.Errorf("%s: %s", conditions, notes)
			continue
		}
		var got []string
		for _, r := range target.Status {
			got = append(got, r.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, ",")); diff != "" {
			t.Errorf("%s: %s", conditions, diff)
		}
	}
}

func splitConditions(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "; ")
}

func TestAConditionOnTheBodyMatchesWhatItMatchesThere(t *testing.T) {
	for _, test := range []struct {
		url, condition string
		fits, not      []string
	}{
		{"https://example.com/", "[BODY] == ok", []string{"ok"}, []string{"ok\n", "not ok"}},
		{"https://example.com/", "[BODY] == any(a.b, c)", []string{"a.b", "c"}, []string{"a+b", "ac", "a.b, c"}},
		{"https://example.com/", "[BODY] == pat(*ok*)", []string{"ok", "\nnot ok\n"}, []string{"o", "o\nk"}},
		{"https://example.com/", "[BODY] == pat(<html>*é</html>)", []string{"<html>\n\né</html>"}, []string{" <html>é</html>", "<html>é</html>\n"}},
		{"https://example.com/", `[BODY] == pat(a?c\\*[x-z])`, []string{"abc*y", "a\nc*z"}, []string{"ac*y", "abc*w", "abcdy"}},
		{"https://example.com/", "[BODY] == pat(*)", []string{"", "x"}, nil},
		{"tcp://example.com:6379", "[BODY] == pat(+PONG*)", []string{"+PONG\r\n"}, []string{"-ERR +PONG"}},
		{"8.8.8.8 A", "[BODY] == 93.184.215.14", []string{"1.2.3.4\n93.184.215.14"}, []string{"93.184.215.140", "193.184.215.14"}},
		{"8.8.8.8 A", "[BODY] == pat(*.*.*.*)", []string{"1.2.3.4"}, []string{"1.2.3\n4"}},
		{"8.8.8.8 NS", "[BODY] == any(ns1.example.com., ns2.example.com.)", []string{"ns2.example.com\nother.example.com"}, []string{"other.example.com"}},
		{"8.8.8.8 MX", "[BODY] == pat(*.example.com.)", []string{"10 mx1.example.com"}, []string{"10 mx1.example.org"}},
	} {
		target, notes := oneEndpoint(t, test.url, strings.ReplaceAll(test.condition, `\\`, `\`))
		if target == nil || notes != "" || target.BodyMatches == nil {
			t.Errorf("%s: %s", test.condition, notes)
			continue
		}
		for _, text := range test.fits {
			if !target.BodyMatches.MatchString(text) {
				t.Errorf("%s: %s does not match %q", test.condition, target.BodyMatches, text)
			}
		}
		for _, text := range test.not {
			if target.BodyMatches.MatchString(text) {
				t.Errorf("%s: %s matches %q", test.condition, target.BodyMatches, text)
			}
		}
	}
}

func TestAConditionThatCannotBeTakenOverIsSaid(t *testing.T) {
	for condition, want := range map[string]string{
		"[BODY].status == UP":             "not taken over: [BODY].status == UP",
		"len([BODY].users) > 0":           "not taken over: len([BODY].users) > 0",
		"[BODY] == [CONTEXT].x":           "not taken over: [BODY] == [CONTEXT].x",
		"[BODY] == pat([a)":               "not taken over: [BODY] == pat([a)",
		"[BODY] > 3":                      "not taken over: [BODY] > 3",
		"[STATUS] == ok":                  "not taken over: [STATUS] == ok",
		"[STATUS] < any(200)":             "not taken over: [STATUS] < any(200)",
		"[RESPONSE_TIME] > 100":           "not taken over: [RESPONSE_TIME] > 100",
		"[RESPONSE_TIME] < soon":          "not taken over: [RESPONSE_TIME] < soon",
		"[CERTIFICATE_EXPIRATION] < 48h":  "not taken over: [CERTIFICATE_EXPIRATION] < 48h",
		"[IP] == 127.0.0.1":               "not taken over: [IP] == 127.0.0.1",
		"[DNS_RCODE] == NOERROR":          "not taken over: [DNS_RCODE] == NOERROR",
		"[CONNECTED] == false":            "left out: its health is that nobody answers",
		"[CONNECTED] != true":             "left out: its health is that nobody answers",
		"[CONNECTED] == true":             "",
		"[RESPONSE_TIME] < 20000":         "",
		"[CERTIFICATE_EXPIRATION] > $AGE": "not taken over: [CERTIFICATE_EXPIRATION] > ${AGE}",
	} {
		if _, notes := oneEndpoint(t, "https://example.com/", condition); notes != want {
			t.Errorf("%s: got %q, want %q", condition, notes, want)
		}
	}
	if _, notes := oneEndpoint(t, "8.8.8.8 A", "[DNS_RCODE] == NXDOMAIN"); notes != "left out: its health is an answer other than NOERROR" {
		t.Error(notes)
	}
	if _, notes := oneEndpoint(t, "8.8.8.8 SRV", "[BODY] == a.example.com.:5060"); notes != "not taken over: [BODY] == a.example.com.:5060" {
		t.Error(notes)
	}
}
