package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Bounds of what a check takes from a target.
const (
	// MaxBodyBytes is read of a body at most, after decompression: any page that people read fits, and a few hundred
	// checks at once do not fill the memory. The check ends there, without waiting for the rest.
	MaxBodyBytes = 1 << 20
	// MaxHeaderBytes is read of a response's header at most, those of the answers on the way to it included; browsers and
	// proxies stop at a quarter of it.
	MaxHeaderBytes = 256 << 10
)

// request is what a hop asks for.
type request struct {
	method string
	url    *url.URL
	body   string
	// left is whether a redirect has left the target's host. What is only for that host stays behind, also on the way back.
	left bool
}

// redirectError is a redirect that is not followed. Its text names no address: that may hold secrets.
type redirectError struct{ text string }

func (e *redirectError) Error() string { return e.text }

// askHTTP asks for the target's URL and follows its redirects until ctx ends.
func (c *checker) askHTTP(ctx context.Context, t *Target, u *url.URL, o *observation) error {
	next := &request{method: t.Method, url: u, body: t.Body}
	for next != nil {
		h := o.hop()
		var err error
		if next, err = c.hop(ctx, t, h, next, o); err != nil {
			return err
		}
		h.finish()
	}
	return nil
}

// hop asks for one URL. It returns what to ask for then; nil when the response was the final one and is read.
func (c *checker) hop(ctx context.Context, t *Target, h *hop, r *request, o *observation) (*request, error) {
	o.status, o.version = 0, ""
	resp, release, err := c.roundTrip(ctx, t, h, c.build(t, r, o.credentials))
	if err != nil {
		return nil, err
	}
	defer release()
	if resp.StatusCode < 100 { // net/http takes "000" and "+42" for numbers
		return nil, errors.New("malformed HTTP status code: it is below 100")
	}
	o.status, o.version = resp.StatusCode, httpVersions[[2]int{resp.ProtoMajor, resp.ProtoMinor}]
	if t.HTTPVersion == HTTP2 && o.version != HTTP2 {
		return nil, errors.New("the target speaks HTTP/" + o.version + " and not HTTP/2")
	}
	next, err := follow(resp, r, t.MaxRedirects, len(o.hops)-1)
	if next != nil || err != nil {
		return next, err
	}
	if len(t.HeaderMatches) > 0 {
		o.header = resp.Header
	}
	return nil, c.readBody(resp, r.method, t, o)
}

// httpVersions are those that an event can name.
var httpVersions = map[[2]int]string{{1, 0}: "1.0", {1, 1}: "1.1", {2, 0}: "2"}

// foreignHeaders are those of a target that another host does not get: what signs in, and what only its host understands.
var foreignHeaders = []string{"Cookie", "Cookie2", "Host"}

// build makes the request of a hop.
func (c *checker) build(t *Target, r *request, credentials http.Header) *http.Request {
	req := &http.Request{
		Method: r.method, URL: r.url, Host: r.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: http.Header{"User-Agent": c.userAgent, "Accept": anyType},
	}
	if r.method != http.MethodHead {
		req.Header["Accept-Encoding"] = gzipOnly
	}
	for name, value := range t.Headers {
		name = http.CanonicalHeaderKey(name)
		switch {
		case r.left && slices.Contains(foreignHeaders, name):
		case name == "Host":
			req.Host = value
		default:
			req.Header[name] = []string{value}
		}
	}
	if !r.left {
		for name, values := range credentials {
			req.Header[name] = values
		}
	}
	if r.body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(r.body)), int64(len(r.body))
	}
	return req
}

// These headers are the same in every request, and nobody changes them.
var (
	anyType  = []string{"*/*"}
	gzipOnly = []string{"gzip"}
)

// follow returns what a response redirects to; nil when it is final. One without Location is final, as for browsers.
func follow(resp *http.Response, r *request, most, followed int) (*request, error) {
	redirects := []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
	if most == 0 || !slices.Contains(redirects, resp.StatusCode) || resp.Header.Get("Location") == "" {
		return nil, nil
	}
	if followed >= most {
		return nil, &redirectError{fmt.Sprintf("redirected more than %d times", most)}
	}
	next, err := r.url.Parse(resp.Header.Get("Location"))
	switch {
	case err != nil:
		return nil, &redirectError{"redirected to something that is no URL"}
	case next.Scheme != "http" && next.Scheme != "https":
		return nil, &redirectError{fmt.Sprintf("redirected to the scheme %q", next.Scheme)}
	case next.Hostname() == "":
		return nil, &redirectError{"redirected to a URL without a host"}
	}
	return r.redirected(resp.StatusCode, next), nil
}

// redirected is the request that follows r, by RFC 9110, 15.4: 307 and 308 repeat it, the others ask with GET for what came
// of it, as clients always did. Another host gets neither body nor credentials, nor does the same one without TLS.
func (r *request) redirected(status int, next *url.URL) *request {
	to := &request{method: r.method, url: next, body: r.body, left: r.left || !sameHost(r.url, next)}
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		to.body = ""
		if r.method != http.MethodHead {
			to.method = http.MethodGet
		}
	}
	if to.left {
		to.body = ""
	}
	next.User = nil // a target must not make the check sign in
	return to
}

// sameHost reports whether next is served by the host that from names, at the same port or as https instead of http.
func sameHost(from, next *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), next.Hostname()) {
		return false
	}
	upgrade := portOf(from) == "80" && portOf(next) == "443" && next.Scheme == "https"
	return from.Scheme == next.Scheme && portOf(from) == portOf(next) || upgrade
}

// readBody reads the body of the final response up to its bound.
func (c *checker) readBody(resp *http.Response, method string, t *Target, o *observation) error {
	o.hasBody = true
	keep := t.BodyMatches != nil || t.BodyNotMatches != nil
	if resp.ContentLength == 0 || !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") || method == http.MethodHead {
		return o.read(resp.Body, keep)
	}
	unzip := c.unzip()
	defer c.unzippers.Put(unzip)
	switch err := unzip.Reset(resp.Body); {
	case err == io.EOF: // there is nothing to undo
		return nil
	case err != nil:
		return err
	}
	return o.read(unzip, keep)
}
