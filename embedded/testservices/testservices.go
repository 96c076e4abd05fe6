// Package testservices gives tests the three services: real ones when the environment names them, embedded ones otherwise.
//
// WEBCHECK_TEST_KAFKA=host:port, WEBCHECK_TEST_REGISTRY=URL and WEBCHECK_TEST_POSTGRES=URL (of a superuser) name real ones;
// WEBCHECK_TEST_KAFKA_MTLS and WEBCHECK_TEST_KAFKA_SCRAM (host:port), WEBCHECK_TEST_KAFKA_CERTS (a directory with ca.pem,
// client.pem, client.key, other-ca.pem), WEBCHECK_TEST_KAFKA_USER and WEBCHECK_TEST_KAFKA_PASSWORD its secured listeners. One
// that is named and does not answer fails the test: it is never skipped.
//
// What a test gets is its own: topics, subjects and databases have names that no other test has, and are removed at its end.
// The embedded services are shared by the tests of a package, start when first asked for, and stop in [Main]:
//
//	func TestMain(m *testing.M) { testservices.Main(m) }
package testservices

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"webcheck/embedded"
)

// answerTimeout is how long a service may take to answer a test.
const answerTimeout = 30 * time.Second

// Main runs a package's tests, stops the embedded services they started, fails on goroutines left behind that none of known
// stands for, and exits. It is the only statement of TestMain, so that PostgreSQL's child process comes before everything else.
func Main(m *testing.M, known ...goleak.Option) {
	embedded.ChildMain()
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the tests' services:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(known...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// services are the embedded services of this test process.
type services struct {
	dir      func() (string, error)
	broker   func() (*embedded.Broker, error)
	postgres func() (*embedded.Postgres, error)

	mu    sync.Mutex
	stops []func() error // in the order of starting

	templates map[string]string // databases that tests copy, by what they are called
}

var shared = newServices()

func newServices() *services {
	s := &services{templates: make(map[string]string)}
	s.dir = sync.OnceValues(s.makeDir)
	s.broker = sync.OnceValues(s.startBroker)
	s.postgres = sync.OnceValues(s.startPostgres)
	return s
}

func (s *services) onStop(stop func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, stop)
}

func (s *services) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	return errors.Join(errs...)
}

// makeDir is a directory that PostgreSQL's user can pass through when the tests run as root.
func (s *services) makeDir() (string, error) {
	dir, err := os.MkdirTemp("", "webcheck-test-")
	if err != nil {
		return "", err
	}
	s.onStop(func() error { return os.RemoveAll(dir) })
	return dir, os.Chmod(dir, 0o711)
}

func (s *services) startBroker() (*embedded.Broker, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	b, err := embedded.StartBroker(context.Background(), embedded.BrokerConfig{Dir: dir})
	if err == nil {
		s.onStop(b.Close)
	}
	return b, err
}

func (s *services) startPostgres() (*embedded.Postgres, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	p, err := embedded.StartPostgres(context.Background(), embedded.PostgresConfig{Dir: dir, Progress: func(line string) {
		if strings.HasPrefix(line, "fetching") {
			fmt.Fprintln(os.Stderr, line)
		}
	}})
	if err == nil {
		s.onStop(p.Close)
	}
	return p, err
}

// unique makes a name that no other test has, now or in another process.
func unique(base string) string {
	return base + "-" + strings.ToLower(rand.Text()[:12])
}

// DataDir is an empty directory that "webcheck up" can use as its data directory, removed at the test's end. Unlike one from
// t.TempDir, another user can pass through it, which PostgreSQL's has to when the tests run as root.
func DataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "webcheck-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}
