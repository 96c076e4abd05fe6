package prober

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	// Messages are packed and parsed by what Go's own resolver uses; net itself neither takes a resolver by its address nor
	// tells what was answered. The x/net module is needed for names in other scripts already.
	"golang.org/x/net/dns/dnsmessage"
)

// dnsTypes are the types of records that can be asked for.
var dnsTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS,
	"PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
}

const (
	// dnsTry is how long a resolver may take until it, or the next one, is asked again: a datagram may be lost. It is a third of
	// what the resolvers of operating systems wait, and fits DefaultTimeout a few times.
	dnsTry = 1500 * time.Millisecond
	// maxDatagram passes every network whole (the DNS flag day of 2020); a longer answer comes over TCP.
	maxDatagram = 1232
	// maxMessage is what the two bytes of length before a message over TCP can say.
	maxMessage = 1<<16 - 1
)

// askDNS asks the resolver of a dns URL, and keeps the answers of the type that was asked for, one a line and sorted.
func (c *checker) askDNS(ctx context.Context, t *Target, u *url.URL, o *observation) error {
	h := o.hop()
	name, kind := question(u)
	query, err := newQuery(name, dnsTypes[kind])
	if err != nil {
		return err
	}
	dialer, servers := &c.dialer, []string{hostPort(u)}
	if u.Host == "" {
		dialer, servers = new(net.Dialer), systemResolvers(ctx) // they are the machine's, whatever their address
	}
	network := strings.Replace(networks[t.IPFamily], "tcp", "udp", 1)
	for i := 0; ; i++ {
		var answer []byte
		answer, err = query.try(ctx, dialer, h, network, servers[i%len(servers)])
		if err == nil {
			h.tell(func(t *hopTimes) { t.dns.finish() })
			return query.read(answer, o)
		}
		var refused *refusedError
		silent := errors.Is(err, context.DeadlineExceeded) || isTimeout(err)
		if ctx.Err() != nil || errors.As(err, &refused) || !silent && i+1 >= len(servers) {
			return err
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// systemResolvers returns the resolvers of this machine as net finds them, which tells it only to who dials for it.
func systemResolvers(ctx context.Context) []string {
	var found []string
	spy := &net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		if !slices.Contains(found, address) {
			found = append(found, address)
		}
		return nil, errors.New("only the address is of interest")
	}}
	_, _ = spy.LookupNS(ctx, "example.com.") // asked of nobody, and of one server after the other
	if len(found) == 0 {
		return []string{"127.0.0.1:53"} // resolv.conf(5): the name server of the machine itself
	}
	return found
}

// query is a question to a resolver.
type query struct {
	question dnsmessage.Question
	id       uint16
	packed   []byte
}

func newQuery(name string, kind dnsmessage.Type) (*query, error) {
	full, err := dnsmessage.NewName(asciiHost(name) + ".")
	if err != nil {
		return nil, err
	}
	q := &query{question: dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}, id: uint16(rand.Uint32())}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true})
	var size dnsmessage.ResourceHeader
	err = cmp.Or(size.SetEDNS0(maxDatagram, dnsmessage.RCodeSuccess, false), b.StartQuestions(), b.Question(q.question),
		b.StartAdditionals(), b.OPTResource(size, dnsmessage.OPTResource{}))
	if err != nil {
		return nil, err
	}
	q.packed, err = b.Finish()
	return q, err
}

// try asks one server once, and over TCP where the answer does not fit a datagram.
func (q *query) try(ctx context.Context, dialer *net.Dialer, h *hop, network, server string) ([]byte, error) {
	h.tell(func(t *hopTimes) { t.stage = connecting })
	ctx, cancel := context.WithTimeout(ctx, dnsTry)
	defer cancel()
	answer, err := q.exchange(ctx, dialer, h, network, server)
	if err != nil || answer[2]&2 == 0 { // TC
		return answer, err
	}
	return q.exchange(ctx, dialer, h, strings.Replace(network, "udp", "tcp", 1), server)
}

func (q *query) exchange(ctx context.Context, dialer *net.Dialer, h *hop, network, server string) ([]byte, error) {
	conn, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	remote := conn.RemoteAddr().String()
	h.tell(func(t *hopTimes) { t.stage = resolving; t.remote = remote; t.dns.begin() })
	exchange := q.overUDP
	if strings.HasPrefix(network, "tcp") {
		exchange = q.overTCP
	}
	return exchange(conn)
}

// overUDP reads until the answer is there; what is none was sent by somebody else.
func (q *query) overUDP(conn net.Conn) ([]byte, error) {
	if _, err := conn.Write(q.packed); err != nil {
		return nil, err
	}
	buffer := make([]byte, maxDatagram)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if q.isAnswered(buffer[:n]) {
			return buffer[:n], nil
		}
	}
}

func (q *query) overTCP(conn net.Conn) ([]byte, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.packed))), q.packed...)); err != nil {
		return nil, err
	}
	buffer := make([]byte, 2, maxMessage)
	if _, err := io.ReadFull(conn, buffer); err != nil {
		return nil, noEarlyEnd(err)
	}
	buffer = buffer[:binary.BigEndian.Uint16(buffer)]
	if _, err := io.ReadFull(conn, buffer); err != nil {
		return nil, noEarlyEnd(err)
	}
	if !q.isAnswered(buffer) {
		return nil, errors.New("the resolver answered something else")
	}
	return buffer, nil
}

// isAnswered reports whether message answers q.
func (q *query) isAnswered(message []byte) bool {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.ID != q.id {
		return false
	}
	asked, err := p.Question()
	return err == nil && asked.Type == q.question.Type && asked.Class == q.question.Class &&
		strings.EqualFold(asked.Name.String(), q.question.Name.String())
}

// codes are what a resolver says instead of an answer, in words.
var codes = map[dnsmessage.RCode]string{
	dnsmessage.RCodeFormatError: "FORMERR, it does not understand the question", dnsmessage.RCodeServerFailure: "SERVFAIL, it could not find out",
	dnsmessage.RCodeNameError: "NXDOMAIN, there is no such name", dnsmessage.RCodeNotImplemented: "NOTIMP, it does not know this kind of question",
	dnsmessage.RCodeRefused: "REFUSED, it does not answer us",
}

// read keeps the answers in message, which isAnswered.
func (q *query) read(message []byte, o *observation) error {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err == nil && header.RCode != dnsmessage.RCodeSuccess {
		return fmt.Errorf("the resolver answered %s", cmp.Or(codes[header.RCode], fmt.Sprintf("with code %d", header.RCode)))
	}
	if err == nil {
		err = p.SkipAllQuestions()
	}
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	answers, err := p.AllAnswers()
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var lines []string
	for _, answer := range answers {
		if answer.Header.Type == q.question.Type {
			lines = append(lines, recordText(answer.Body))
		}
	}
	if len(lines) == 0 {
		return errors.New("the name has no record of the type that was asked for")
	}
	slices.Sort(lines)
	o.body, o.hasBody = []byte(strings.Join(lines, "\n")), true
	o.bodyBytes = len(o.body)
	return nil
}

// recordText writes a record as zone files do, names without the dot at their end and texts without quotes.
func recordText(record dnsmessage.ResourceBody) string {
	name := func(n dnsmessage.Name) string { return strings.TrimSuffix(n.String(), ".") }
	switch r := record.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return name(r.CNAME)
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", r.Pref, name(r.MX))
	case *dnsmessage.NSResource:
		return name(r.NS)
	case *dnsmessage.PTRResource:
		return name(r.PTR)
	case *dnsmessage.SOAResource:
		return fmt.Sprintf("%s %s %d %d %d %d %d", name(r.NS), name(r.MBox), r.Serial, r.Refresh, r.Retry, r.Expire, r.MinTTL)
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, name(r.Target))
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	}
	return ""
}
