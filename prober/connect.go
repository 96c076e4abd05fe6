package prober

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// networks are what net calls the families of addresses.
var networks = map[string]string{AnyFamily: "tcp", IPv4: "tcp4", IPv6: "tcp6"}

// connect opens a connection to host:port, which release closes. It is cut when ctx ends.
func (c *checker) connect(ctx context.Context, t *Target, h *hop, address string) (conn net.Conn, release func(), err error) {
	dialing := ctx
	if isLiteral(address) { // nothing to resolve, and only one address to try
		h.connectStart()
	} else {
		dialing = h.trace(ctx)
	}
	conn, err = c.dialer.DialContext(dialing, networks[t.IPFamily], address)
	if err != nil {
		return nil, nil, err
	}
	h.connected(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

// isLiteral reports whether the host of host:port is an address.
func isLiteral(address string) bool {
	_, err := netip.ParseAddrPort(address)
	return err == nil
}

// handshake speaks TLS over conn to a server of that name, and offers these protocols.
func (c *checker) handshake(t *Target, h *hop, conn net.Conn, name string, protocols ...string) (*tls.Conn, error) {
	secure := tls.Client(conn, c.tlsConfig(t, name, protocols...))
	h.handshakeStart()
	err := secure.Handshake() // ends with the connection's deadline, which needs no goroutine of its own
	chain := secure.ConnectionState().PeerCertificates
	h.handshakeEnd(chain, err)
	if err != nil {
		return nil, err
	}
	return secure, nil
}

func (c *checker) tlsConfig(t *Target, name string, protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: c.roots, ServerName: name, NextProtos: protocols, InsecureSkipVerify: !t.TLSVerify}
}

// open opens what a request to u is sent over: a connection, with TLS for https.
func (c *checker) open(ctx context.Context, t *Target, h *hop, u *url.URL) (net.Conn, func(), error) {
	conn, release, err := c.connect(ctx, t, h, hostPort(u))
	if err != nil || u.Scheme != "https" {
		return conn, release, err
	}
	secure, err := c.handshake(t, h, conn, asciiHost(u.Hostname()), protocols[t.HTTPVersion]...)
	if err != nil {
		release()
		return nil, nil, err
	}
	return secure, func() { _ = secure.Close(); release() }, nil // with the alert that says so, or servers log it
}

// hostPort is where a URL's host is, as a dialer takes it.
func hostPort(u *url.URL) string { return net.JoinHostPort(asciiHost(u.Hostname()), portOf(u)) }

// ports are where the schemes that need none in a URL are served.
var ports = map[string]string{"http": "80", "https": "443", "dns": "53"}

// portOf is the port of a URL, also where it is not written.
func portOf(u *url.URL) string { return cmp.Or(u.Port(), ports[u.Scheme]) }

// asciiHost is a host's name as DNS and certificates have it (RFC 5891). What is no such name stays, and is not found.
func asciiHost(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			if ascii, err := idna.Lookup.ToASCII(name); err == nil {
				return ascii
			}
			break
		}
	}
	return name
}

// protocols are what a handshake offers for each HTTPVersion of a target (RFC 7301).
var protocols = map[string][]string{AnyVersion: {"h2", "http/1.1"}, HTTP11: {"http/1.1"}, HTTP2: {"h2"}}
