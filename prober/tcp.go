package prober

import (
	"context"
	"io"
	"net/url"
)

// askTCP connects, sends the target's body where it has one, and reads what comes where the target looks at it: until it
// matches, the other side is done, or it has been more than anybody greets with.
func (c *checker) askTCP(ctx context.Context, t *Target, u *url.URL, o *observation) error {
	h := o.hop()
	conn, release, err := c.connect(ctx, t, h, hostPort(u))
	if err != nil {
		return err
	}
	defer release()
	if t.Body != "" {
		if _, err := io.WriteString(conn, t.Body); err != nil {
			return err
		}
	}
	if t.BodyMatches == nil && t.BodyNotMatches == nil {
		return nil
	}
	h.ready()
	if err := o.readUntil(conn, h, t); err != nil {
		return err
	}
	h.finish()
	return nil
}

// maxReads bounds what is read over a tcp connection, and how often a regex is tried; greetings come in one piece.
const maxReads = 64

// readUntil reads until what is there matches, because a server that waits for more does not close; where nothing has to
// match it reads once.
func (o *observation) readUntil(conn io.Reader, h *hop, t *Target) error {
	o.hasBody = true
	buffer := make([]byte, 4096)
	for range maxReads {
		n, err := conn.Read(buffer)
		if n > 0 {
			h.answered()
		}
		o.body = append(o.body, buffer[:n]...)
		o.bodyBytes = len(o.body)
		switch {
		case n > 0 && (t.BodyMatches == nil || t.BodyMatches.Match(o.body)):
			return nil
		case err == io.EOF && len(o.body) > 0:
			return nil
		case err != nil:
			return noEarlyEnd(err)
		}
	}
	o.truncated = true
	return nil
}
