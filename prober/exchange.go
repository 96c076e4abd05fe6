package prober

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
)

// maxInterim is how many answers of status 1xx may come before the one that counts; servers send one or two.
const maxInterim = 10

// roundTrip sends req and returns the response, whose body is read before release is called.
//
// It does what http.Transport does for one request over one connection, without its goroutines, its pool and its locks, which
// are a fifth of what a bare GET costs: see BenchmarkCheckBesideABareGet.
func (c *checker) roundTrip(ctx context.Context, t *Target, h *hop, req *http.Request) (*http.Response, func(), error) {
	if t.Proxy != "" {
		return c.roundTripByProxy(ctx, t, h, req)
	}
	conn, release, err := c.open(ctx, t, h, req.URL)
	if err != nil {
		return nil, nil, err
	}
	h.ready()
	if secure, is := conn.(*tls.Conn); is && secure.ConnectionState().NegotiatedProtocol == "h2" {
		return c.roundTrip2(ctx, h, secure, release, req)
	}
	reader := c.readers.Get().(*answerReader)
	done := func() {
		release()
		reader.reset(nil)
		c.readers.Put(reader)
	}
	reader.reset(conn)
	resp, err := c.exchange(conn, reader, h, req)
	if err != nil {
		done()
		return nil, nil, err
	}
	return resp, done, nil
}

// exchange sends req as HTTP/1.1 and reads the header of the answer.
func (c *checker) exchange(conn net.Conn, reader *answerReader, h *hop, req *http.Request) (*http.Response, error) {
	failed := c.send(conn, req)
	if _, err := reader.Peek(1); err != nil { // a server may answer what it did not want to read to the end
		if failed != nil {
			err = failed
		}
		return nil, err
	}
	h.answered()
	for range maxInterim {
		resp, err := http.ReadResponse(reader.Reader, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		reader.left = math.MaxInt64
		return resp, nil
	}
	return nil, fmt.Errorf("more than %d answers of status 1xx came before the one that counts", maxInterim)
}

// send writes req.
func (c *checker) send(conn net.Conn, req *http.Request) error {
	w := c.writers.Get().(*bufio.Writer)
	defer c.writers.Put(w)
	w.Reset(conn)
	err := req.Write(w)
	if err == nil {
		err = w.Flush()
	}
	w.Reset(nil)
	return err
}

// answerReader reads an answer, and of its header no more than MaxHeaderBytes.
type answerReader struct {
	*bufio.Reader
	conn io.Reader
	left int64
}

func newAnswerReader() *answerReader {
	r := new(answerReader)
	r.Reader = bufio.NewReader(boundedConn{r})
	return r
}

func (r *answerReader) reset(conn io.Reader) {
	r.conn, r.left = conn, MaxHeaderBytes
	r.Reader.Reset(boundedConn{r})
}

// boundedConn is what an answerReader reads from.
type boundedConn struct{ *answerReader }

var errHeaderTooLong = fmt.Errorf("the header of the answer exceeded %d bytes", MaxHeaderBytes)

func (b boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := b.conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// connKey is under which a context holds the connection for newHTTP2's transport.
type connKey struct{}

// newHTTP2 returns a transport that speaks HTTP/2 over connections that are there.
func newHTTP2() *http.Transport {
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if conn, is := ctx.Value(connKey{}).(*tls.Conn); is {
				return conn, nil
			}
			return nil, errors.New("a bug: there is no connection to speak HTTP/2 over")
		},
		Protocols: newProtocols(), MaxResponseHeaderBytes: MaxHeaderBytes, DisableCompression: true,
	}
}

func newProtocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	return p
}

// roundTrip2 sends req as HTTP/2.
func (c *checker) roundTrip2(ctx context.Context, h *hop, conn *tls.Conn, release func(), req *http.Request) (*http.Response, func(), error) {
	client, err := c.http2.NewClientConn(context.WithValue(ctx, connKey{}, conn), "https", hostPort(req.URL))
	if err != nil {
		release()
		return nil, nil, err
	}
	done := func() { _ = client.Close(); release() }
	resp, err := client.RoundTrip(req.WithContext(h.trace(ctx)))
	if err != nil {
		done()
		return nil, nil, err
	}
	return resp, func() { resp.Body.Close(); done() }, nil
}

// roundTripByProxy leaves all to net/http: who has a proxy measures the proxy.
func (c *checker) roundTripByProxy(ctx context.Context, t *Target, h *hop, req *http.Request) (*http.Response, func(), error) {
	proxy, err := url.Parse(t.Proxy)
	if err != nil {
		return nil, nil, err
	}
	if err := c.addresses.checkLiteral(req.URL.Hostname()); err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyURL(proxy),
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return c.dialer.DialContext(ctx, networks[t.IPFamily], address)
		},
		DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: t.HTTPVersion != HTTP11,
		MaxResponseHeaderBytes: MaxHeaderBytes, TLSClientConfig: c.tlsConfig(t, ""),
	}
	resp, err := transport.RoundTrip(req.WithContext(h.trace(ctx)))
	if err != nil {
		return nil, nil, err
	}
	return resp, func() { resp.Body.Close() }, nil
}

// unzip returns a reader of gzip for once.
func (c *checker) unzip() *gzip.Reader {
	if r, is := c.unzippers.Get().(*gzip.Reader); is {
		return r
	}
	return new(gzip.Reader)
}
