package prober

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateAcceptsWhatNewTargetReturns(t *testing.T) {
	if faults := NewTarget("home", "https://example.com").Validate(); len(faults) > 0 {
		t.Fatal(faults)
	}
}

func TestValidateNamesTheFieldOfEachFault(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Target)
		want   string
	}{
		"id empty":                  {func(t *Target) { t.ID = "" }, "id"},
		"id upper case":             {func(t *Target) { t.ID = "Home" }, "id"},
		"id too long":               {func(t *Target) { t.ID = strings.Repeat("a", 64) }, "id"},
		"id with a line end":        {func(t *Target) { t.ID = "home\n" }, "id"},
		"URL relative":              {func(t *Target) { t.URL = "/health" }, "url"},
		"URL without host":          {func(t *Target) { t.URL = "http://:80/" }, "url"},
		"URL opaque":                {func(t *Target) { t.URL = "http:example.com" }, "url"},
		"URL of another scheme":     {func(t *Target) { t.URL = "ftp://example.com" }, "url"},
		"URL with a NUL":            {func(t *Target) { t.URL = "http://example.com/\x00" }, "url"},
		"URL with a password":       {func(t *Target) { t.URL = "https://me:hunter2@example.com" }, "url"},
		"URL with a bad port":       {func(t *Target) { t.URL = "http://example.com:99999" }, "url"},
		"URL with port 0":           {func(t *Target) { t.URL = "http://example.com:0" }, "url"},
		"URL too long":              {func(t *Target) { t.URL = "http://example.com/" + strings.Repeat("a", MaxURLBytes) }, "url"},
		"URL not UTF-8":             {func(t *Target) { t.URL = "http://example.com/\xff" }, "url"},
		"interval zero":             {func(t *Target) { t.Interval = 0 }, "interval"},
		"interval short":            {func(t *Target) { t.Interval, t.Timeout = 99*time.Millisecond, time.Millisecond }, "interval"},
		"interval long":             {func(t *Target) { t.Interval = MaxInterval + time.Millisecond }, "interval"},
		"interval no whole ms":      {func(t *Target) { t.Interval = time.Minute + time.Microsecond }, "interval"},
		"timeout zero":              {func(t *Target) { t.Timeout = 0 }, "timeout"},
		"timeout over interval":     {func(t *Target) { t.Timeout = t.Interval + 1 }, "timeout"},
		"timeout over 30m":          {func(t *Target) { t.Interval, t.Timeout = time.Hour, MaxTimeout+1 }, "timeout"},
		"no status":                 {func(t *Target) { t.Status = nil }, "expect_status"},
		"status below 100":          {func(t *Target) { t.Status = []StatusRange{{99, 200}} }, "expect_status"},
		"status goes down":          {func(t *Target) { t.Status = []StatusRange{{299, 200}} }, "expect_status"},
		"regex too long":            {func(t *Target) { t.BodyMatches = regexp.MustCompile(strings.Repeat("a", MaxBodyRegexBytes+1)) }, "body_matches"},
		"regex of many repetitions": {func(t *Target) { t.BodyMatches = regexp.MustCompile(`.{500}[ab]{500}(c|d){500}x`) }, "body_matches"},
		"regex with a NUL":          {func(t *Target) { t.BodyMatches = regexp.MustCompile("a\x00") }, "body_matches"},
		"redirects negative":        {func(t *Target) { t.MaxRedirects = -1 }, "max_redirects"},
		"redirects too many":        {func(t *Target) { t.MaxRedirects = MaxRedirectLimit + 1 }, "max_redirects"},
		"label key bad":             {func(t *Target) { t.Labels = map[string]string{"Team A": "x"} }, "labels"},
		"label value not UTF-8":     {func(t *Target) { t.Labels = map[string]string{"team": "\xff"} }, "labels.team"},
		"label value too long":      {func(t *Target) { t.Labels = map[string]string{"team": strings.Repeat("x", MaxLabelBytes+1)} }, "labels.team"},
		"down after none":           {func(t *Target) { t.Rules.DownAfter = 0 }, "rules.down"},
		"down after more than of":   {func(t *Target) { t.Rules.DownAfter = 4 }, "rules.down"},
		"down of too many":          {func(t *Target) { t.Rules.DownOf = 21 }, "rules.down"},
		"up after none":             {func(t *Target) { t.Rules.UpAfter = -1 }, "rules.up"},
		"quorum negative":           {func(t *Target) { t.Rules.Quorum = -1 }, "rules.quorum"},
		"quorum too large":          {func(t *Target) { t.Rules.Quorum = 101 }, "rules.quorum"},
		"flapping at one":           {func(t *Target) { t.Rules.FlapTransitions = 1 }, "rules.flapping"},
		"flapping at too many":      {func(t *Target) { t.Rules.FlapTransitions = 101 }, "rules.flapping"},
		"flapping window short":     {func(t *Target) { t.Rules.FlapWindow = 59 * time.Second }, "rules.flapping"},
		"flapping window long":      {func(t *Target) { t.Rules.FlapWindow = 24*time.Hour + time.Second }, "rules.flapping"},
		"flapping window in ms":     {func(t *Target) { t.Rules.FlapWindow += time.Millisecond }, "rules.flapping"},
		"silent at once":            {func(t *Target) { t.Rules.SilentAfter = 1 }, "rules.silent_after"},
		"never silent":              {func(t *Target) { t.Rules.SilentAfter = 101 }, "rules.silent_after"},
		"method lower case":         {func(t *Target) { t.Method = "get" }, "method"},
		"method CONNECT":            {func(t *Target) { t.Method = "CONNECT" }, "method"},
		"header no token":           {func(t *Target) { t.Headers = map[string]string{"a b": "c"} }, "headers"},
		"header of two lines":       {func(t *Target) { t.Headers = map[string]string{"A": "b\r\nC: d"} }, "headers.A"},
		"header of the connection":  {func(t *Target) { t.Headers = map[string]string{"content-length": "5"} }, "headers"},
		"header too long":           {func(t *Target) { t.Headers = map[string]string{"A": strings.Repeat("b", MaxHeaderValueBytes+1)} }, "headers.A"},
		"header with a credential":  {func(t *Target) { t.Headers = map[string]string{"authorization": "Basic aHVudGVyMg=="} }, "headers.authorization"},
		"header twice":              {func(t *Target) { t.Headers = map[string]string{"A": "b", "a": "b"} }, "headers"},
		"header secret and not": {func(t *Target) {
			t.Headers, t.SecretHeaders = map[string]string{"A": "b"}, map[string]string{"a": "env:B"}
		}, "secret_headers"},
		"host of two":             {func(t *Target) { t.Headers = map[string]string{"host": "a, b"} }, "headers.host"},
		"host secret":             {func(t *Target) { t.SecretHeaders = map[string]string{"host": "env:HOST"} }, "secret_headers"},
		"HEAD of a body":          {func(t *Target) { t.Method, t.BodyMatches = "HEAD", regexp.MustCompile("a") }, "method"},
		"secret itself":           {func(t *Target) { t.SecretHeaders = map[string]string{"A": "hunter2"} }, "secret_headers.A"},
		"secret nowhere":          {func(t *Target) { t.SecretHeaders = map[string]string{"A": "env:"} }, "secret_headers.A"},
		"secret in a keyring":     {func(t *Target) { t.BearerToken = "keyring:a/hunter2" }, "bearer_token"},
		"secret of no whole path": {func(t *Target) { t.BearerToken = "file:hunter2" }, "bearer_token"},
		"body too long":           {func(t *Target) { t.Body = strings.Repeat("a", MaxRequestBodyBytes+1) }, "body"},
		"body with a NUL":         {func(t *Target) { t.Body = "a\x00" }, "body"},
		"user with a colon":       {func(t *Target) { t.BasicAuth = BasicAuth{"a:b", "env:C"} }, "basic_auth.user"},
		"password itself":         {func(t *Target) { t.BasicAuth = BasicAuth{"a", "hunter2"} }, "basic_auth.password"},
		"two ways to sign in":     {func(t *Target) { t.BasicAuth, t.BearerToken = BasicAuth{"a", "env:B"}, "env:C" }, "bearer_token"},
		"signs in by header too": {func(t *Target) {
			t.BearerToken, t.SecretHeaders = "env:A", map[string]string{"Authorization": "env:B"}
		}, "secret_headers"},
		"must-not regex with a NUL": {func(t *Target) { t.BodyNotMatches = regexp.MustCompile("a\x00") }, "body_not_matches"},
		"header regex too long": {func(t *Target) {
			t.HeaderMatches = map[string]*regexp.Regexp{"A": regexp.MustCompile(strings.Repeat("a", MaxBodyRegexBytes+1))}
		}, "header_matches.A"},
		"header regex of no header": {func(t *Target) { t.HeaderMatches = map[string]*regexp.Regexp{"": regexp.MustCompile("a")} }, "header_matches"},
		"latency negative":          {func(t *Target) { t.MaxLatency = -1 }, "max_latency"},
		"latency of the timeout":    {func(t *Target) { t.MaxLatency = t.Timeout }, "max_latency"},
		"certificate days negative": {func(t *Target) { t.CertificateDays = -1 }, "certificate_days"},
		"certificate days too many": {func(t *Target) { t.CertificateDays = MaxCertificateDays + 1 }, "certificate_days"},
		"family unknown":            {func(t *Target) { t.IPFamily = "ipv5" }, "ip_family"},
		"version unknown":           {func(t *Target) { t.HTTPVersion = "3" }, "http_version"},
		"version 2 without TLS":     {func(t *Target) { t.URL, t.HTTPVersion = "http://example.com", "2" }, "http_version"},
		"proxy with a password":     {func(t *Target) { t.Proxy = "http://me:hunter2@proxy:3128" }, "proxy"},
		"proxy without port":        {func(t *Target) { t.Proxy = "http://proxy" }, "proxy"},
		"proxy with a path":         {func(t *Target) { t.Proxy = "http://proxy:3128/a" }, "proxy"},
		"proxy by SOCKS":            {func(t *Target) { t.Proxy = "socks5://proxy:1080" }, "proxy"},
		"retries too many":          {func(t *Target) { t.Retries = MaxRetries + 1 }, "retries"},
		"gap negative":              {func(t *Target) { t.RetryGap = -1 }, "retry_gap"},
		"gaps over the timeout":     {func(t *Target) { t.Retries, t.RetryGap = 3, 4*time.Second }, "retry_gap"},
		"tcp without port":          {func(t *Target) { t.URL = "tcp://example.com" }, "url"},
		"tcp with a path":           {func(t *Target) { t.URL = "tcp://example.com:25/a" }, "url"},
		"tls with a method":         {func(t *Target) { t.URL, t.Method = "tls://example.com:443", "POST" }, "method"},
		"tcp without certificate":   {func(t *Target) { t.URL, t.TLSVerify = "tcp://example.com:25", false }, "tls_verify"},
		"dns without a name":        {func(t *Target) { t.URL = "dns://9.9.9.9/" }, "url"},
		"dns of a port alone":       {func(t *Target) { t.URL = "dns://:53/example.com" }, "url"},
		"dns of a label too long":   {func(t *Target) { t.URL = "dns:///" + strings.Repeat("a", 64) + ".example" }, "url"},
		"dns of an unknown type":    {func(t *Target) { t.URL = "dns:///example.com?type=HUH" }, "url"},
		"dns with a class":          {func(t *Target) { t.URL = "dns:///example.com?class=CH&type=A" }, "url"},
		"everything wrong at once":  {func(t *Target) { *t = Target{} }, "id url interval timeout expect_status rules.down rules.up rules.flapping rules.flapping rules.silent_after method ip_family http_version"},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("home", "https://example.com")
			test.change(&target)
			var got []string
			for _, fault := range target.Validate() {
				got = append(got, fault.Field)
				if fault.Message == "" || strings.Contains(fault.Message, "hunter2") {
					t.Errorf("message %q", fault.Message)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("faults of %q, want %q", got, test.want)
			}
		})
	}
}

func TestValidateAcceptsTheBoundsOfRules(t *testing.T) {
	for _, rules := range []Rules{
		{DownAfter: 1, DownOf: 1, UpAfter: 1, UpOf: 1, FlapTransitions: 2, FlapWindow: time.Minute, SilentAfter: 2},
		{DownAfter: 20, DownOf: 20, UpAfter: 20, UpOf: 20, Quorum: 100, FlapTransitions: 100, FlapWindow: 24 * time.Hour, SilentAfter: 100},
	} {
		target := NewTarget("home", "https://example.com")
		target.Rules = rules
		if faults := target.Validate(); len(faults) > 0 {
			t.Errorf("%+v: %v", rules, faults)
		}
	}
}

func TestDefaultTimeoutFitsTheInterval(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{time.Hour: DefaultTimeout, time.Second: time.Second} {
		if got := DefaultTimeoutFor(interval); got != want {
			t.Errorf("%v: got %v, want %v", interval, got, want)
		}
	}
}

// The versions are in events that are kept for ever: they must never change.
func TestVersionNeverChanges(t *testing.T) {
	full := NewTarget("shop", "https://example.com/a?b=c")
	full.BodyMatches = regexp.MustCompile(`(?i)welcome`)
	full.Status = []StatusRange{{401, 401}, {200, 299}}
	full.Labels = map[string]string{"team": "web", "env": "prod"}
	strict := NewTarget("home", "https://example.com")
	strict.Rules = Rules{DownAfter: 1, DownOf: 4, UpAfter: 3, UpOf: 5, Quorum: 2, FlapTransitions: 6, FlapWindow: 2 * time.Hour, SilentAfter: 7}
	one := NewTarget("home", "https://example.com")
	one.Rules.Quorum = 2
	for want, target := range map[string]Target{
		"b93f4bb510ba": NewTarget("home", "https://example.com"), // as before there were rules
		"91cfd0089c7e": full,
		"17d041992470": strict,
		"673e2442ae2b": one,
	} {
		if got := target.Version(); got != want {
			t.Errorf("%s: version %s, want %s", target.ID, got, want)
		}
	}
}

func TestVersionDependsOnEveryFieldAndNotOnOrder(t *testing.T) {
	base := NewTarget("home", "https://example.com")
	versions := map[string]string{base.Version(): "base"}
	for name, change := range map[string]func(*Target){
		"id":          func(t *Target) { t.ID = "house" },
		"url":         func(t *Target) { t.URL += "/" },
		"interval":    func(t *Target) { t.Interval *= 2 },
		"timeout":     func(t *Target) { t.Timeout /= 2 },
		"status":      func(t *Target) { t.Status = []StatusRange{{200, 200}} },
		"body":        func(t *Target) { t.BodyMatches = regexp.MustCompile("") },
		"redirects":   func(t *Target) { t.MaxRedirects = 0 },
		"label":       func(t *Target) { t.Labels = map[string]string{"a": "bc"} },
		"down after":  func(t *Target) { t.Rules.DownAfter = 1 },
		"down of":     func(t *Target) { t.Rules.DownOf = 4 },
		"up after":    func(t *Target) { t.Rules.UpAfter = 1 },
		"up of":       func(t *Target) { t.Rules.UpOf = 4 },
		"quorum":      func(t *Target) { t.Rules.Quorum = 1 },
		"flapping":    func(t *Target) { t.Rules.FlapTransitions = 4 },
		"window":      func(t *Target) { t.Rules.FlapWindow = 2 * time.Hour },
		"silent":      func(t *Target) { t.Rules.SilentAfter = 4 },
		"method":      func(t *Target) { t.Method = "HEAD" },
		"header":      func(t *Target) { t.Headers = map[string]string{"a": "env:B"} },
		"secret":      func(t *Target) { t.SecretHeaders = map[string]string{"a": "env:B"} },
		"text":        func(t *Target) { t.Body = "a" },
		"user":        func(t *Target) { t.BasicAuth.User = "a" },
		"password":    func(t *Target) { t.BasicAuth.Password = "a" },
		"token":       func(t *Target) { t.BearerToken = "a" },
		"not body":    func(t *Target) { t.BodyNotMatches = regexp.MustCompile("") },
		"matches":     func(t *Target) { t.HeaderMatches = map[string]*regexp.Regexp{"a": regexp.MustCompile("env:B")} },
		"latency":     func(t *Target) { t.MaxLatency = 1 },
		"certificate": func(t *Target) { t.CertificateDays = 1 },
		"family":      func(t *Target) { t.IPFamily = IPv4 },
		"version":     func(t *Target) { t.HTTPVersion = HTTP2 },
		"proxy":       func(t *Target) { t.Proxy = "a" },
		"retries":     func(t *Target) { t.Retries = 1 },
		"gap":         func(t *Target) { t.RetryGap = 1 },
		"verify":      func(t *Target) { t.TLSVerify = false },
		"paused":      func(t *Target) { t.Paused = true },
		"another cut": func(t *Target) { t.Labels = map[string]string{"ab": "c"} },
	} {
		target := base
		change(&target)
		if other, taken := versions[target.Version()]; taken {
			t.Errorf("%s has the version of %s", name, other)
		}
		versions[target.Version()] = name
	}
	one, two := base, base
	one.Status = []StatusRange{{200, 204}, {301, 301}}
	two.Status = []StatusRange{{301, 301}, {200, 204}}
	if diff := cmp.Diff(one.Version(), two.Version()); diff != "" {
		t.Error(diff)
	}
}
