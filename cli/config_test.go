package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/prober"
)

// given returns sources that hold these flags and variables and nothing else.
func given(flags, variables map[string]string) sources {
	lookUp := func(m map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { text, found := m[name]; return text, found }
	}
	if variables == nil {
		variables = map[string]string{}
	}
	if variables["HOME"] == "" {
		variables["HOME"] = "/home/somebody"
	}
	return sources{flag: lookUp(flags), env: lookUp(variables)}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webcheck.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryFaultIsReportedAtItsPlace loads each file of the corpus, which says in its first lines what it expects.
func TestEveryFaultIsReportedAtItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/config/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				if fault, found := strings.CutPrefix(strings.TrimSpace(line), "# want: "); found {
					want = append(want, file+":"+fault)
				}
			}
			_, err = loadConfig(given(map[string]string{"config": file}, nil))
			var config *ConfigError
			if !errors.As(err, &config) {
				t.Fatalf("got error %v, want a *ConfigError", err)
			}
			if diff := cmp.Diff(want, strings.Split(config.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
			if got := exitCode(err); got != exitUsage {
				t.Errorf("got exit code %d, want %d", got, exitUsage)
			}
		})
	}
}

// TestNoPrefixOfAFilePanics cuts a file that uses all the syntax there is.
func TestNoPrefixOfAFilePanics(t *testing.T) {
	text := string(exampleFile()) + "    labels: {a: b}\n    expect_status: [200, 300-399]\n  - &x {id: \"y\", url: 'z', <<: *x}\n---\n- |\n  text\n"
	const step = 7 // a line is longer than that, and shares no divisor with the indentation
	for i := 0; i < len(text); i += step {
		d := readDocument("x.yaml", []byte(text[:i]))
		_, _ = readTargets(d)
	}
}

func FuzzReadDocument(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/bad/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(exampleFile())
	f.Fuzz(func(t *testing.T, text []byte) {
		d := readDocument("x.yaml", text)
		targets, faults := readTargets(d)
		if len(d.targets) != len(targets) && len(faults) == 0 {
			t.Errorf("%d of %d targets and no fault", len(targets), len(d.targets))
		}
	})
}

func TestPrecedenceIsFlagVariableFileDefault(t *testing.T) {
	file := writeConfig(t, "prober: {location: from-file, name: from-file, max_in_flight: 7}\n")
	c, err := loadConfig(given(
		map[string]string{"config": file, "prober-location": "from-flag"},
		map[string]string{"WEBCHECK_PROBER_LOCATION": "from-env", "WEBCHECK_PROBER_NAME": "from-env"}))
	if err != nil {
		t.Fatal(err)
	}
	got := ProberConfig{Location: c.Prober.Location, Name: c.Prober.Name, MaxInFlight: c.Prober.MaxInFlight, ShutdownTimeout: c.Prober.ShutdownTimeout}
	want := ProberConfig{Location: "from-flag", Name: "from-env", MaxInFlight: 7, ShutdownTimeout: 10 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfFlagsAndVariablesNameTheirOrigin(t *testing.T) {
	_, err := loadConfig(given(map[string]string{"prober-max-in-flight": "x"}, map[string]string{"WEBCHECK_LOG_LEVEL": "loud"}))
	want := "$WEBCHECK_LOG_LEVEL: log.level: \"loud\" is none of debug, info, warn, error\n--prober-max-in-flight: prober.max_in_flight: \"x\" is not a whole number"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestConfigurationFileIsFoundByFlagThenVariableThenPlace(t *testing.T) {
	t.Chdir(t.TempDir())
	byFlag, byVariable := writeConfig(t, "prober: {name: by-flag}\n"), writeConfig(t, "prober: {name: by-variable}\n")
	name := func(flags, variables map[string]string) string {
		t.Helper()
		c, err := loadConfig(given(flags, variables))
		if err != nil {
			t.Fatal(err)
		}
		return c.Prober.Name
	}
	if got := name(nil, nil); got != "" {
		t.Errorf("without any file: got %q", got)
	}
	if err := os.WriteFile("webcheck.yaml", []byte("prober: {name: by-place}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"WEBCHECK_CONFIG": byVariable}
	for want, got := range map[string]string{
		"by-place":    name(nil, nil),
		"by-variable": name(nil, variables),
		"by-flag":     name(map[string]string{"config": byFlag}, variables),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, err := loadConfig(given(map[string]string{"config": "missing.yaml"}, nil))
	if exitCode(err) != exitUsage || !strings.Contains(err.Error(), `"missing.yaml"`) {
		t.Errorf("got %v, want a usage error that names the file", err)
	}
}

func TestTargetsOfAFileCarryEverySetting(t *testing.T) {
	file := writeConfig(t, `
targets:
  - id: site
    url: http://localhost/path
    interval: 1m30s
    timeout: 2s
    expect_status: [200-299, 404]
    body_matches: "^ok"
    max_redirects: 3
    labels: {team: web}
    rules: {down: 3 of 5, up: 1 of 2, quorum: 2, flapping: 4 in 30m, silent_after: 6}
`)
	c, err := loadConfig(given(map[string]string{"config": file}, nil))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Targets[0]
	if got.ID != "site" || got.URL != "http://localhost/path" || got.Interval != 90*time.Second || got.Timeout != 2*time.Second ||
		len(got.Status) != 2 || got.BodyMatches.String() != "^ok" || got.MaxRedirects != 3 || got.Labels["team"] != "web" ||
		got.Rules != (prober.Rules{DownAfter: 3, DownOf: 5, UpAfter: 1, UpOf: 2, Quorum: 2, FlapTransitions: 4, FlapWindow: 30 * time.Minute, SilentAfter: 6}) {
		t.Errorf("got %+v", got)
	}
}

func TestRulesThatAreNotWrittenAreTheDefaults(t *testing.T) {
	for text, change := range map[string]func(*prober.Rules){
		"rules:":                    func(*prober.Rules) {},
		"rules: {quorum: majority}": func(*prober.Rules) {},
		"rules: {up: 1  of  3}":     func(r *prober.Rules) { r.UpAfter, r.UpOf = 1, 3 },
		"labels: {team: web}":       func(*prober.Rules) {},
	} {
		c, err := loadConfig(given(map[string]string{"config": writeConfig(t, "targets:\n  - id: site\n    url: http://localhost/\n    "+text+"\n")}, nil))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := prober.DefaultRules()
		change(&want)
		if got := c.Targets[0].Rules; got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// TestADefinitionIsReadAsTheTargetThatItDefines puts the JSON of definitions into a file, of which JSON is a kind.
func TestADefinitionIsReadAsTheTargetThatItDefines(t *testing.T) {
	plain, full := prober.NewTarget("home", "https://example.com"), prober.NewTarget("shop", "https://example.com/a?b=<c>&d=\"e\"")
	full.Interval, full.Timeout = 90*time.Second, 1500*time.Microsecond
	full.Status = []prober.StatusRange{{Low: 200, High: 204}, {Low: 301, High: 301}}
	full.BodyMatches = regexp.MustCompile(`(?i)"welcome" \\ <b>|ü\d+: # no`)
	full.MaxRedirects = 0
	full.Labels = map[string]string{"team": "web: \"a\"", "env": "<prod> & 'more'"}
	full.Rules = prober.Rules{DownAfter: 3, DownOf: 5, UpAfter: 1, UpOf: 2, Quorum: 2, FlapTransitions: 4, FlapWindow: 90 * time.Second, SilentAfter: 6}
	asked := full
	asked.Method, asked.Headers, asked.SecretHeaders = "POST", map[string]string{"Host": "a", "X-A": `"ü" # \`}, map[string]string{"X-Key": "env:KEY"}
	asked.Body, asked.BasicAuth = "{\"a\": 1}\r\n\t# b\u2028\n", prober.BasicAuth{User: "me", Password: "file:/a b"}
	asked.BodyNotMatches, asked.HeaderMatches = regexp.MustCompile(`(?i)error: \d`), map[string]*regexp.Regexp{"Content-Type": regexp.MustCompile("^text/")}
	asked.MaxLatency, asked.CertificateDays, asked.IPFamily, asked.HTTPVersion = time.Microsecond, 14, prober.IPv6, prober.HTTP2
	asked.Proxy, asked.Retries, asked.RetryGap, asked.TLSVerify, asked.Paused = "http://proxy:3128", 2, time.Millisecond/5, false, true
	token := plain
	token.BearerToken, token.HTTPVersion = "env:TOKEN", prober.HTTP11
	tcp, dns := prober.NewTarget("mail", "tcp://example.com:25"), prober.NewTarget("name", "dns:///example.com?type=MX")
	for _, target := range []prober.Target{plain, full, asked, token, tcp, dns} {
		c, err := loadConfig(given(map[string]string{"config": writeConfig(t, `{"targets": [`+target.Definition()+`]}`)}, nil))
		if err != nil {
			t.Errorf("%s: %v", target.Definition(), err)
			continue
		}
		if got := c.Targets[0]; got.Version() != target.Version() || got.Definition() != target.Definition() {
			t.Errorf("got  %s\nwant %s", got.Definition(), target.Definition())
		}
	}
}

func TestDurationsTakeDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "-1d": -24 * time.Hour, "0s": 0,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1", "1x", "d", "1.5d", "1d-1h", "9999999999999d", "106751d24h", "1d ", "99999999999999999999d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
	for _, d := range []time.Duration{time.Second, time.Minute, 90 * time.Minute, time.Hour, 24 * time.Hour, 36 * time.Hour, 1500 * time.Millisecond} {
		if got, err := parseDuration(formatDuration(d)); err != nil || got != d {
			t.Errorf("parseDuration(formatDuration(%v)) = %v, %v", d, got, err)
		}
	}
}

func TestIDsOfURLsAreUniqueSlugs(t *testing.T) {
	targets, err := targetsFromURLs([]string{"https://Example.com/", "http://example.com", "example.com/a/b?c=d", "http://[::1]:80/" + strings.Repeat("long/", 30)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"example-com", "example-com-2", "example-com-a-b", "1-80-long-long-long-long-long-long-long-long-lon"}
	var got []string
	for _, target := range targets {
		got = append(got, target.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFileMayBeginWithAByteOrderMark(t *testing.T) {
	c, err := loadConfig(given(map[string]string{"config": writeConfig(t, "\ufeffprober: {location: here}\n")}, nil))
	if err != nil || c.Prober.Location != "here" {
		t.Errorf("got %v, %v", c, err)
	}
}

// TestSchemasAreRegisteredUnaskedOnlyInTheRegistryOfUp holds the default of registry.auto_register, which any explicit value overrides.
func TestSchemasAreRegisteredUnaskedOnlyInTheRegistryOfUp(t *testing.T) {
	for _, test := range []struct {
		flags, variables map[string]string
		want             bool
	}{
		{nil, nil, true},
		{map[string]string{"registry-url": "http://registry:8081"}, nil, false},
		{nil, map[string]string{"WEBCHECK_REGISTRY_URL": "http://registry:8081"}, false},
		{map[string]string{"registry-auto-register": "true"}, map[string]string{"WEBCHECK_REGISTRY_URL": "http://registry:8081"}, true},
		{nil, map[string]string{"WEBCHECK_REGISTRY_AUTO_REGISTER": "false"}, false},
	} {
		c, err := loadConfig(given(test.flags, test.variables))
		if err != nil {
			t.Fatal(err)
		}
		if c.Registry.AutoRegister != test.want {
			t.Errorf("%v, %v: got %t, want %t", test.flags, test.variables, c.Registry.AutoRegister, test.want)
		}
	}
}
