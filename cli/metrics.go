package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/processor"
)

// Bounds of the server of metrics. Whoever asks it is a machine nearby, every few seconds.
const (
	metricsReadTimeout  = 5 * time.Second
	metricsWriteTimeout = 10 * time.Second
	metricsIdleTimeout  = 2 * time.Minute
	// metricsMaxHeader is far more than a scrape sends.
	metricsMaxHeader = 16 << 10
	// metricsInFlight is how many answers are made at once; more get 503.
	metricsInFlight = 4
	// metricsCloseTimeout is what a stop leaves to answers that are being written.
	metricsCloseTimeout = time.Second
)

// metricsServer serves the metrics and the health of this process. One that is off has nil for everything.
type metricsServer struct {
	registry *prometheus.Registry
	http     *http.Server
	address  string
	served   chan struct{}
	// readiness says why the work is not going on; nil until it has begun.
	readiness atomic.Pointer[func() error]
}

// serveMetrics listens at metrics.addr, where there is one, and answers until the result is closed.
func (p *program) serveMetrics() (*metricsServer, error) {
	m := new(metricsServer)
	if p.config.Metrics.Addr == "" {
		return m, nil
	}
	listener, err := net.Listen("tcp", p.config.Metrics.Addr)
	if err != nil {
		return nil, explainListen(p.config.Metrics.Addr, err)
	}
	m.registry = prometheus.NewRegistry()
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.address, m.served = listener.Addr().String(), make(chan struct{})
	m.http = &http.Server{
		Handler: m.routes(), ReadTimeout: metricsReadTimeout, WriteTimeout: metricsWriteTimeout,
		IdleTimeout: metricsIdleTimeout, MaxHeaderBytes: metricsMaxHeader,
	}
	go func() {
		defer close(m.served)
		if err := m.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.logger.Error("metrics are served no more", "error", err)
		}
	}()
	p.logger.Info("metrics are served", "address", m.address)
	return m, nil
}

// explainListen finds what an error of listening means.
func explainListen(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return withHint(fmt.Errorf("serving metrics at %s: another process listens there", address), "give another metrics.addr, or stop that process")
	}
	return withHint(fmt.Errorf("serving metrics at %s: %w", address, err), "check metrics.addr")
}

func (m *metricsServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: metricsInFlight}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := m.ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return mux
}

func answer(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, sentence)
}

var errStarting = errors.New("starting")

// ready says why the work is not going on.
func (m *metricsServer) ready() error {
	ask := m.readiness.Load()
	if ask == nil {
		return errStarting
	}
	return (*ask)()
}

// working says that the start is over; ask, which may be called at any time, tells from then on why the work is not going
// on, and what it says is printed without secrets.
func (m *metricsServer) working(secrets *scrubber, ask func() error) {
	readiness := func() error {
		if err := ask(); err != nil {
			return errors.New(printable(strings.Join(strings.Fields(secrets.scrub(err.Error())), " ")))
		}
		return nil
	}
	m.readiness.Store(&readiness)
}

// registerer gives the registry as rooms take it: nil when it is off.
func (m *metricsServer) registerer() prometheus.Registerer {
	if m.registry == nil {
		return nil
	}
	return m.registry
}

// kafka makes a Kafka client show its metrics under this name.
func (m *metricsServer) kafka(client string) kgo.Opt {
	return processor.KafkaMetrics(m.registerer(), client)
}

// close stops the server in good order.
func (m *metricsServer) close() {
	if m.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsCloseTimeout)
	defer cancel()
	if err := m.http.Shutdown(ctx); err != nil {
		_ = m.http.Close()
	}
	<-m.served
}

// checkListenAddress finds what is wrong with a place to listen at. A port alone is refused: whether it means this machine
// or every network is too much to guess.
func checkListenAddress(text string) error {
	if _, err := strconv.Atoi(text); err == nil {
		return withHint(fmt.Errorf("%q is a port without a host", text), fmt.Sprintf("write 127.0.0.1:%s for this machine alone, or :%s for every network it is on", text, text))
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not host:port (example: 127.0.0.1:9090)", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535 (example: 127.0.0.1:9090)", text)
	}
	return nil
}
