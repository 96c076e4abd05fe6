package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// maxSchemaBytes bounds a request's body; Confluent's registry has no bound, and the largest schema in the wild is far below.
	maxSchemaBytes = 1 << 20
	// registryTimeout bounds each phase of an exchange: every answer takes milliseconds, and one synced write at most.
	registryTimeout = 30 * time.Second
)

// RegistryConfig says where a registry runs.
type RegistryConfig struct {
	Dir    string       // data directory, held by this process; the registry's files are below registry/
	Logger *slog.Logger // nil discards
}

// RegistryServer answers the Confluent schema registry's REST calls for Avro schemas without references, on the loopback
// interface, with its statuses, codes and messages: subjects, versions and ids, soft and hard deletion, the seven levels,
// normalizing, and the modes READWRITE, READONLY, READONLY_OVERRIDE and IMPORT, for all subjects and for each. A change is
// on disk before it is answered.
//
// It differs where events are for ever: its default level is FULL_TRANSITIVE, not BACKWARD; a schema keeps the text it was
// registered with, instead of Avro's print of it, and stays readable by its id after it was deleted for good; a version
// that is there is not overwritten in mode IMPORT; the order of a type's own properties does not make another schema. It
// has one context, and neither references, rules nor metadata.
type RegistryServer struct {
	store *store
	url   string
	http  *http.Server
	once  sync.Once
	done  chan struct{}
	err   error // of serving; read after done
}

// StartRegistry reads the schemas in cfg.Dir and listens on the port it had before if that is free, else on another. The
// context is for starting alone.
func StartRegistry(ctx context.Context, cfg RegistryConfig) (*RegistryServer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("starting registry: %w", err)
	}
	dir := filepath.Join(cfg.Dir, "registry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, explain(fmt.Errorf("starting registry: %w", err))
	}
	store, err := openStore(filepath.Join(dir, "schemas.jsonl"))
	if err != nil {
		return nil, explain(fmt.Errorf("starting registry: %w", err))
	}
	listener, err := listenAgain(filepath.Join(dir, "port"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting registry: %w", err), store.close())
	}
	log := orDiscard(cfg.Logger)
	s := &RegistryServer{
		store: store,
		url:   "http://" + listener.Addr().String(),
		done:  make(chan struct{}),
		http: &http.Server{
			Handler:           http.TimeoutHandler(newRegistryHandler(store, log), registryTimeout, `{"error_code":50002,"message":"answering took too long"}`),
			ReadHeaderTimeout: registryTimeout,
			ReadTimeout:       registryTimeout,
			WriteTimeout:      2 * registryTimeout,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
	log.Info("registry is ready", "url", s.url)
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s, nil
}

// URL is the registry's base URL, without a slash at its end.
func (s *RegistryServer) URL() string { return s.url }

// Close answers what is being asked, within five seconds, and stops.
func (s *RegistryServer) Close() error {
	var err error
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if shut := s.http.Shutdown(ctx); shut != nil {
			err = s.http.Close()
		}
		<-s.done
		err = errors.Join(err, s.err, s.store.close())
	})
	if err != nil {
		return fmt.Errorf("closing registry: %w", err)
	}
	return nil
}

// listenAgain listens on the loopback port written in file if it is free, else on any, and writes down which.
func listenAgain(file string) (net.Listener, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(readPort(file))))
	if err != nil {
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := writeFile(file, []byte(port+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
