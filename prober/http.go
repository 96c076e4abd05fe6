package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"time"

	"webcheck/gen/event"
)

// Bounds of what a check takes from a target.
const (
	// MaxBodyBytes is read of a body at most, after decompression: any page that people read fits, and a few hundred
	// checks at once do not fill the memory. The check ends there, without waiting for the rest.
	MaxBodyBytes = 1 << 20
	// MaxHeaderBytes is read of a response's header at most; browsers and proxies stop at a quarter of it.
	MaxHeaderBytes = 256 << 10
)

// checker runs checks. It keeps no connection from one to the next and may be used from several goroutines.
type checker struct {
	transport *http.Transport
	userAgent string
}

func newChecker() *checker { return newCheckerTrusting(nil) }

// newCheckerTrusting returns a checker that believes certificates of these authorities; nil means the system's.
func newCheckerTrusting(roots *x509.CertPool) *checker {
	return &checker{
		transport: &http.Transport{
			// Proxy stays nil: the environment's proxies would be measured instead of the target.
			DialContext:            (&net.Dialer{KeepAlive: -1}).DialContext,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: MaxHeaderBytes,
			TLSClientConfig:        &tls.Config{RootCAs: roots},
		},
		userAgent: userAgent(),
	}
}

// userAgent tells a site's owner who asks: webcheck/ and the version of the build.
func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "webcheck/" + info.Main.Version
	}
	return "webcheck/devel"
}

// observation is what one attempt saw, without an opinion.
type observation struct {
	started time.Time
	ended   time.Time
	hops    []*hop
	// Of the last response, when there was one.
	status  int
	version string
	// Of its body, as far as it was read.
	hasBody   bool
	bodyBytes int
	truncated bool
	body      []byte // kept only for a target with a regex
	err       error
}

// redirectError is a redirect that is not followed. Its text names no address: that may hold secrets.
type redirectError struct{ text string }

func (e *redirectError) Error() string { return e.text }

// do asks for the target's URL and follows its redirects until ctx ends.
func (c *checker) do(ctx context.Context, t *Target) *observation {
	o := &observation{started: time.Now()}
	o.err = c.ask(ctx, t, o)
	o.ended = time.Now()
	return o
}

func (c *checker) ask(ctx context.Context, t *Target, o *observation) error {
	next, err := t.parsedURL()
	if err != nil {
		return err
	}
	for next != nil {
		h := new(hop)
		o.hops = append(o.hops, h)
		if next, err = c.hop(h.trace(ctx), t, next, o); err != nil {
			return err
		}
		h.finish()
	}
	return nil
}

// hop asks for one URL. It returns where to go from there; nil when the response was the final one and is read.
func (c *checker) hop(ctx context.Context, t *Target, u *url.URL, o *observation) (*url.URL, error) {
	o.status, o.version = 0, ""
	resp, err := c.transport.RoundTrip(c.build(ctx, u))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	o.status, o.version = resp.StatusCode, httpVersions[[2]int{resp.ProtoMajor, resp.ProtoMinor}]
	next, err := follow(resp, t.MaxRedirects, len(o.hops)-1)
	if next != nil || err != nil {
		return next, err
	}
	return nil, o.read(resp.Body, t.BodyMatches != nil)
}

// httpVersions are those that an event can name.
var httpVersions = map[[2]int]string{{1, 0}: "1.0", {1, 1}: "1.1", {2, 0}: "2"}

// build makes the request. The transport asks for gzip, and decompresses, by itself.
func (c *checker) build(ctx context.Context, u *url.URL) *http.Request {
	req := &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {c.userAgent}, "Accept": {"*/*"}},
	}
	return req.WithContext(ctx)
}

// follow returns where a response redirects to; nil when it is final. One without Location is final, as for browsers.
func follow(resp *http.Response, most, followed int) (*url.URL, error) {
	redirects := []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
	if most == 0 || !slices.Contains(redirects, resp.StatusCode) || resp.Header.Get("Location") == "" {
		return nil, nil
	}
	if followed >= most {
		return nil, &redirectError{fmt.Sprintf("redirected more than %d times", most)}
	}
	next, err := resp.Location()
	switch {
	case err != nil:
		return nil, &redirectError{"redirected to something that is no URL"}
	case next.Scheme != "http" && next.Scheme != "https":
		return nil, &redirectError{fmt.Sprintf("redirected to the scheme %q", next.Scheme)}
	case next.Hostname() == "":
		return nil, &redirectError{"redirected to a URL without a host"}
	}
	return next, nil
}

// read reads the body up to its bound.
func (o *observation) read(body io.Reader, keep bool) error {
	o.hasBody = true
	body = io.LimitReader(body, MaxBodyBytes+1)
	var n int64
	var err error
	if keep {
		o.body, err = io.ReadAll(body)
		n = int64(len(o.body))
		o.body = o.body[:min(n, MaxBodyBytes)]
	} else {
		n, err = io.Copy(io.Discard, body)
	}
	o.truncated = n > MaxBodyBytes
	o.bodyBytes = int(min(n, MaxBodyBytes))
	if errors.Is(err, io.EOF) { // a body that ends too early, in a word that says so
		err = io.ErrUnexpectedEOF
	}
	return err
}

// describe writes what was seen into e.
func (o *observation) describe(e *event.CheckCompleted) {
	o.describeHops(e)
	e.TotalUs = micros(o.ended.Sub(o.started))
	if o.status != 0 {
		status := int32(o.status)
		e.StatusCode = &status
	}
	if o.version != "" {
		e.HTTPVersion = &o.version
	}
	if o.hasBody {
		n := int32(o.bodyBytes)
		e.BodyBytes, e.BodyTruncated = &n, &o.truncated
	}
}
