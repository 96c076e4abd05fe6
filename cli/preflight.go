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
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/plugin/kslog"
)

// reachKafka asks a broker for its metadata once. The error is one sentence with a hint.
func (c *Config) reachKafka(ctx context.Context, brokers []string, options []kgo.Opt) error {
	// What the client would log, the error says.
	silent := kgo.WithLogger(kslog.New(slog.New(slog.DiscardHandler)))
	client, err := kgo.NewClient(append(slices.Clip(options), silent)...)
	if err != nil {
		return usageError{fmt.Errorf("preparing a Kafka client: %w", err)}
	}
	defer client.Close()
	bounded, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	if err := client.Ping(bounded); err != nil {
		return c.explainKafka(ctx, brokers, err)
	}
	return nil
}

// explainKafka finds what an error of the Kafka client means. A broker that does not like how it is spoken to closes the
// connection, so whether it speaks TLS is tried out.
func (c *Config) explainKafka(ctx context.Context, brokers []string, err error) error {
	where, sasl := "Kafka at "+strings.Join(brokers, ", "), c.Kafka.SASL
	signingIn := fmt.Sprintf("signing in to %s as %q with %s", where, sasl.User, sasl.Mechanism)
	const saslHint = "check kafka.sasl.user, kafka.sasl.mechanism and what kafka.sasl.password points to"
	switch {
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return withHint(fmt.Errorf("%s: the broker does not offer that mechanism", signingIn), saslHint)
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.IllegalSaslState):
		return withHint(fmt.Errorf("%s: user or password is wrong: %w", signingIn, err), saslHint)
	case !isClosed(err) && !strings.Contains(err.Error(), "tls alert record") && !isNotTLS(err):
		return explainNetwork(where, "kafka.brokers", "kafka.tls.ca", c, err)
	}
	speaksTLS := c.speaksTLS(ctx, brokers[0])
	switch {
	case speaksTLS && !c.Kafka.TLS.Enabled:
		return withHint(fmt.Errorf("reaching %s: the broker speaks TLS, and webcheck does not", where), "set kafka.tls.enabled to true, or use the broker's plain port")
	case !speaksTLS && c.Kafka.TLS.Enabled:
		return withHint(fmt.Errorf("reaching %s: webcheck speaks TLS, and the broker does not", where), "set kafka.tls.enabled to false, or use the broker's TLS port")
	case sasl.Mechanism != "":
		return withHint(fmt.Errorf("%s: the broker closed the connection: user, password or mechanism is wrong", signingIn), saslHint)
	}
	return withHint(fmt.Errorf("reaching %s: the broker closed the connection", where), "it may want a user (kafka.sasl), or be no Kafka: check kafka.brokers")
}

// isClosed reports whether the other side closed the connection without a word.
func isClosed(err error) bool {
	var early *kgo.ErrFirstReadEOF
	return errors.As(err, &early) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// speaksTLS tries a TLS handshake without looking at the certificate. An answer of TLS's own that refuses it counts too.
func (c *Config) speaksTLS(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // nothing is sent on it
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return isAlert(err)
	}
	_ = connection.Close()
	return true
}

// isAlert reports whether the other side of a TLS connection refused it.
func isAlert(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")
}

// isNotTLS reports whether a TLS handshake met something else.
func isNotTLS(err error) bool {
	var header tls.RecordHeaderError
	return errors.As(err, &header) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// explainNetwork is the part of every explanation that is not the service's own: name, connection, certificate, time.
func explainNetwork(where, address, authority string, c *Config, err error) error {
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var dns *net.DNSError
	sentence := fmt.Errorf("reaching %s: %w", where, err)
	switch {
	case errors.As(err, &unknown):
		return withHint(fmt.Errorf("reaching %s: its certificate is signed by an authority that is not known here", where), "give the authority's PEM file as "+authority)
	case errors.As(err, &hostname), errors.As(err, &invalid):
		return withHint(sentence, "the certificate does not fit: check "+address+" and the service's certificate")
	case isAlert(err):
		return withHint(sentence, "the service refused the TLS connection; it may want a client certificate (kafka.tls.certificate and kafka.tls.key)")
	case errors.As(err, &dns):
		return withHint(fmt.Errorf("reaching %s: the name %q does not resolve", where, dns.Name), "check "+address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return withHint(fmt.Errorf("reaching %s: %w", where, syscall.ECONNREFUSED), "nothing listens there: check "+address+" and whether the service runs")
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return withHint(fmt.Errorf("reaching %s: no answer within %s", where, formatDuration(c.ConnectTimeout)), "check "+address+" and the network between, or give more time with --connect-timeout")
	}
	return withHint(sentence, "check "+address)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// reachRegistry asks the registry for its subjects once. The error is one sentence with a hint.
func (c *Config) reachRegistry(ctx context.Context, url string, client *sr.Client) error {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	_, err := client.Subjects(ctx)
	if err == nil {
		return nil
	}
	where := "the registry at " + url
	var answer *sr.ResponseError
	if errors.As(err, &answer) {
		switch {
		case answer.StatusCode == 401 && c.Registry.User == "":
			return withHint(fmt.Errorf("reaching %s: it wants a user and a password", where), "set registry.user and registry.password")
		case answer.StatusCode == 401, answer.StatusCode == 403:
			return withHint(fmt.Errorf("signing in to %s as %q: user or password is wrong (HTTP %d)", where, c.Registry.User, answer.StatusCode),
				"check registry.user and what registry.password points to")
		case strings.Contains(string(answer.Raw), "HTTP request to an HTTPS server"):
			return withHint(fmt.Errorf("reaching %s: it speaks TLS, and the URL says http", where), "write https:// in registry.url")
		}
		return withHint(fmt.Errorf("reaching %s: it answered HTTP %d, which is not how a schema registry answers", where, answer.StatusCode),
			"check registry.url, with its path if it has one")
	}
	if isNotTLS(err) {
		return withHint(fmt.Errorf("reaching %s: it does not speak TLS, and the URL says https", where), "write http:// in registry.url")
	}
	if strings.Contains(err.Error(), "unable to decode") {
		return withHint(fmt.Errorf("reaching %s: the answer is not a schema registry's", where), "check registry.url, with its path if it has one")
	}
	return explainNetwork(where, "registry.url", "registry.ca", c, err)
}

// reachPostgres opens one connection. The error is one sentence with a hint.
func (c *Config) reachPostgres(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	err := pool.Ping(ctx)
	if err == nil {
		return nil
	}
	config := pool.Config().ConnConfig
	where := fmt.Sprintf("PostgreSQL at %s:%d", config.Host, config.Port)
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return explainPostgres(where, config.User, config.Database, answer)
	}
	if strings.Contains(err.Error(), "server refused TLS connection") {
		return withHint(fmt.Errorf("reaching %s: it does not speak TLS, and the URL asks for it", where), "write sslmode=disable or sslmode=prefer in postgres.url, or switch TLS on in PostgreSQL")
	}
	return explainNetwork(where, "postgres.url", "sslrootcert in postgres.url", c, err)
}

func explainPostgres(where, user, database string, answer *pgconn.PgError) error {
	switch answer.Code {
	case "28P01":
		return withHint(fmt.Errorf("signing in to %s as %q: user or password is wrong", where, user), "check the user and the password of postgres.url")
	case "28000":
		return withHint(fmt.Errorf("signing in to %s as %q: %s", where, user, answer.Message), "check pg_hba.conf: the user, the database, and whether TLS is required (sslmode=require)")
	case "3D000":
		return withHint(fmt.Errorf("reaching %s: there is no database %q", where, database), "create it, or check the end of postgres.url")
	case "53300":
		return withHint(fmt.Errorf("reaching %s: it has no connection left", where), "raise max_connections, or end what holds them")
	}
	return withHint(fmt.Errorf("reaching %s: %s (%s)", where, answer.Message, answer.Code), "check postgres.url")
}
