package prober

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
)

// asking returns a checker that knows these secrets.
func asking(secrets map[string]string) *checker {
	c := newChecker()
	c.secrets = func(reference string) (string, error) {
		if secret, found := secrets[reference]; found {
			return secret, nil
		}
		return "", fmt.Errorf("reading the secret %q: the variable is not set", reference)
	}
	return c
}

// echo answers with what it was asked.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s|key=%s|auth=%s|lang=%s|cookie=%s|body=%s", r.Method, r.Host, r.URL, r.Header.Get("X-Key"), r.Header.Get("Authorization"),
		r.Header.Get("Accept-Language"), r.Header.Get("Cookie"), body)
})

// full is a target that asks with all there is.
func full(url string) Target {
	t := NewTarget("home", url)
	t.Method, t.Body = "POST", `{"a": 1}`
	t.Headers = map[string]string{"accept-language": "de", "Cookie": "seen=1"}
	t.SecretHeaders = map[string]string{"X-Key": "env:KEY"}
	t.BasicAuth = BasicAuth{User: "me", Password: "env:PASSWORD"}
	t.BodyMatches = regexp.MustCompile(`.*`)
	return t
}

// ask returns the body of the answer to t.
func ask(t *testing.T, c *checker, target Target) string {
	t.Helper()
	attempt := c.do(t.Context(), &target)
	if attempt.err != nil {
		t.Fatal(attempt.err)
	}
	return string(attempt.body)
}

func TestARequestIsWhatItsTargetSays(t *testing.T) {
	server := httptest.NewServer(echo)
	defer server.Close()
	c := asking(map[string]string{"env:KEY": "k", "env:PASSWORD": "hunter2", "env:TOKEN": "t"})
	host := strings.TrimPrefix(server.URL, "http://")
	target := full(server.URL + "/a?b=c")
	if got, want := ask(t, c, target), "POST "+host+` /a?b=c|key=k|auth=Basic bWU6aHVudGVyMg==|lang=de|cookie=seen=1|body={"a": 1}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	target = NewTarget("home", server.URL+"/")
	target.BearerToken, target.Headers = "env:TOKEN", map[string]string{"Host": "other.example"}
	target.BodyMatches = regexp.MustCompile(`.*`)
	if got, want := ask(t, c, target), "GET other.example /|key=|auth=Bearer t|lang=|cookie=|body="; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestARedirectTakesAlongWhatRFC9110Says holds also that another host gets nothing that signs in.
func TestARedirectTakesAlongWhatRFC9110Says(t *testing.T) {
	other := httptest.NewServer(echo)
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err != nil {
			echo(w, r)
			return
		}
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(status)
	}))
	defer server.Close()
	home, away := strings.TrimPrefix(server.URL, "http://"), strings.TrimPrefix(other.URL, "http://")
	const signs, none = "key=k|auth=Basic bWU6aHVudGVyMg==|lang=de|cookie=seen=1", "key=|auth=|lang=de|cookie="
	c := asking(map[string]string{"env:KEY": "k", "env:PASSWORD": "hunter2"})
	for name, test := range map[string]struct{ method, path, want string }{
		"301 asks with GET":                    {"POST", "/301?to=/end", "GET " + home + " /end|" + signs + "|body="},
		"302 asks with GET":                    {"POST", "/302?to=/end", "GET " + home + " /end|" + signs + "|body="},
		"303 asks with GET":                    {"PUT", "/303?to=/end", "GET " + home + " /end|" + signs + "|body="},
		"307 asks the same":                    {"PUT", "/307?to=/end", "PUT " + home + " /end|" + signs + `|body={"a": 1}`},
		"308 asks the same":                    {"POST", "/308?to=/end", "POST " + home + " /end|" + signs + `|body={"a": 1}`},
		"another host gets nothing":            {"POST", "/302?to=" + other.URL + "/end", "GET " + away + " /end|" + none + "|body="},
		"another host gets no body":            {"POST", "/307?to=" + other.URL + "/end", "POST " + away + " /end|" + none + "|body="},
		"the same host by another name":        {"POST", "/307?to=http://localhost:" + home[len("127.0.0.1:"):] + "/end", "POST localhost:" + home[len("127.0.0.1:"):] + " /end|" + none + "|body="},
		"a password in a Location is not sent": {"GET", "/302?to=http://you:secret@" + away + "/end", "GET " + away + " /end|" + none + "|body="},
	} {
		t.Run(name, func(t *testing.T) {
			target := full(server.URL + test.path)
			if target.Method = test.method; test.method == "GET" {
				target.Body = ""
			}
			if got := ask(t, c, target); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAHostIsTheSameByNameAndPortOrAsHTTPS(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"http://a.example/", "http://A.example:80/b", true},
		{"http://a.example/", "https://a.example/", true},
		{"https://a.example/", "http://a.example/", false},
		{"https://a.example/", "https://a.example:8443/", false},
		{"http://a.example:8080/", "https://a.example/", false},
		{"http://a.example/", "http://b.a.example/", false},
		{"http://a.example:443/", "https://a.example/", false},
	} {
		from, _ := url.Parse(test.from)
		to, _ := url.Parse(test.to)
		if got := sameHost(from, to); got != test.want {
			t.Errorf("%s to %s: %t", test.from, test.to, got)
		}
	}
}

// TestWhatWasLeftBehindStaysBehind holds for the way back to the first host, too.
func TestWhatWasLeftBehindStaysBehind(t *testing.T) {
	home, _ := url.Parse("https://a.example/")
	away, _ := url.Parse("https://b.example/")
	r := &request{method: "POST", url: home, body: "secret"}
	back := r.redirected(307, away).redirected(307, home)
	if !back.left || back.body != "" || back.method != "POST" {
		t.Errorf("got %+v", back)
	}
}

func TestASecretThatIsNotThereIsOurOwnFault(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	target := NewTarget("home", server.URL)
	target.BearerToken, target.Retries = "env:TOKEN", 3
	for name, c := range map[string]*checker{
		"not set": asking(nil), "nobody reads any": newChecker(),
		"of two lines": asking(map[string]string{"env:TOKEN": "hunter2\nX-Evil: 1"}), "empty": asking(map[string]string{"env:TOKEN": ""}),
	} {
		e := c.check(t.Context(), &target, target.Version())
		want := seen{Outcome: "missed", Failure: "own_fault", Text: `"env:TOKEN"`}
		if diff := cmp.Diff(want, look(e, want)); diff != "" || strings.Contains(text(e.FailureText), "hunter2") {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	if asked.Load() > 0 {
		t.Error("the target was asked without its credentials")
	}
}

func TestNoTextHoldsASecretThatTheTargetEchoes(t *testing.T) {
	server := httptest.NewServer(echo)
	defer server.Close()
	c := asking(map[string]string{"env:KEY": "hunter2", "env:PASSWORD": "hunter2hunter2"})
	target := full(server.URL)
	target.BodyMatches, target.BodyNotMatches = nil, regexp.MustCompile(`key=.*`)
	e := c.check(t.Context(), &target, target.Version())
	want := seen{Outcome: "down", Failure: "body", Text: text(e.FailureText), Status: 200, HTTP: "1.1", Phases: allPhases, Body: *e.BodyBytes,
		Assertion: "body_not_matches: key=.*", Value: `key=…|auth=Basic …|lang=de|cookie=seen=1|body={"a": 1}`}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff)
	}
	checkWritable(t, e)
}

func TestRetriesLieInTheTimeoutAndTheLastResultStands(t *testing.T) {
	for name, test := range map[string]struct {
		fails, retries int
		gap            time.Duration
		outcome        string
		attempts       int32
	}{
		"none is needed":           {0, 3, 0, "up", 1},
		"one helps":                {1, 3, time.Millisecond, "up", 2},
		"the last helps":           {3, 3, 0, "up", 4},
		"none helps":               {9, 2, time.Millisecond, "down", 3},
		"none is wanted":           {1, 0, 0, "down", 1},
		"there is no time for one": {9, 1, 10*time.Second - 1, "down", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if int(asked.Add(1)) <= test.fails {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}))
			defer server.Close()
			target := NewTarget("home", server.URL)
			target.Retries, target.RetryGap = test.retries, test.gap
			before := atMicros(time.Now())
			e := Check(t.Context(), target)
			if e.Outcome != test.outcome || e.Attempts != test.attempts || asked.Load() != test.attempts {
				t.Errorf("%s after %d attempts, %d seen; want %s, %d", e.Outcome, e.Attempts, asked.Load(), test.outcome, test.attempts)
			}
			if took := time.Duration(*e.TotalUs) * time.Microsecond; e.StartedAt.Before(before) || took > time.Since(before) {
				t.Errorf("started at %v, before %v; took %v", e.StartedAt, before, took)
			}
		})
	}
}

func TestACheckThatIsCutBetweenAttemptsIsMissed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		time.AfterFunc(20*time.Millisecond, cancel)
	}))
	defer server.Close()
	target := NewTarget("home", server.URL)
	target.Retries, target.RetryGap = 1, 5*time.Second
	if e := Check(ctx, target); e.Outcome != event.OutcomeMissed || text(e.Failure) != event.FailureShutdown {
		t.Errorf("%s, %s", e.Outcome, text(e.Failure))
	}
}

func TestASlowAnswerIsDegraded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-time.After(30 * time.Millisecond)
		}
	}))
	defer server.Close()
	target := NewTarget("home", server.URL+"/slow")
	target.MaxLatency, target.Retries = 20*time.Millisecond, 2
	e := Check(t.Context(), target)
	want := seen{Outcome: "degraded", Failure: "latency", Text: "expected an answer within 20ms, got it after ", Status: 200, HTTP: "1.1", Phases: allPhases, Assertion: "max_latency: 20ms", Value: text(e.AssertionValue)}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff)
	}
	checkWritable(t, e)
	target.MaxLatency = target.Timeout - time.Millisecond
	if e := Check(t.Context(), target); e.Outcome != event.OutcomeUp {
		t.Error(e.Outcome, text(e.FailureText))
	}
}

func TestAProxyIsAskedInsteadOfTheTarget(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method+" "+r.URL.String()) }))
	defer proxy.Close()
	target := NewTarget("home", "http://nowhere.invalid/a?b=c")
	target.Proxy, target.BodyMatches = proxy.URL, regexp.MustCompile(`^GET http://nowhere.invalid/a\?b=c$`)
	e := Check(t.Context(), target)
	want := seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: allPhases, Body: 32}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Error(diff, text(e.FailureText))
	}
	proxy.Close()
	if e := Check(t.Context(), target); text(e.Failure) != event.FailureConnect {
		t.Errorf("without the proxy: %s, %s", text(e.Failure), text(e.FailureText))
	}
}

func TestAFamilyIsTheOnlyOneThatIsTried(t *testing.T) {
	address := serve(t, "127.0.0.1:0", say(okHead+"\r\n"))
	for family, want := range map[string]string{AnyFamily: "up", IPv4: "up", IPv6: "down"} {
		target := NewTarget("home", address)
		target.IPFamily = family
		if e := Check(t.Context(), target); e.Outcome != want {
			t.Errorf("%s: %s, %s", family, e.Outcome, text(e.FailureText))
		}
	}
}
