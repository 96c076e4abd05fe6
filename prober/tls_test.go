package prober

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// authority signs certificates for 127.0.0.1 that a test's checker believes.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = sign(t, template, nil)
	a.pool.AddCert(a.certificate)
	return a
}

// sign returns a certificate of template by a, or by itself when a is nil.
func sign(t testing.TB, template *x509.Certificate, a *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, parentKey := template, key
	if a != nil {
		parent, parentKey = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// leaf is the template of a server's certificate.
func leaf(until time.Time, addresses ...net.IP) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: addresses,
		NotBefore: time.Now().Add(-36 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// serveTLS answers 200 over TLS with that configuration.
func serveTLS(t testing.TB, config *tls.Config, http2 bool) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	server.TLS, server.EnableHTTP2 = config, http2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestCertificatesHaveTheirOutcome(t *testing.T) {
	ca := newAuthority(t)
	loopback := net.IPv4(127, 0, 0, 1)
	soon, late := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(90*time.Hour)
	for name, test := range map[string]struct {
		template *x509.Certificate
		by       *authority
		want     seen
		expires  time.Time
	}{
		"believed": {leaf(soon, loopback), ca,
			seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: "connect tls first_byte transfer total", Body: 5}, soon},
		"the chain's earliest expiry counts": {leaf(late, loopback), ca,
			seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: "connect tls first_byte transfer total", Body: 5}, ca.certificate.NotAfter},
		"expired": {leaf(time.Now().Add(-time.Hour), loopback), ca,
			seen{Outcome: "down", Failure: "certificate", Text: "certificate has expired or is not yet valid", Phases: noAnswer}, time.Now().Add(-time.Hour)},
		"for another name": {leaf(soon, net.IPv4(127, 0, 0, 2)), ca,
			seen{Outcome: "down", Failure: "certificate", Text: "certificate is valid for 127.0.0.2, not 127.0.0.1", Phases: noAnswer}, soon},
		"self-signed": {leaf(soon, loopback), nil,
			seen{Outcome: "down", Failure: "certificate", Text: "certificate signed by unknown authority", Phases: noAnswer}, soon},
	} {
		t.Run(name, func(t *testing.T) {
			certificate, key := sign(t, test.template, test.by)
			config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw, ca.certificate.Raw}, PrivateKey: key}}}
			target := NewTarget("home", serveTLS(t, config, false))
			e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
			if diff := cmp.Diff(test.want, look(e, test.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			if e.CertificateExpiresAt == nil || e.CertificateExpiresAt.Sub(test.expires).Abs() > 2*time.Second {
				t.Errorf("expires at %v, want %v", e.CertificateExpiresAt, test.expires)
			}
			checkWritable(t, e)
		})
	}
}

func TestHTTP2IsSpokenOverTLS(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	target := NewTarget("home", serveTLS(t, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}, true))
	checker := newCheckerTrusting(ca.pool)
	want := seen{Outcome: "up", Status: 200, HTTP: "2", Phases: "connect tls first_byte transfer total", Body: 5}
	addresses := make(map[string]bool)
	for range 2 {
		e := checker.check(t.Context(), &target, target.Version())
		if diff := cmp.Diff(want, look(e, want)); diff != "" {
			t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
		}
		if e.TLSUs == nil || e.RemoteAddress == nil {
			t.Error("the second check took over the first one's connection")
		}
		addresses[text(e.RemoteAddress)] = true
		checkWritable(t, e)
	}
}

func TestHandshakeThatFailsIsDownWithTLS(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	pair := []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	plain := serve(t, "127.0.0.1:0", say(okHead+"\r\n"))
	for name, test := range map[string]struct {
		url  string
		want seen
	}{
		"an old version": {serveTLS(t, &tls.Config{Certificates: pair, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false),
			seen{Outcome: "down", Failure: "tls", Text: "tls: ", Phases: noAnswer}},
		"a certificate of ours is asked for": {serveTLS(t, &tls.Config{Certificates: pair, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}, false),
			seen{Outcome: "down", Failure: "tls", Text: "certificate required", Phases: "connect tls total"}},
		"no TLS": {"https" + plain[len("http"):],
			seen{Outcome: "down", Failure: "tls", Phases: noAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("home", test.url)
			e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
			if test.want.Text == "" {
				test.want.Text = text(e.FailureText)
			}
			if diff := cmp.Diff(test.want, look(e, test.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			checkWritable(t, e)
		})
	}
}

func TestAProxyIsAskedForAWayToTLS(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	pair := []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}
	proxy := serve(t, "127.0.0.1:0", func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		secure := tls.Server(conn, &tls.Config{Certificates: pair})
		if _, err := http.ReadRequest(bufio.NewReader(secure)); err == nil {
			_, _ = io.WriteString(secure, okHead+"Content-Length: 5\r\n\r\nhello")
		}
	})
	target := NewTarget("home", "https://127.0.0.1:1/")
	target.Proxy, target.HTTPVersion = strings.TrimSuffix(proxy, "/"), HTTP11
	e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
	want := seen{Outcome: "up", Status: 200, HTTP: "1.1", Phases: "connect tls first_byte transfer total", Body: 5}
	if diff := cmp.Diff(want, look(e, want)); diff != "" {
		t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
	}
	if e.CertificateExpiresAt == nil {
		t.Error("the certificate was not seen")
	}
	checkWritable(t, e)
	if e := Check(t.Context(), target); text(e.Failure) != "certificate" || e.CertificateExpiresAt == nil {
		t.Errorf("of an authority nobody knows: %s, %s", text(e.Failure), text(e.FailureText))
	}
}
