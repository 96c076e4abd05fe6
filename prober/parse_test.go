package prober

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
)

// sameTarget compares targets, and regular expressions by their text.
var sameTarget = cmp.Comparer(func(a, b *regexp.Regexp) bool { return a == b || a != nil && b != nil && a.String() == b.String() })

func TestADefinitionIsParsedAsTheTargetThatItDefines(t *testing.T) {
	rnd := seed.Random(t)
	for range seed.Runs(t, 2000) {
		want := randomTarget(rnd)
		if faults := want.Validate(); len(faults) > 0 {
			t.Fatalf("%+v: %v", want, faults)
		}
		text := want.Definition()
		got, err := ParseDefinition(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, sameTarget); diff != "" {
			t.Fatalf("%s: %s", text, diff)
		}
		if got.Version() != want.Version() {
			t.Fatalf("%s: version %s, want %s", text, got.Version(), want.Version())
		}
	}
}

// TestADefinitionHasItsKeysSorted is what makes it canonical; so each text, too, has one definition only.
func TestADefinitionHasItsKeysSorted(t *testing.T) {
	rnd := seed.Random(t)
	for range 200 {
		text := randomTarget(rnd).Definition()
		var any map[string]any
		if err := json.Unmarshal([]byte(text), &any); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(any); err != nil || strings.TrimSpace(b.String()) != text {
			t.Fatalf("got  %s\nwant %s%v", text, b.String(), err)
		}
	}
}

func TestADefinitionThatIsNotUnderstoodWholeIsRefused(t *testing.T) {
	plain := NewTarget("home", "https://example.com").Definition()
	for name, test := range map[string]struct{ text, want string }{
		"a key of a later build": {strings.Replace(plain, `"id"`, `"teleport":1,"id"`, 1), `"teleport" is no key of a target that this build knows`},
		"a key in capitals":      {strings.Replace(plain, `"id"`, `"ID"`, 1), `"ID" is no key`},
		"a key twice":            {strings.Replace(plain, `{`, `{"id":"home",`, 1), `has "id" twice`},
		"a rule of a later build": {strings.Replace(plain, `"up":`, `"sideways":1,"up":`, 1),
			`"rules" has "sideways", which is no key of a target that this build knows`},
		"null":                   {strings.Replace(plain, `"home"`, `null`, 1), `"id" is no text`},
		"a number as text":       {strings.Replace(plain, `"max_redirects":10`, `"max_redirects":"10"`, 1), `"max_redirects" is "", which is no whole number`},
		"a fraction":             {strings.Replace(plain, `"max_redirects":10`, `"max_redirects":1.5`, 1), `does not go on`},
		"a leading zero":         {strings.Replace(plain, `"max_redirects":10`, `"max_redirects":010`, 1), `is "010"`},
		"a bad status":           {strings.Replace(plain, `200-299`, `2xx`, 1), `"2xx", which is no status`},
		"a status of one number": {strings.Replace(plain, `200-299`, `200-200`, 1), `"200-200", which is no status`},
		"a bad duration":         {strings.Replace(plain, `"1m0s"`, `"1 minute"`, 1), `"interval" is "1 minute"`},
		"a bad rule":             {strings.Replace(plain, `2 of 3`, `2 from 3`, 1), `"down", which is "2 from 3", without of`},
		"a bad regex":            {strings.Replace(plain, `{`, `{"body_matches":"(a",`, 1), `"body_matches" is no regular expression: missing closing )`},
		"a regex too long":       {strings.Replace(plain, `{`, `{"body_matches":"`+strings.Repeat("a", MaxBodyRegexBytes+1)+`",`, 1), `"body_matches" has 1025 bytes`},
		"keys without end":       {strings.Replace(plain, `{`, `{"labels":{`+manyKeys(65)+`},`, 1), `"labels" has more than 64 keys`},
		"not valid":              {strings.Replace(plain, `"home"`, `"Home"`, 1), `id: is "Home"`},
		"without URL":            {`{"id":"home"}`, `url: must be absolute`},
		"not UTF-8":              {strings.Replace(plain, `home`, "ho\xffme", 1), `not valid UTF-8`},
		"nothing":                {``, `is no object`},
		"text behind":            {plain + `{}`, `something behind its end`},
		"a NUL behind":           {plain + "\x00", `something behind its end`},
		"cut":                    {plain[:len(plain)-1], `does not go on behind "url"`},
		"a control character":    {strings.Replace(plain, `home`, "ho\nme", 1), `control character`},
		"a key of basic_auth":    {strings.Replace(plain, `{`, `{"basic_auth":{"name":"x"},`, 1), `"basic_auth" has "name", which is no key`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseDefinition(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	return strings.Join(keys, ",")
}

func TestADefinitionWithoutAKeyHasItsDefault(t *testing.T) {
	got, err := ParseDefinition(` { "url" : "https://example.com" , "id":"home", "interval":"5s", "labels":{}, "rules":{} }`)
	want := NewTarget("home", "https://example.com")
	want.Interval, want.Timeout = 5*time.Second, 5*time.Second
	if diff := cmp.Diff(want, got, sameTarget); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func FuzzParseDefinition(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		f.Add(randomTarget(rnd).Definition())
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseDefinition(text)
		if err != nil {
			return
		}
		var keys map[string]any
		if err := json.Unmarshal([]byte(text), &keys); err != nil {
			t.Fatalf("%q is no JSON, and parsed: %v", text, err)
		}
		again, err := ParseDefinition(target.Definition())
		if err != nil || again.Version() != target.Version() || again.Definition() != target.Definition() {
			t.Fatalf("%q became %q, and that %q, %v", text, target.Definition(), again.Definition(), err)
		}
	})
}

func BenchmarkParseDefinition(b *testing.B) {
	text := NewTarget("home", "https://example.com/health").Definition()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDefinition(text); err != nil {
			b.Fatal(err)
		}
	}
}

// randomTarget returns a valid target of any kind.
func randomTarget(rnd *rand.Rand) Target {
	t := NewTarget(fmt.Sprintf("t%d", rnd.Uint32()), pick(rnd, "http://example.com/", "https://example.com:8443/a?b=<c>&d=\"é\"", "tcp://[::1]:25", "tls://example.com:465",
		"dns:///example.com", "dns://9.9.9.9:53/example.com?type=MX"))
	t.Interval = time.Duration(1+rnd.IntN(86_000)) * time.Second
	t.Timeout = min(time.Duration(1+rnd.Int64N(int64(t.Interval))), MaxTimeout)
	t.Rules = Rules{DownAfter: 1 + rnd.IntN(3), DownOf: 3, UpAfter: 1 + rnd.IntN(3), UpOf: 3 + rnd.IntN(17), Quorum: rnd.IntN(101),
		FlapTransitions: 2 + rnd.IntN(99), FlapWindow: time.Duration(60+rnd.IntN(80_000)) * time.Second, SilentAfter: 2 + rnd.IntN(99)}
	sometimes := func(change func()) {
		if rnd.IntN(3) == 0 {
			change()
		}
	}
	sometimes(func() { t.Labels = randomTexts(rnd) })
	sometimes(func() {
		t.MaxLatency = 1 + time.Duration(rnd.Int64N(int64(t.Timeout)))
		t.MaxLatency = min(t.MaxLatency, t.Timeout-1)
	})
	sometimes(func() { t.IPFamily = pick(rnd, IPv4, IPv6) })
	sometimes(func() { t.Retries = rnd.IntN(MaxRetries); t.RetryGap = t.Timeout / 20 })
	sometimes(func() { t.Paused = true })
	switch scheme, _, _ := strings.Cut(t.URL, ":"); {
	case scheme == "http" || scheme == "https":
		randomRequest(rnd, &t, sometimes)
		fallthrough
	case scheme == "tls":
		sometimes(func() { t.CertificateDays = rnd.IntN(MaxCertificateDays + 1) })
		sometimes(func() { t.TLSVerify = false })
	default:
		sometimes(func() { t.BodyMatches = regexp.MustCompile(pick(rnd, `^220 `, `10\.0\.0\.1`)) })
	}
	if t.Retries > 0 && time.Duration(t.Retries)*t.RetryGap >= t.Timeout || t.Retries == 0 {
		t.Retries, t.RetryGap = 0, DefaultRetryGap
	}
	return t
}

func randomRequest(rnd *rand.Rand, t *Target, sometimes func(func())) {
	sometimes(func() { t.Status = []StatusRange{{200, 200 + rnd.IntN(3)}, {401, 401}} })
	sometimes(func() { t.MaxRedirects = rnd.IntN(MaxRedirectLimit + 1) })
	sometimes(func() { t.Method = pick(rnd, "DELETE", "POST", "PROPFIND") })
	sometimes(func() {
		t.Headers = map[string]string{"Host": "other.example", "X-A": pick(rnd, "", "ü \"<b>\"", `\`)}
	})
	sometimes(func() { t.SecretHeaders = map[string]string{"X-Key": "env:KEY", "x-token": "file:/run/secrets/ü"} })
	sometimes(func() { t.Body = pick(rnd, "{\"a\": \"<b>\\\"}\"}\n", "\tline\r\n\u2028ü", "#: - [") })
	sometimes(func() { t.BodyMatches = regexp.MustCompile(pick(rnd, ``, `(?i)"welcome" \\ <b>|ü\d+`)) })
	sometimes(func() { t.BodyNotMatches = regexp.MustCompile(pick(rnd, `error|exception`, `\x00`)) })
	sometimes(func() {
		t.HeaderMatches = map[string]*regexp.Regexp{"content-type": regexp.MustCompile(`^text/html`), "X": regexp.MustCompile(``)}
	})
	sometimes(func() { t.BearerToken = "env:TOKEN" })
	if t.BearerToken == "" {
		sometimes(func() { t.BasicAuth = BasicAuth{User: "jürgen", Password: "file:/run/secrets/password"} })
	}
	sometimes(func() { t.HTTPVersion = HTTP11 })
	sometimes(func() { t.Proxy = "http://proxy.example:3128" })
}

func randomTexts(rnd *rand.Rand) map[string]string {
	texts := make(map[string]string)
	for range 1 + rnd.IntN(3) {
		texts[fmt.Sprintf("k%d", rnd.IntN(5))] = pick(rnd, "", "web: \"a\"", "<prod> & 'more'", "ü\\")
	}
	return texts
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

func BenchmarkVersion(b *testing.B) {
	target := NewTarget("home", "https://example.com/health")
	b.ReportAllocs()
	for b.Loop() {
		target.Version()
	}
}
