package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net/http/httptrace"
	"sync"
	"time"

	"webcheck/gen/event"
)

// stage is what a check was waiting for, in words that end the sentence "no answer within 10s: still …".
type stage string

const (
	resolving   stage = "resolving the name"
	connecting  stage = "connecting"
	handshaking stage = "in the TLS handshake"
	waiting     stage = "waiting for the first byte"
	reading     stage = "reading the response"
)

// phase is a part of a hop's time.
type phase struct{ start, end time.Time }

func (p *phase) begin() {
	if p.start.IsZero() {
		p.start = time.Now()
	}
}

func (p *phase) finish() {
	if p.end.IsZero() {
		p.end = time.Now()
	}
}

// hop is what the transport told about one connection and its response. The transport's goroutines may go on telling
// after a check has ended, hence the mutex and the copy that [hop.seen] makes.
type hop struct {
	mu sync.Mutex
	hopTimes
}

type hopTimes struct {
	stage                                  stage
	dns, connect, tls, firstByte, transfer phase
	remote                                 string
	expires                                time.Time
}

// trace returns ctx with hooks that fill h.
func (h *hop) trace(ctx context.Context) context.Context {
	h.stage = connecting
	locked := func(tell func()) {
		h.mu.Lock()
		defer h.mu.Unlock()
		tell()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { locked(func() { h.stage = resolving; h.dns.begin() }) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				locked(func() { h.stage = connecting; h.dns.finish() })
			}
		},
		// A name with several addresses is tried on several at once: from the first start to the first success.
		ConnectStart: func(_, _ string) { locked(h.connect.begin) },
		ConnectDone: func(_, address string, err error) {
			if err == nil {
				locked(func() { h.connect.finish(); h.remote = address })
			}
		},
		TLSHandshakeStart: func() { locked(func() { h.stage = handshaking; h.tls.begin() }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			locked(func() { h.handshakeDone(state.PeerCertificates, err) })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			locked(func() { h.stage = waiting; h.remote = info.Conn.RemoteAddr().String(); h.firstByte.begin() })
		},
		GotFirstResponseByte: func() {
			locked(func() { h.stage = reading; h.firstByte.finish(); h.transfer.begin() })
		},
	})
}

// handshakeDone keeps the earliest expiry of the chain, also of one that was not believed.
func (h *hopTimes) handshakeDone(chain []*x509.Certificate, err error) {
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		chain = refused.UnverifiedCertificates
	}
	for _, certificate := range chain {
		if h.expires.IsZero() || certificate.NotAfter.Before(h.expires) {
			h.expires = certificate.NotAfter
		}
	}
	if err == nil {
		h.tls.finish()
	}
}

// finish ends the hop's transfer: its body is read, or its redirect is followed.
func (h *hop) finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transfer.finish()
}

// seen returns what was told so far.
func (h *hop) seen() hopTimes {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hopTimes
}

// describeHops writes the phases, summed over the hops, the last address and the earliest expiry into e.
func (o *observation) describeHops(e *event.CheckCompleted) {
	var dns, connect, tls, firstByte, transfer []phase
	for _, h := range o.hops {
		t := h.seen()
		dns, connect, tls = append(dns, t.dns), append(connect, t.connect), append(tls, t.tls)
		firstByte, transfer = append(firstByte, t.firstByte), append(transfer, t.transfer)
		if t.remote != "" {
			e.RemoteAddress = &t.remote
		}
		if !t.expires.IsZero() && (e.CertificateExpiresAt == nil || t.expires.Before(*e.CertificateExpiresAt)) {
			expires := atMicros(t.expires)
			e.CertificateExpiresAt = &expires
		}
	}
	e.DNSUs, e.ConnectUs, e.TLSUs = sum(dns), sum(connect), sum(tls)
	e.FirstByteUs, e.TransferUs = sum(firstByte), sum(transfer)
}

// sum adds up a phase over the hops: nil when no hop had it, and when it did not finish in the last that had, because
// a sum with a piece missing is none.
func sum(phases []phase) *int32 {
	var total time.Duration
	began := false
	for _, p := range phases {
		switch {
		case p.start.IsZero():
			continue
		case p.end.IsZero():
			return nil
		}
		began = true
		total += p.end.Sub(p.start)
	}
	if !began {
		return nil
	}
	return micros(total)
}

// micros cuts to whole microseconds. MaxTimeout keeps a check within 32 bits; only a stalled process goes beyond.
func micros(d time.Duration) *int32 {
	us := int32(min(max(d.Microseconds(), 0), math.MaxInt32))
	return &us
}
