package processor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// gate is a TCP relay on loopback that can be shut: connections are cut, and new ones are closed at once. It can also cut all
// connections, and stay open, when so many bytes have gone to the server.
type gate struct {
	listener net.Listener
	target   string
	shut     atomic.Bool
	left     atomic.Int64 // bytes to the server until the cut; below 0 there is none
	passed   atomic.Int64 // bytes that have gone to the server

	mu    sync.Mutex
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, target: target, conns: make(map[net.Conn]bool)}
	g.left.Store(-1)
	g.wg.Go(g.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		g.close()
		g.wg.Wait()
	})
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }
func (g *gate) open()        { g.shut.Store(false) }

// close shuts the gate and cuts what goes through it.
func (g *gate) close() {
	g.shut.Store(true)
	g.cut()
}

// cut cuts what goes through the gate and leaves it open.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
	clear(g.conns)
}

// cutAfter cuts, once, when n more bytes have gone to the server; a negative n takes it back.
func (g *gate) cutAfter(n int64) { g.left.Store(n) }

// toServer counts what goes to the server.
type toServer struct {
	io.Writer
	gate *gate
}

// Write passes on what may still pass.
func (w toServer) Write(p []byte) (int, error) {
	w.gate.passed.Add(int64(len(p)))
	left := w.gate.left.Load()
	if left < 0 {
		return w.Writer.Write(p)
	}
	n, err := w.Writer.Write(p[:min(int64(len(p)), left)])
	if w.gate.left.Add(-int64(len(p))) >= 0 {
		return n, err
	}
	w.gate.left.Store(-1)
	w.gate.cut()
	return n, io.ErrShortWrite
}

func (g *gate) serve() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil || !g.keep(in, out) {
			_ = in.Close()
			continue
		}
		relay := func(to io.Writer, from io.Reader) {
			_, _ = io.Copy(to, from)
			_, _ = in.Close(), out.Close()
		}
		g.wg.Go(func() { relay(in, out) })
		g.wg.Go(func() { relay(toServer{out, g}, in) })
	}
}

func (g *gate) keep(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut.Load() {
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	}
	for _, c := range conns {
		g.conns[c] = true
	}
	return true
}

// awaitLog waits until a line with all parts has been logged.
func (p *pipeline) awaitLog(parts ...string) {
	p.t.Helper()
	until(p.t, func() (bool, string) {
		return len(p.logs.with(parts...)) > 0, fmt.Sprintf("nobody said %q; said: %q", parts, p.logs.with())
	})
}

// checkSaidOnce wants one line where the trouble began and one where it was over.
func (p *pipeline) checkSaidOnce(doing string) {
	p.t.Helper()
	for _, message := range []string{"WARN waiting", "INFO going on"} {
		if said := p.logs.with(message, "doing="+doing); len(said) != 1 {
			p.t.Errorf("%q was said %d times, want once: %q", message, len(said), said)
		}
	}
}

// gated gives a pool whose connections to a database go through a gate.
func gated(t *testing.T, database string) (*gate, *pgxpool.Pool) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Host)
	u.Host = g.addr()
	return g, connect(t, u.String())
}

func TestAnAbsentPostgreSQLIsWaitedOut(t *testing.T) {
	p := newPipeline(t, 2)
	g, pool := gated(t, p.postgres)
	events := newEvents(600)
	p.produce(2, events[:300]...)
	r := p.start(func(c *Config) { c.Pool, c.BatchRecords = pool, 50 })
	r.await(100)
	g.close()
	p.produce(2, events[300:]...)
	p.awaitLog("WARN waiting")
	g.open()
	p.awaitEnd()
	r.finish()
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 0)
}

func TestAnAbsentRegistryIsWaitedOutAndNothingBecomesADeadLetter(t *testing.T) {
	p := newPipeline(t, 1)
	target, err := url.Parse(p.registry)
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	asked := make(chan struct{}, 1000)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		if away.Load() {
			http.Error(w, "upstream is away", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.registry = front.URL

	away.Store(true)
	events := newEvents(40)
	p.produce(1, events...)
	r := p.start(nil)
	for range 3 { // three attempts, one after the other
		<-asked
	}
	away.Store(false)
	r.await(40)
	r.finish()
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 0)
}

func TestABrokerThatGoesAwayIsWaitedOut(t *testing.T) {
	p := newPipeline(t, 1)
	g := newGate(t, p.kafka.Brokers[0])
	dialer := kgo.Dialer(g.dialInstead)
	events := newEvents(200)
	p.produce(1, events[:100]...)
	r := p.start(func(c *Config) { c.Kafka = append(c.Kafka, dialer) })
	r.await(100)
	g.close()
	p.produce(1, events[100:]...)
	p.awaitLog("WARN waiting", "reaching Kafka")
	g.open()
	r.await(200)
	r.finish()
	for _, message := range []string{"WARN waiting", "INFO going on"} {
		if said := p.logs.with(message, "reaching Kafka at "+p.kafka.Brokers[0]); len(said) != 1 {
			t.Errorf("%q was said %d times, want once: %q", message, len(said), said)
		}
	}
	p.checkInvariants(events, 0)
}

func TestLettersThatKafkaDidNotGetArePublishedByTheNextRun(t *testing.T) {
	p := newPipeline(t, 1)
	g := newGate(t, p.kafka.Brokers[0])
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	// Only the publisher's client makes letters wait: the gate shuts once the batch is committed.
	r := p.start(func(c *Config) {
		c.Kafka = append(c.Kafka, kgo.Dialer(g.dialInstead))
		report := c.OnBatch
		c.StopTimeout = 100 * time.Millisecond
		c.OnBatch = func(tally Tally) {
			g.close()
			report(tally)
		}
	})
	r.await(1)
	r.finish()
	p.start(nil)
	if letters := p.readDead(1); string(letters[0].Value) != "garbage" {
		t.Errorf("got %q", letters[0].Value)
	}
	p.checkInvariants(nil, 1)
}

// dialInstead reaches every broker through the gate, whatever address it advertises.
func (g *gate) dialInstead(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, g.addr())
}
