package testservices

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificates are an authority, a server and a client it signed, and an authority that signed nothing, made for one test.
type certificates struct {
	ca, otherCA           string // PEM files
	clientCert, clientKey string // PEM files
	pool                  *x509.CertPool
	authority             *x509.Certificate
	authorityKey          *ecdsa.PrivateKey
}

func makeCerts(t testing.TB) *certificates {
	t.Helper()
	dir := t.TempDir()
	c := &certificates{pool: x509.NewCertPool()}
	c.authority, c.authorityKey = newAuthority(t, "webcheck test authority")
	c.pool.AddCert(c.authority)
	c.ca = writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", c.authority.Raw)
	other, _ := newAuthority(t, "another authority")
	c.otherCA = writePEM(t, filepath.Join(dir, "other-ca.pem"), "CERTIFICATE", other.Raw)
	cert, key := c.sign(t, "webcheck", x509.ExtKeyUsageClientAuth)
	c.clientCert = writePEM(t, filepath.Join(dir, "client.pem"), "CERTIFICATE", cert)
	c.clientKey = writePEM(t, filepath.Join(dir, "client.key"), "PRIVATE KEY", key)
	return c
}

// server is the configuration of a listener on the loopback interface.
func (c *certificates) server(t testing.TB) *tls.Config {
	t.Helper()
	cert, key := c.sign(t, "localhost", x509.ExtKeyUsageServerAuth)
	pair, err := tls.X509KeyPair(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func newAuthority(t testing.TB, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (c *certificates) sign(t testing.TB, name string, usage x509.ExtKeyUsage) (cert, key []byte) {
	t.Helper()
	private := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if cert, err = x509.CreateCertificate(rand.Reader, template, c.authority, private.Public(), c.authorityKey); err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
