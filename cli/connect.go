package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/plugin/kslog"
)

const (
	// registryTimeout bounds one request to the registry, which answers from memory.
	registryTimeout = 10 * time.Second
	// maxRegistryBytes bounds what is read of one answer of the registry; a schema is some kilobytes.
	maxRegistryBytes = 16 << 20
)

// kafkaOptions are the options of every client of the brokers, apart from what each one is for.
func (c *Config) kafkaOptions(brokers []string, logger *slog.Logger) ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("webcheck"),
		kgo.WithLogger(quietKafka{kslog.New(logger.With("component", "kafka"))}),
		kgo.DialTimeout(c.ConnectTimeout),
	}
	if c.Kafka.TLS.Enabled {
		config, err := c.Kafka.TLS.load()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	if c.Kafka.SASL.Mechanism != "" {
		options = append(options, kgo.SASL(c.Kafka.SASL.mechanism()))
	}
	return options, nil
}

// load reads the PEM files.
func (t KafkaTLSConfig) load() (*tls.Config, error) {
	roots, err := loadAuthorities("kafka.tls.ca", t.CA)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("loading kafka.tls.certificate %q and kafka.tls.key %q: %w", t.Certificate, t.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// loadAuthorities reads a PEM file of certificates; without a file it returns nil, which stands for the system's.
func loadAuthorities(setting, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := readBounded(file, maxSecretBytes)
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", setting, file, withoutPath(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading %s %q: there is no certificate in PEM form", setting, file)
	}
	return pool, nil
}

func (s SASLConfig) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password.Reveal()}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha256Mechanism()
	default: // the only other choice of the setting
		return scram.Auth{User: s.User, Pass: s.Password.Reveal()}.AsSha512Mechanism()
	}
}

// quietKafka makes debug records of all that the Kafka client says: our rooms report an outage once, in their own words.
type quietKafka struct{ *kslog.Logger }

// Log writes a debug record.
func (q quietKafka) Log(_ kgo.LogLevel, message string, keyvals ...any) {
	if q.Level() >= kgo.LogLevelDebug {
		q.Logger.Log(kgo.LogLevelDebug, message, keyvals...)
	}
}

// registryClient returns a client of the schema registry at url.
func (c *Config) registryClient(url string) (*sr.Client, error) {
	roots, err := loadAuthorities("registry.ca", c.Registry.CA)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: c.ConnectTimeout}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   c.ConnectTimeout,
		ResponseHeaderTimeout: registryTimeout,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
	}
	options := []sr.ClientOpt{
		sr.URLs(url),
		sr.UserAgent("webcheck"),
		sr.HTTPClient(&http.Client{Timeout: registryTimeout, Transport: boundedTransport{transport}}),
	}
	if c.Registry.User != "" {
		options = append(options, sr.BasicAuth(c.Registry.User, c.Registry.Password.Reveal()))
	}
	client, err := sr.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of the registry: %w", err)
	}
	return client, nil
}

// boundedTransport ends a response after maxRegistryBytes: the client above it reads bodies whole.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip sends the request on.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = boundedBody{io.LimitReader(response.Body, maxRegistryBytes), response.Body}
	return response, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

// openPostgres returns a pool for the database. It does not connect.
func (c *Config) openPostgres(ctx context.Context, url Secret) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		// The cause repeats the text, which may be a secret that is not even a URL.
		return nil, usageError{errors.New("reading postgres.url: it is neither a URL nor keywords that PostgreSQL knows (example: postgres://webcheck@db:5432/webcheck)")}
	}
	config.ConnConfig.ConnectTimeout = c.ConnectTimeout
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "webcheck"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("preparing a pool of PostgreSQL connections: %w", err)
	}
	return pool, nil
}
