package cli

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/prober"
)

// exported writes targets as "webcheck targets export" does.
func exported(t *testing.T, targets ...prober.Target) string {
	t.Helper()
	var all []map[string]any
	for _, target := range targets {
		fields, err := readFields(target.Definition())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fields)
	}
	var b strings.Builder
	if err := writeTargets(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readTargetsText(t *testing.T, text string) []prober.Target {
	t.Helper()
	doc := readDocument("x.yaml", []byte(text))
	targets, faults := readTargets(doc)
	if faults = append(doc.faults, faults...); len(faults) > 0 {
		t.Fatalf("%v in\n%s", faults, text)
	}
	return targets
}

func TestAnExportIsReadAsTheSameTargets(t *testing.T) {
	random := seed.Random(t)
	for range seed.Runs(t, 300) {
		var want []prober.Target
		for i := range 1 + random.IntN(5) {
			target := randomTarget(random, i)
			if faults := target.Validate(); len(faults) > 0 {
				t.Fatalf("%+v: %v", target, faults)
			}
			want = append(want, target)
		}
		text := exported(t, want...)
		got := readTargetsText(t, text)
		if len(got) != len(want) {
			t.Fatalf("%d targets, want %d, in\n%s", len(got), len(want), text)
		}
		for i := range want {
			if diff := cmp.Diff(want[i].Definition(), got[i].Definition()); diff != "" {
				t.Fatalf("%s in\n%s", diff, text)
			}
		}
		if again := exported(t, got...); again != text {
			t.Fatalf("the second time it is another text: %s", cmp.Diff(text, again))
		}
	}
}

func TestAnExportSaysOnlyWhatIsNotTheDefault(t *testing.T) {
	plain := prober.NewTarget("plain", "https://example.com/")
	full := prober.NewTarget("no", "https://example.com/?q=a b")
	full.Interval, full.Timeout = 30*time.Second, 1500*time.Millisecond
	full.Status = []prober.StatusRange{{Low: 200, High: 299}, {Low: 301, High: 301}}
	full.BodyMatches = regexp.MustCompile("Welcome|\"Hello\"\n")
	full.Labels = map[string]string{"team": "web", "on": "yes", "room": "12"}
	full.Rules.DownAfter, full.Rules.FlapWindow, full.Rules.Quorum = 3, 2*time.Hour, 2
	full.BearerToken, full.TLSVerify = "env:WEBCHECK_SECRET_NO", false
	quick := prober.NewTarget("quick", "tcp://example.com:25")
	quick.Interval, quick.Timeout = 5*time.Second, 5*time.Second
	want := `targets:
  - id: plain
    url: https://example.com/
  - id: "no"
    url: "https://example.com/?q=a b"
    interval: 30s
    timeout: 1.5s
    expect_status: [200-299, 301]
    body_matches: "Welcome|\"Hello\"\n"
    labels:
      "on": "yes"
      room: "12"
      team: web
    rules:
      down: 3 of 3
      quorum: 2
      flapping: 5 in 2h
    bearer_token: env:WEBCHECK_SECRET_NO
    tls_verify: false
  - id: quick
    url: tcp://example.com:25
    interval: 5s
`
	if diff := cmp.Diff(want, exported(t, plain, full, quick)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("targets: []\n", exported(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAChangeNamesTheFieldsThatDiffer(t *testing.T) {
	old := prober.NewTarget("home", "https://example.com/")
	old.Labels = map[string]string{"team": "web"}
	now := old
	now.Interval, now.Labels, now.Paused = 90*time.Second, map[string]string{"room": "\x1b[2J"}, true
	now.Status = []prober.StatusRange{{Low: 200, High: 204}, {Low: 404, High: 404}}
	now.Rules.FlapWindow, now.Body = 2*time.Hour, strings.Repeat("x", 300)
	from, err := readFields(old.Definition())
	if err != nil {
		t.Fatal(err)
	}
	to, err := readFields(now.Definition())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"interval: 1m -> 1m30s", "expect_status: 200-299 -> 200-204, 404", `labels.room: (none) -> \x1b[2J`,
		"rules.flapping: 5 in 1h -> 5 in 2h", "body: (none) -> " + strings.Repeat("x", maxFieldWidth-1) + "…", "paused: (none) -> true",
		"labels.team: web -> (none)",
	}
	if diff := cmp.Diff(want, changedFields(from, to)); diff != "" {
		t.Error(diff)
	}
	if same := changedFields(from, from); len(same) > 0 {
		t.Errorf("of itself: %q", same)
	}
}

func TestAChangeWithoutAFieldSaysWhatItIs(t *testing.T) {
	home := prober.NewTarget("home", "https://example.com/")
	for version, want := range map[string]string{
		home.Version():  "not every prober reads it like this",
		"0123456789ab":  "version: 0123456789ab -> " + home.Version(),
		"\x1b[2J\u202e": `version: \x1b[2J\u202e -> ` + home.Version(),
	} {
		change := changedTarget{prober.Defined{ID: "home", Version: version, Definition: home.Definition()}, home}
		if diff := cmp.Diff([]string{want}, change.lines()); diff != "" {
			t.Error(diff)
		}
	}
}

// randomTarget is a valid target with the id t<n>, with texts that YAML can trip over.
func randomTarget(random *rand.Rand, n int) prober.Target {
	t := prober.NewTarget(fmt.Sprintf("t%d", n), "https://example.com/"+pick(random, "", "a?b=c&d=%20#x", "é: 'x' #y", "{a}[b]"))
	text := func() string {
		return pick(random, "yes", "null", "12", "1e3", "0x1f", "a: b", "a #b", "- x", "'", `"\`, "{", "é\u2028\u202e", "\U000e0001", "*a", "&a", "!t", "%d", "@", "`", "~", "1:20", "2001-01-01", "|", ">", "?", "=", "<<", ".inf")
	}
	t.Interval = time.Duration(1+random.IntN(86_400_000)) * time.Millisecond
	t.Interval = max(t.Interval, prober.MinInterval)
	t.Timeout = min(time.Duration(1+random.Int64N(int64(t.Interval))), prober.MaxTimeout)
	sometimes := func(change func()) {
		if random.IntN(3) == 0 {
			change()
		}
	}
	sometimes(func() { t.Timeout = prober.DefaultTimeoutFor(t.Interval) })
	sometimes(func() {
		t.Status = []prober.StatusRange{{Low: 200, High: 200}, {Low: 300, High: 399}}[:1+random.IntN(2)]
	})
	sometimes(func() { t.BodyMatches = regexp.MustCompile(regexp.QuoteMeta(text())) })
	sometimes(func() {
		t.Labels = map[string]string{pick(random, "no", "1", "a.b-c", "null"): "x" + text() + "x", "team": "web"}
	})
	sometimes(func() {
		t.Headers = map[string]string{"X-" + pick(random, "A", "~"): "v" + pick(random, ": x", " #", "'\"") + "v"}
	})
	sometimes(func() { t.Body = text() + pick(random, "", "\n", "\n  \n\tx", " ") })
	sometimes(func() {
		t.BasicAuth = prober.BasicAuth{User: "u#" + pick(random, "~", "{"), Password: "file:/run/secrets/a: b"}
	})
	sometimes(func() {
		t.HeaderMatches = map[string]*regexp.Regexp{"Content-Type": regexp.MustCompile(`^text/\w+; *`)}
	})
	sometimes(func() { t.BodyNotMatches = regexp.MustCompile(`a\d+\\"`) })
	sometimes(func() { t.MaxLatency = t.Timeout / 2 })
	sometimes(func() { t.CertificateDays, t.IPFamily, t.HTTPVersion = 14, prober.IPv6, prober.HTTP11 })
	sometimes(func() { t.Proxy, t.MaxRedirects, t.Method = "http://proxy:3128", 0, "POST" })
	sometimes(func() { t.Rules.DownAfter, t.Rules.Quorum, t.Rules.FlapWindow = 3, 2, 90*time.Minute })
	sometimes(func() { t.Retries, t.RetryGap = 2, t.Timeout/10 })
	sometimes(func() { t.TLSVerify, t.Paused = false, true })
	return t
}

func pick(random *rand.Rand, texts ...string) string { return texts[random.IntN(len(texts))] }
