package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// sitePorts is how many ports a site has for each scheme: a connection's own port is free again after a minute, and one port
	// of the site would have too few for what is opened meanwhile.
	sitePorts = 8
	// siteHangs bounds how long the site holds a request that hangs; whoever asks goes away before.
	siteHangs = time.Minute
	// siteRequestBytes fits the requests of a check.
	siteRequestBytes = 4 << 10
	// sitePage is the path that is answered, siteHole the one that is not, siteCPU the one that tells the site's CPU time.
	sitePage, siteHole, siteCPU = "/", "/hang", "/cpu"
)

// probePlace is where the site that is checked listens.
type probePlace struct {
	// Plain and TLS are addresses, host and port.
	Plain, TLS []string
	// Roots is the authority of the TLS ones, as PEM.
	Roots string
}

// probeSite is what the targets of a measurement are: it answers from memory, and as cheaply as TCP allows, because its CPU time
// is taken from the same cores as the prober's.
type probeSite struct {
	listeners []net.Listener
	place     probePlace
	buffers   sync.Pool
	open      sync.WaitGroup
}

// startProbeSite listens on loopback.
func startProbeSite() (*probeSite, error) {
	s := &probeSite{buffers: sync.Pool{New: func() any { return new([siteRequestBytes]byte) }}}
	config, roots, err := siteCertificate()
	if err != nil {
		return nil, err
	}
	s.place.Roots = roots
	for range sitePorts {
		for _, kind := range []struct {
			addresses *[]string
			wrap      func(net.Conn) net.Conn
		}{
			{&s.place.Plain, func(c net.Conn) net.Conn { return c }},
			{&s.place.TLS, func(c net.Conn) net.Conn { return tls.Server(c, config) }},
		} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, errors.Join(fmt.Errorf("listening for checks: %w", err), s.close())
			}
			s.listeners = append(s.listeners, l)
			*kind.addresses = append(*kind.addresses, l.Addr().String())
			s.open.Go(func() { s.accept(l, kind.wrap) })
		}
	}
	return s, nil
}

// close ends the listeners. Requests that hang end with those who asked.
func (s *probeSite) close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.open.Wait()
	return errors.Join(errs...)
}

func (s *probeSite) accept(l net.Listener, wrap func(net.Conn) net.Conn) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // out of descriptors, it goes on with the next one
			s.open.Go(func() { s.serve(wrap(conn)) })
		}
	}
}

// serve answers the one request of a connection.
func (s *probeSite) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(siteHangs))
	buffer := s.buffers.Get().(*[siteRequestBytes]byte)
	defer s.buffers.Put(buffer)
	path, err := readRequest(conn, buffer[:])
	switch {
	case err != nil:
	case path == siteHole:
		_, _ = io.Copy(io.Discard, conn)
	case path == siteCPU:
		_, _ = conn.Write(siteAnswer(strconv.FormatInt(cpuTime().Nanoseconds(), 10)))
	default:
		_, _ = conn.Write(sitePageAnswer)
	}
}

var sitePageAnswer = siteAnswer("It works.\n")

func siteAnswer(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

// readRequest reads the header of a request, which has no body, and returns its path.
func readRequest(r io.Reader, buffer []byte) (path string, err error) {
	n := 0
	for !bytes.HasSuffix(buffer[:n], []byte("\r\n\r\n")) {
		if n == len(buffer) {
			return "", errors.New("the request is too long")
		}
		more, err := r.Read(buffer[n:])
		if err != nil {
			return "", err
		}
		n += more
	}
	_, rest, _ := strings.Cut(string(buffer[:min(n, 64)]), " ")
	path, _, _ = strings.Cut(rest, " ")
	return path, nil
}

// siteCertificate makes a certificate of 127.0.0.1 that an authority of its own has signed, as most sites have it, and returns
// the authority as PEM. HTTP/2 is not offered: it is the handshake that is measured.
func siteCertificate() (config *tls.Config, roots string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("making a certificate: %w", err)
		}
	}()
	ends := time.Now().Add(24 * time.Hour)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "webcheck bench"}, NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	site := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: ends, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	siteKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, "", err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, site, authority, siteKey.Public(), authorityKey)
	if err != nil {
		return nil, "", err
	}
	config = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: siteKey}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
	return config, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})), nil
}

// siteProcess is the process of the site: it tells where it listens, and goes on until ctx ends.
func (r *probeRun) siteProcess(ctx context.Context) (*probeMeasurement, error) {
	site, err := startProbeSite()
	if err != nil {
		return nil, err
	}
	r.tell(probeLine{Place: &site.place})
	<-ctx.Done()
	return new(probeMeasurement), site.close()
}
