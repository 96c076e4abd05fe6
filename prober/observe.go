package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"webcheck/gen/event"
)

// observation is what one attempt saw, without an opinion.
type observation struct {
	started time.Time
	ended   time.Time
	hops    []*hop
	// Of the last response, when there was one.
	status  int
	version string
	header  http.Header // kept only for a target that looks at it
	// Of its body, or of what came over a connection, as far as it was read.
	hasBody   bool
	bodyBytes int
	truncated bool
	body      []byte // kept only for a target with a regex
	err       error
	// What was sent to sign in, and the secrets in it, which no text may hold.
	credentials http.Header
	secrets     []string
}

// hop begins the next hop.
func (o *observation) hop() *hop {
	h := new(hop)
	h.stage = connecting
	o.hops = append(o.hops, h)
	return h
}

// do makes one attempt, until ctx ends.
func (c *checker) do(ctx context.Context, t *Target) *observation {
	o := &observation{started: time.Now()}
	o.err = c.ask(ctx, t, o)
	o.ended = time.Now()
	return o
}

// ask does what the scheme of the target's URL says. An error before the first hop is our own.
func (c *checker) ask(ctx context.Context, t *Target, o *observation) error {
	u, err := t.parsedURL()
	if err != nil {
		return err
	}
	kind := kinds[u.Scheme]
	if kind == nil {
		return fmt.Errorf("checking target %q: nothing checks URLs of the scheme %q", t.ID, u.Scheme)
	}
	if err := c.signIn(t, o); err != nil {
		return err
	}
	return kind.ask(c, ctx, t, u, o)
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
	return noEarlyEnd(err)
}

// noEarlyEnd names an answer that ends too early in a word that says so.
func noEarlyEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
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
