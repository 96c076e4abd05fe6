package prober

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"webcheck/gen/event"
)

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
		}, within(50 * time.Millisecond), seen{Outcome: "down", Failure: "timeout", Text: "still resolving the name", Phases: "total"}},
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
			checkSeen(t, target, test.want, checkOnce)
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
