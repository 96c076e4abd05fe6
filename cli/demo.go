package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// slowDemoAnswer is clearly slower than the good site and far below any timeout.
	slowDemoAnswer = 800 * time.Millisecond
	// demoInterval shows something soon and still leaves lines readable.
	demoInterval = 2 * time.Second
	// demoLabel marks the demo sites, whose ports do not outlive their run.
	demoLabel = "demo"
)

// demoSite is one of the local sites that "webcheck up" starts when it is given nothing to watch.
type demoSite struct{ id, url string }

// startDemoSites serves three sites on the loopback interface until ctx ends: one that is good, one that is slow, and one
// that is good twice and then in trouble twice. The second result waits until they are closed.
func startDemoSites() ([]demoSite, func(), error) {
	var flaps atomic.Int64
	handlers := []struct {
		id     string
		handle http.HandlerFunc
	}{
		{"good", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "all is well\n") }},
		{"slow", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(slowDemoAnswer):
				_, _ = io.WriteString(w, "sorry for the wait\n")
			case <-r.Context().Done():
			}
		}},
		{"flapping", func(w http.ResponseWriter, _ *http.Request) {
			if (flaps.Add(1)-1)%4 >= 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, "well for now\n")
		}},
	}
	var sites []demoSite
	var servers []*http.Server
	closeAll := func() {
		for _, server := range servers {
			_ = server.Close()
		}
	}
	for _, h := range handlers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("starting the demo site %q: %w", h.id, err)
		}
		server := &http.Server{Handler: h.handle, ReadHeaderTimeout: time.Second}
		servers = append(servers, server)
		sites = append(sites, demoSite{h.id, "http://" + listener.Addr().String() + "/"})
		go serveDemo(server, listener)
	}
	// Not when the command is interrupted: the prober first finishes the checks that it has in hand.
	return sites, closeAll, nil
}

// serveDemo serves until the server is closed. A demo site that fails otherwise shows as down, which is what it is for.
func serveDemo(server *http.Server, listener net.Listener) {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		_ = listener.Close()
	}
}
