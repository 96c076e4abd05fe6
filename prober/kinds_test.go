package prober

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"webcheck/gen/event"
)

// accept answers each connection to a port of the loopback interface, and returns host:port.
func accept(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer conn.Close(); answer(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); open.Wait() })
	return listener.Addr().String()
}

func TestATCPTargetIsUpWhenItConnectsAndAnswers(t *testing.T) {
	const connected, answered = "connect total", "connect first_byte transfer total"
	for name, test := range map[string]struct {
		answer func(net.Conn)
		change func(*Target)
		want   seen
	}{
		"it connects":       {hold, nil, seen{Outcome: "up", Phases: connected}},
		"it closes at once": {func(net.Conn) {}, nil, seen{Outcome: "up", Phases: connected}},
		"it greets": {func(conn net.Conn) { say("220 mail ")(conn); say("ready\r\n")(conn); hold(conn) }, matching(`ready`),
			seen{Outcome: "up", Phases: answered, Body: 16}},
		"it answers": {func(conn net.Conn) {
			if line, _ := bufio.NewReader(conn).ReadString('\n'); line == "PING\r\n" {
				say("+PONG\r\n")(conn)
			}
			hold(conn)
		}, func(t *Target) { t.Body = "PING\r\n"; matching(`^\+PONG`)(t) }, seen{Outcome: "up", Phases: answered, Body: 7}},
		"it says something else": {say("-ERR no\n"), matching(`^\+OK`),
			seen{Outcome: "down", Failure: "body", Text: `expected a body that matches "^\\+OK", got 8 bytes that do not`, Phases: answered, Body: 8, Assertion: `body_matches: ^\+OK`, Value: "-ERR no"}},
		"it says what it must not": {func(conn net.Conn) { say("-ERR no\r\n")(conn); hold(conn) }, func(t *Target) { t.BodyNotMatches = regexp.MustCompile(`^-ERR`) },
			seen{Outcome: "down", Failure: "body", Text: "it does at byte 0", Phases: answered, Body: 9, Assertion: `body_not_matches: ^-ERR`, Value: "-ERR"}},
		"it says nothing": {hold, func(t *Target) { matching(".")(t); within(50 * time.Millisecond)(t) },
			seen{Outcome: "down", Failure: "timeout", Text: "still waiting for the first byte", Phases: connected}},
		"it closes without a word": {func(net.Conn) {}, matching("."),
			seen{Outcome: "down", Failure: "protocol", Text: "unexpected EOF", Phases: connected}},
		"it says too much": {func(conn net.Conn) { repeat(conn, strings.Repeat("a", 8192)) }, matching("b"),
			seen{Outcome: "down", Failure: "body", Text: "and was read no further", Phases: answered, Body: -1, Cut: true, Assertion: "body_matches: b", Value: strings.Repeat("a", 253) + "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("mail", "tcp://"+accept(t, test.answer))
			if test.change != nil {
				test.change(&target)
			}
			e := Check(t.Context(), target)
			if test.want.Body < 0 {
				test.want.Body = *e.BodyBytes // it depends on what came in one piece
			}
			if diff := cmp.Diff(test.want, look(e, test.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			checkWritable(t, e)
		})
	}
}

func TestATLSTargetIsJudgedByItsCertificate(t *testing.T) {
	ca := newAuthority(t)
	until := time.Now().Add(240 * time.Hour)
	serving := func(template *tls.Config) string {
		return accept(t, func(conn net.Conn) { _ = tls.Server(conn, template).Handshake(); hold(conn) })
	}
	certificate := func(by *authority, addresses ...net.IP) *tls.Config {
		leaf, key := sign(t, leaf(until, addresses...), by)
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	}
	loopback := net.IPv4(127, 0, 0, 1)
	believed, own := serving(certificate(ca, loopback)), serving(certificate(nil, loopback))
	const shaken = "connect tls total"
	for name, test := range map[string]struct {
		address string
		change  func(*Target)
		want    seen
	}{
		"believed":         {believed, nil, seen{Outcome: "up", Phases: shaken}},
		"signed by itself": {own, nil, seen{Outcome: "down", Failure: "certificate", Text: "unknown authority", Phases: "connect total"}},
		"any will do":      {own, func(t *Target) { t.TLSVerify = false }, seen{Outcome: "up", Phases: shaken}},
		"for enough days":  {believed, func(t *Target) { t.CertificateDays = 9 }, seen{Outcome: "up", Phases: shaken}},
		"for too few days": {believed, func(t *Target) { t.CertificateDays = 14 },
			seen{Outcome: "degraded", Failure: "certificate", Text: "expected a certificate that is valid for 14 days, got one for 9, until ", Phases: shaken, Assertion: "certificate_days: 14", Value: "9"}},
		"any, for too few days": {own, func(t *Target) { t.TLSVerify, t.CertificateDays = false, 14 },
			seen{Outcome: "degraded", Failure: "certificate", Text: "got one for 9", Phases: shaken, Assertion: "certificate_days: 14", Value: "9"}},
		"no TLS": {accept(t, func(conn net.Conn) { say("220 mail\r\n")(conn); hold(conn) }), nil,
			seen{Outcome: "down", Failure: "tls", Text: "first record does not look like a TLS handshake", Phases: "connect total"}},
		"an alert": {serving(&tls.Config{Certificates: certificate(ca, loopback).Certificates, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS11}), nil,
			seen{Outcome: "down", Failure: "tls", Text: "protocol version not supported", Phases: "connect total"}},
		"no answer": {accept(t, hold), within(50 * time.Millisecond),
			seen{Outcome: "down", Failure: "timeout", Text: "still in the TLS handshake", Phases: "connect total"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("mail", "tls://"+test.address)
			if test.change != nil {
				test.change(&target)
			}
			e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
			if diff := cmp.Diff(test.want, look(e, test.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			if test.want.Text != "" && test.want.Failure != "certificate" || name == "no answer" {
				return
			}
			if e.CertificateExpiresAt == nil || e.CertificateExpiresAt.Sub(until).Abs() > 2*time.Second {
				t.Errorf("expires at %v, want %v", e.CertificateExpiresAt, until)
			}
			checkWritable(t, e)
		})
	}
}

func TestTheVersionOfHTTPIsTheOneThatIsWanted(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := sign(t, leaf(time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)), ca)
	config := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}
	}
	both, old := serveTLS(t, config(), true), serveTLS(t, config(), false)
	for _, test := range []struct{ url, version, outcome, spoken string }{
		{both, AnyVersion, "up", "2"}, {both, HTTP11, "up", "1.1"}, {both, HTTP2, "up", "2"},
		{old, AnyVersion, "up", "1.1"}, {old, HTTP11, "up", "1.1"}, {old, HTTP2, "down", ""},
	} {
		target := NewTarget("home", test.url)
		target.HTTPVersion = test.version
		e := newCheckerTrusting(ca.pool).check(t.Context(), &target, target.Version())
		if e.Outcome != test.outcome || text(e.HTTPVersion) != test.spoken {
			t.Errorf("%s of both %t: %s, HTTP/%s: %s", test.version, test.url == both, e.Outcome, text(e.HTTPVersion), text(e.FailureText))
		}
		checkWritable(t, e)
	}
}

// resolver answers questions on a port of the loopback interface, over UDP and TCP, and returns host:port. Answer may return nil.
func resolver(t *testing.T, answer func(q dnsmessage.Message, overTCP bool) *dnsmessage.Message) string {
	t.Helper()
	reply := func(query []byte, overTCP bool) []byte {
		var q dnsmessage.Message
		if err := q.Unpack(query); err != nil {
			return nil
		}
		message := answer(q, overTCP)
		if message == nil {
			return nil
		}
		packed, err := message.Pack()
		if err != nil {
			t.Error(err)
		}
		return packed
	}
	address := accept(t, func(conn net.Conn) {
		size := make([]byte, 2)
		if _, err := io.ReadFull(conn, size); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		packed := reply(query, true)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	})
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		query := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(query)
			if err != nil {
				return
			}
			if packed := reply(query[:n], false); packed != nil {
				_, _ = packets.WriteTo([]byte("noise"), from)
				_, _ = packets.WriteTo(packed, from)
			}
		}
	})
	t.Cleanup(func() { packets.Close(); open.Wait() })
	return address
}

// answering is a resolver's answer with these records.
func answering(q dnsmessage.Message, code dnsmessage.RCode, records ...dnsmessage.ResourceBody) *dnsmessage.Message {
	m := &dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: code}, Questions: q.Questions}
	for _, record := range records {
		header := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: record})
	}
	return m
}

func TestADNSTargetIsJudgedByItsAnswers(t *testing.T) {
	name := dnsmessage.MustNewName("mail.example.com.")
	lost := true
	for label, test := range map[string]struct {
		kind   string
		answer func(q dnsmessage.Message, overTCP bool) *dnsmessage.Message
		change func(*Target)
		want   seen
	}{
		"addresses, sorted": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			return answering(q, 0, &dnsmessage.CNAMEResource{CNAME: name}, &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}, &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}})
		}, matching(`^10\.0\.0\.1\n10\.0\.0\.2$`), seen{Outcome: "up", Phases: "dns total", Body: 17}},
		"another address": {"", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			return answering(q, 0, &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}})
		}, matching(`^10\.0\.0\.1$`), seen{Outcome: "down", Failure: "body", Text: "expected a body that matches", Phases: "dns total", Body: 8, Assertion: `body_matches: ^10\.0\.0\.1$`, Value: "10.0.0.2"}},
		"a mail server": {"mx", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			return answering(q, 0, &dnsmessage.MXResource{Pref: 10, MX: name})
		}, matching(`^10 mail\.example\.com$`), seen{Outcome: "up", Phases: "dns total", Body: 19}},
		"a text in pieces": {"TXT", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			return answering(q, 0, &dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}})
		}, matching(`^v=spf1 -all$`), seen{Outcome: "up", Phases: "dns total", Body: 11}},
		"no record of that type": {"AAAA", func(q dnsmessage.Message, _ bool) *dnsmessage.Message { return answering(q, 0) },
			nil, seen{Outcome: "down", Failure: "dns", Text: "no record of the type that was asked for", Phases: "dns total"}},
		"no such name": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message { return answering(q, dnsmessage.RCodeNameError) },
			nil, seen{Outcome: "down", Failure: "dns", Text: "the resolver answered NXDOMAIN, there is no such name", Phases: "dns total"}},
		"a code of another age": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message { return answering(q, 11) },
			nil, seen{Outcome: "down", Failure: "dns", Text: "the resolver answered with code 11", Phases: "dns total"}},
		"too long for a datagram": {"TXT", func(q dnsmessage.Message, overTCP bool) *dnsmessage.Message {
			m := answering(q, 0, &dnsmessage.TXTResource{TXT: []string{strings.Repeat("a", 255), strings.Repeat("b", 255)}})
			if !overTCP {
				m.Truncated, m.Answers = true, nil
			}
			return m
		}, matching(`^a{255}b{255}$`), seen{Outcome: "up", Phases: "dns total", Body: 510}},
		"the first datagram is lost": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			if lost {
				lost = false
				return nil
			}
			return answering(q, 0, &dnsmessage.AResource{})
		}, nil, seen{Outcome: "up", Phases: "dns total", Body: 7}},
		"answers of somebody else": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			q.ID++
			return answering(q, 0, &dnsmessage.AResource{})
		}, within(50 * time.Millisecond), seen{Outcome: "down", Failure: "timeout", Text: "no answer within 50ms: still resolving the name", Phases: "total"}},
		"an answer to another question": {"A", func(q dnsmessage.Message, _ bool) *dnsmessage.Message {
			q.Questions[0].Type = dnsmessage.TypeMX
			return answering(q, 0, &dnsmessage.AResource{})
		}, within(50 * time.Millisecond), seen{Outcome: "down", Failure: "timeout", Text: "still resolving", Phases: "total"}},
	} {
		t.Run(label, func(t *testing.T) {
			target := NewTarget("name", "dns://"+resolver(t, test.answer)+"/EXAMPLE.com")
			if test.kind != "" {
				target.URL += "?type=" + test.kind
			}
			if test.change != nil {
				test.change(&target)
			}
			if faults := target.Validate(); len(faults) > 0 {
				t.Fatal(faults)
			}
			e := Check(t.Context(), target)
			if diff := cmp.Diff(test.want, look(e, test.want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			checkWritable(t, e)
		})
	}
}

func TestAResolverThatIsNotThereIsDownWithDNS(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets.Close()
	e := Check(t.Context(), NewTarget("name", "dns://"+packets.LocalAddr().String()+"/example.com"))
	if e.Outcome != event.OutcomeDown || text(e.Failure) != event.FailureDns || !strings.Contains(text(e.FailureText), "refused") {
		t.Errorf("%s, %s: %s", e.Outcome, text(e.Failure), text(e.FailureText))
	}
}

func TestTheSystemsResolversAreKnown(t *testing.T) {
	for _, address := range systemResolvers(t.Context()) {
		if host, port, err := net.SplitHostPort(address); err != nil || net.ParseIP(host) == nil || port != "53" {
			t.Errorf("%q is no resolver", address)
		}
	}
}

// FuzzAnAnswerOfAResolverIsReadOrRefused reads messages of a resolver that somebody else runs.
func FuzzAnAnswerOfAResolverIsReadOrRefused(f *testing.F) {
	q, err := newQuery("example.com", dnsmessage.TypeTXT)
	if err != nil {
		f.Fatal(err)
	}
	asked := dnsmessage.Message{Header: dnsmessage.Header{ID: q.id}, Questions: []dnsmessage.Question{q.question}}
	packed, err := answering(asked, 0, &dnsmessage.TXTResource{TXT: []string{"a", "b"}}).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, message []byte) {
		q.isAnswered(message)
		o := new(observation)
		if err := q.read(message, o); err == nil && !o.hasBody {
			t.Error("nothing was read, and nothing said")
		}
	})
}
