package processor

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A registry that is away makes nothing a dead letter, and holds up only what it is asked about.

// shutRegistry makes the pipeline reach its registry by a way that answers 502 while the switch that it gives is set.
func (p *pipeline) shutRegistry() *atomic.Bool {
	p.t.Helper()
	target, err := url.Parse(p.registry)
	if err != nil {
		p.t.Fatal(err)
	}
	away := new(atomic.Bool)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "upstream is away", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	p.t.Cleanup(front.Close)
	p.registry = front.URL
	return away
}

func TestARegistryThatGoesAwayHoldsOnlyWhatItHasNotToldOf(t *testing.T) {
	p := newPipeline(t, 1)
	away := p.shutRegistry()
	events := newEvents(60)
	p.produce(1, events[:20]...)
	r := p.start(func(c *Config) { c.BatchRecords = 10 })
	r.await(20)
	p.readTransitions(1) // their schema is known as well
	away.Store(true)
	p.produce(1, events[20:40]...) // of a schema that it knows
	r.await(40)
	if said := p.logs.with("WARN", "doing=processing"); len(said) > 0 {
		t.Errorf("said %q while nothing was missing", said)
	}
	// One of a schema that nobody has is a question to the registry, in the midst of events that are not.
	strange := p.value(events[0])
	strange[1] = 0x7f
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: strange})
	p.produce(1, events[40:]...)
	p.awaitLog("WARN waiting", "doing=processing")
	away.Store(false)
	r.await(61)
	r.finish()
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 1)
}

func TestARegistryThatNeverAnswersDoesNotHoldUpAStop(t *testing.T) {
	p := newPipeline(t, 1)
	asked, ended := make(chan struct{}, 100), make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(front.Close)
	t.Cleanup(func() { close(ended) })
	events := newEvents(5)
	p.produce(1, events...)
	there := p.registry
	p.registry = front.URL
	r := p.start(func(c *Config) { c.StopTimeout = 200 * time.Millisecond })
	<-asked
	r.finish() // what is being decoded is given up with the stop
	p.registry = there
	next := p.start(nil)
	next.await(5)
	next.finish()
	p.checkInvariants(events, 0)
}
