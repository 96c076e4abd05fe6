package prober

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net"
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

// hop is what was seen of one connection and its response. The goroutines of dialers and transports may go on telling
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

// tell changes what is known, from whatever goroutine.
func (h *hop) tell(change func(*hopTimes)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.hopTimes)
}

// trace returns ctx with hooks that fill h: those of a dialer where a name has to be resolved, and those of a transport.
func (h *hop) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { h.tell(func(t *hopTimes) { t.stage = resolving; t.dns.begin() }) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				h.tell(func(t *hopTimes) { t.stage = connecting; t.dns.finish() })
			}
		},
		// A name with several addresses is tried on several at once: from the first start to the first success.
		ConnectStart: func(_, _ string) { h.connectStart() },
		ConnectDone: func(_, address string, err error) {
			if err == nil {
				h.tell(func(t *hopTimes) { t.connect.finish(); t.remote = cmp.Or(t.remote, address) })
			}
		},
		TLSHandshakeStart:    h.handshakeStart,
		TLSHandshakeDone:     func(state tls.ConnectionState, err error) { h.handshakeEnd(state.PeerCertificates, err) },
		GotConn:              func(info httptrace.GotConnInfo) { h.connected(info.Conn); h.ready() },
		GotFirstResponseByte: h.answered,
	})
}

func (h *hop) connectStart() { h.tell(func(t *hopTimes) { t.connect.begin() }) }

// connected is when a connection is there; which of several it was is known only now.
func (h *hop) connected(conn net.Conn) {
	remote := conn.RemoteAddr().String()
	h.tell(func(t *hopTimes) { t.connect.finish(); t.remote = remote })
}

func (h *hop) handshakeStart() { h.tell(func(t *hopTimes) { t.stage = handshaking; t.tls.begin() }) }

// handshakeEnd keeps the earliest expiry of the chain, also of one that was not believed.
func (h *hop) handshakeEnd(chain []*x509.Certificate, err error) {
	h.tell(func(t *hopTimes) { t.handshakeDone(chain, err) })
}

// ready is when a request can be sent.
func (h *hop) ready() { h.tell(func(t *hopTimes) { t.stage = waiting; t.firstByte.begin() }) }

// answered is when the first byte of the answer is there.
func (h *hop) answered() {
	h.tell(func(t *hopTimes) { t.stage = reading; t.firstByte.finish(); t.transfer.begin() })
}

// handshakeDone keeps what a handshake showed.
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
func (h *hop) finish() { h.tell(func(t *hopTimes) { t.transfer.finish() }) }

// seen returns what was told so far.
func (h *hop) seen() hopTimes {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hopTimes
}

// describeHops writes the phases, summed over the hops, the last address and the earliest expiry into e.
func (o *observation) describeHops(e *event.CheckCompleted) {
	var dns, connect, tls, firstByte, transfer sum
	for _, h := range o.hops {
		t := h.seen()
		dns.add(t.dns)
		connect.add(t.connect)
		tls.add(t.tls)
		firstByte.add(t.firstByte)
		transfer.add(t.transfer)
		if t.remote != "" {
			e.RemoteAddress = &t.remote
		}
	}
	if expires := o.expires(); !expires.IsZero() {
		expires = atMicros(expires)
		e.CertificateExpiresAt = &expires
	}
	e.DNSUs, e.ConnectUs, e.TLSUs = dns.micros(), connect.micros(), tls.micros()
	e.FirstByteUs, e.TransferUs = firstByte.micros(), transfer.micros()
}

// expires is the earliest expiry of the certificates that were seen; zero when there was none.
func (o *observation) expires() time.Time {
	var earliest time.Time
	for _, h := range o.hops {
		if at := h.seen().expires; !at.IsZero() && (earliest.IsZero() || at.Before(earliest)) {
			earliest = at
		}
	}
	return earliest
}

// sum adds up a phase over the hops.
type sum struct {
	total        time.Duration
	began, broke bool // broke is whether one of them did not finish
}

func (s *sum) add(p phase) {
	switch {
	case p.start.IsZero():
	case p.end.IsZero():
		s.broke = true
	default:
		s.began = true
		s.total += p.end.Sub(p.start)
	}
}

// micros is nil when no hop had the phase, and when one had that did not finish: a sum with a piece missing is none.
func (s *sum) micros() *int32 {
	if !s.began || s.broke {
		return nil
	}
	return micros(s.total)
}

// micros cuts to whole microseconds. MaxTimeout keeps a check within 32 bits; only a stalled process goes beyond.
func micros(d time.Duration) *int32 {
	us := int32(min(max(d.Microseconds(), 0), math.MaxInt32))
	return &us
}
