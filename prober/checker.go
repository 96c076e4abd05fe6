package prober

import (
	"bufio"
	"crypto/x509"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
)

// checker runs checks. It keeps no connection from one to the next and may be used from several goroutines.
type checker struct {
	dialer    net.Dialer
	roots     *x509.CertPool // nil means the system's
	addresses Addresses
	secrets   func(reference string) (string, error)
	canaries  *Canaries // nil: silence is down
	userAgent []string
	http2     *http.Transport
	// What a check needs for a moment, of types *answerReader, *bufio.Writer and *gzip.Reader.
	readers, writers, unzippers sync.Pool
}

func newChecker() *checker { return newCheckerTrusting(nil) }

// newCheckerTrusting returns a checker that believes certificates of these authorities; nil means the system's.
func newCheckerTrusting(roots *x509.CertPool) *checker {
	c := &checker{roots: roots, userAgent: []string{userAgent()}}
	c.dialer = net.Dialer{KeepAlive: -1, ControlContext: c.allow}
	c.http2 = newHTTP2()
	c.readers.New = func() any { return newAnswerReader() }
	c.writers.New = func() any { return bufio.NewWriter(nil) }
	return c
}

// newCheckerOf returns the checker of a prober.
func newCheckerOf(config Config) *checker {
	c := newChecker()
	c.addresses, c.secrets, c.canaries = config.Addresses, config.Secrets, config.Canaries
	return c
}

// userAgent tells a site's owner who asks: webcheck/ and the version of the build.
func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "webcheck/" + info.Main.Version
	}
	return "webcheck/devel"
}
