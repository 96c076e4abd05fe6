package testservices

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"webcheck/embedded"
)

// KafkaService is a Kafka for one test.
type KafkaService struct {
	Brokers  []string // host:port
	CA       string   // PEM file of the authority that signed the broker's certificate; empty: no TLS
	OtherCA  string   // PEM file of an authority that did not; empty: no TLS
	Cert     string   // PEM file of the client's certificate; empty: no mTLS
	Key      string   // PEM file of the client's key; empty: no mTLS
	User     string   // SASL user, SCRAM-SHA-512; empty: no SASL
	Password string   // SASL password
	tls      *tls.Config
}

// Kafka gives a Kafka without TLS: WEBCHECK_TEST_KAFKA, else the package's embedded broker.
func Kafka(t testing.TB) *KafkaService {
	t.Helper()
	if addr := os.Getenv("WEBCHECK_TEST_KAFKA"); addr != "" {
		return answering(t, &KafkaService{Brokers: strings.Split(addr, ",")})
	}
	b, err := shared.broker()
	if err != nil {
		t.Fatal(err)
	}
	return &KafkaService{Brokers: []string{b.Addr()}}
}

// KafkaMTLS gives a Kafka that asks for a client certificate: WEBCHECK_TEST_KAFKA_MTLS, else an embedded broker of this test.
func KafkaMTLS(t testing.TB) *KafkaService {
	t.Helper()
	if addr := os.Getenv("WEBCHECK_TEST_KAFKA_MTLS"); addr != "" {
		k := realCerts(t, &KafkaService{Brokers: strings.Split(addr, ",")})
		dir := os.Getenv("WEBCHECK_TEST_KAFKA_CERTS")
		k.Cert, k.Key = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
		return answering(t, k.load(t))
	}
	certs := makeCerts(t)
	server := certs.server(t)
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, certs.pool
	k := secured(t, certs, embedded.BrokerConfig{TLS: server})
	k.Cert, k.Key = certs.clientCert, certs.clientKey
	return answering(t, k.load(t))
}

// KafkaSCRAM gives a Kafka that asks for a user and password (SCRAM-SHA-512) over TLS: WEBCHECK_TEST_KAFKA_SCRAM, else an
// embedded broker of this test.
func KafkaSCRAM(t testing.TB) *KafkaService {
	t.Helper()
	if addr := os.Getenv("WEBCHECK_TEST_KAFKA_SCRAM"); addr != "" {
		k := realCerts(t, &KafkaService{Brokers: strings.Split(addr, ",")})
		k.User, k.Password = needEnv(t, "WEBCHECK_TEST_KAFKA_USER"), needEnv(t, "WEBCHECK_TEST_KAFKA_PASSWORD")
		return answering(t, k.load(t))
	}
	certs := makeCerts(t)
	k := secured(t, certs, embedded.BrokerConfig{TLS: certs.server(t), Users: map[string]string{"webcheck": "secret"}})
	k.User, k.Password = "webcheck", "secret"
	return answering(t, k.load(t))
}

// Opts are the options that reach this Kafka.
func (k *KafkaService) Opts() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(k.Brokers...)}
	if k.tls != nil {
		opts = append(opts, kgo.DialTLSConfig(k.tls.Clone()))
	}
	if k.User != "" {
		opts = append(opts, kgo.SASL(scram.Auth{User: k.User, Pass: k.Password}.AsSha512Mechanism()))
	}
	return opts
}

// Topic creates a topic whose name begins with base, and deletes it at the test's end.
func (k *KafkaService) Topic(t testing.TB, base string, partitions int32) string {
	t.Helper()
	name := unique(base)
	k.CreateTopic(t, name, partitions)
	return name
}

// CreateTopic creates a topic of exactly this name, and deletes it at the test's end.
func (k *KafkaService) CreateTopic(t testing.TB, name string, partitions int32) {
	t.Helper()
	k.admin(t, func(ctx context.Context, a *kadm.Client) error {
		_, err := a.CreateTopic(ctx, partitions, 1, nil, name)
		return err
	})
	t.Cleanup(func() {
		k.admin(t, func(ctx context.Context, a *kadm.Client) error {
			_, err := a.DeleteTopic(ctx, name)
			return err
		})
	})
}

func (k *KafkaService) admin(t testing.TB, do func(context.Context, *kadm.Client) error) {
	t.Helper()
	cl, err := kgo.NewClient(append(k.Opts(), kgo.RequestRetries(3))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	if err := do(ctx, kadm.NewClient(cl)); err != nil {
		t.Fatal(err)
	}
}

func answering(t testing.TB, k *KafkaService) *KafkaService {
	t.Helper()
	k.admin(t, func(ctx context.Context, a *kadm.Client) error {
		_, err := a.BrokerMetadata(ctx)
		return err
	})
	return k
}

// secured starts a broker for this test.
func secured(t testing.TB, certs *certificates, cfg embedded.BrokerConfig) *KafkaService {
	t.Helper()
	cfg.Dir = DataDir(t)
	b, err := embedded.StartBroker(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &KafkaService{Brokers: []string{b.Addr()}, CA: certs.ca, OtherCA: certs.otherCA}
}

func realCerts(t testing.TB, k *KafkaService) *KafkaService {
	t.Helper()
	dir := needEnv(t, "WEBCHECK_TEST_KAFKA_CERTS")
	k.CA, k.OtherCA = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "other-ca.pem")
	return k
}

func needEnv(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set, and a secured Kafka is named", name)
	}
	return value
}

// load reads the PEM files into the configuration of this service's own clients.
func (k *KafkaService) load(t testing.TB) *KafkaService {
	t.Helper()
	pem, err := os.ReadFile(k.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s: no certificate in it", k.CA)
	}
	k.tls = &tls.Config{RootCAs: pool}
	if k.Cert != "" {
		cert, err := tls.LoadX509KeyPair(k.Cert, k.Key)
		if err != nil {
			t.Fatal(err)
		}
		k.tls.Certificates = []tls.Certificate{cert}
	}
	return k
}
