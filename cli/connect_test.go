package cli

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
	"webcheck/schemas"
)

// reachable is a configuration as loadConfig gives it, for a test to change.
func reachable(t *testing.T) *Config {
	t.Helper()
	c, err := loadConfig(given(map[string]string{"connect-timeout": "20s"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantSentence holds that err has this in its sentence, this in its hint, and no secret.
func wantSentence(t *testing.T, err error, sentence, hint string) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatalf("got no error, want %q", sentence)
	case !strings.Contains(err.Error(), sentence):
		t.Errorf("got %q, want %q in it", err, sentence)
	case !strings.Contains(hintOf(err), hint):
		t.Errorf("got the hint %q for %q, want %q in it", hintOf(err), err, hint)
	case strings.Contains(err.Error(), "hunter2"):
		t.Errorf("the secret is in %q", err)
	}
	if exitCode(err) != exitFailed {
		t.Errorf("got exit code %d, want %d", exitCode(err), exitFailed)
	}
}

func (c *Config) reachTestKafka(t *testing.T, k *testservices.KafkaService) error {
	t.Helper()
	options, err := c.kafkaOptions(k.Brokers, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return c.reachKafka(t.Context(), k.Brokers, options)
}

func TestKafkaWithoutTLS(t *testing.T) {
	k := testservices.Kafka(t)
	if err := reachable(t).reachTestKafka(t, k); err != nil {
		t.Error(err)
	}
	c := reachable(t)
	c.Kafka.TLS.Enabled = true
	wantSentence(t, c.reachTestKafka(t, k), "webcheck speaks TLS, and the broker does not", "kafka.tls.enabled to false")
}

func TestKafkaWithClientCertificate(t *testing.T) {
	k := testservices.KafkaMTLS(t)
	for name, test := range map[string]struct {
		tls            KafkaTLSConfig
		sentence, hint string // empty: reaches it
	}{
		"right":          {tls: KafkaTLSConfig{Enabled: true, CA: k.CA, Certificate: k.Cert, Key: k.Key}},
		"plain":          {KafkaTLSConfig{}, "the broker speaks TLS, and webcheck does not", "kafka.tls.enabled to true"},
		"unknown CA":     {KafkaTLSConfig{Enabled: true, CA: k.OtherCA, Certificate: k.Cert, Key: k.Key}, "authority that is not known", "kafka.tls.ca"},
		"system's CAs":   {KafkaTLSConfig{Enabled: true, Certificate: k.Cert, Key: k.Key}, "authority that is not known", "kafka.tls.ca"},
		"no certificate": {KafkaTLSConfig{Enabled: true, CA: k.CA}, "reaching Kafka at", "client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			c := reachable(t)
			c.Kafka.TLS = test.tls
			err := c.reachTestKafka(t, k)
			if test.sentence == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSentence(t, err, test.sentence, test.hint)
		})
	}
}

func TestKafkaWithPassword(t *testing.T) {
	k := testservices.KafkaSCRAM(t)
	for name, test := range map[string]struct {
		sasl           SASLConfig
		sentence, hint string
	}{
		"right":           {sasl: SASLConfig{"SCRAM-SHA-512", k.User, NewSecret(k.Password)}},
		"wrong password":  {SASLConfig{"SCRAM-SHA-512", k.User, NewSecret("hunter2")}, "signing in to Kafka", "kafka.sasl.password"},
		"wrong user":      {SASLConfig{"SCRAM-SHA-512", "nobody", NewSecret("hunter2")}, "signing in to Kafka", "kafka.sasl.user"},
		"wrong mechanism": {SASLConfig{"SCRAM-SHA-256", k.User, NewSecret(k.Password)}, "signing in to Kafka", "kafka.sasl.mechanism"},
		"nobody":          {SASLConfig{}, "reaching Kafka at", "kafka.sasl"},
	} {
		t.Run(name, func(t *testing.T) {
			c := reachable(t)
			c.Kafka.TLS = KafkaTLSConfig{Enabled: true, CA: k.CA}
			c.Kafka.SASL = test.sasl
			err := c.reachTestKafka(t, k)
			if test.sentence == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSentence(t, err, test.sentence, test.hint)
		})
	}
}

func TestPEMFilesThatAreNone(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, config := range map[string]KafkaTLSConfig{
		"kafka.tls.ca \"/nowhere\": no such file":    {CA: "/nowhere"},
		"there is no certificate in PEM form":        {CA: empty},
		"loading kafka.tls.certificate \"/nowhere\"": {Certificate: "/nowhere", Key: empty},
	} {
		if _, err := config.load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// startRegistry is a registry with a user that answers the one call of the check.
func startRegistry(t *testing.T, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "somebody" || password != "hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error_code":401,"message":"Unauthorized"}`))
			return
		}
		_ = json.NewEncoder(w).Encode([]string{"webcheck.checks-value"})
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	start(server)
	t.Cleanup(server.Close)
	return server
}

func TestRegistryWithPasswordAndCA(t *testing.T) {
	plain := startRegistry(t, (*httptest.Server).Start)
	secure := startRegistry(t, (*httptest.Server).StartTLS)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	right := RegistryConfig{User: "somebody", Password: NewSecret("hunter2")}
	wrong := RegistryConfig{User: "somebody", Password: NewSecret("hunter2 no more")}
	for name, test := range map[string]struct {
		url            string
		registry       RegistryConfig
		ca             string
		sentence, hint string
	}{
		"right":          {url: plain.URL, registry: right},
		"right with TLS": {url: secure.URL, registry: right, ca: ca},
		"wrong password": {plain.URL, wrong, "", "user or password is wrong (HTTP 401)", "registry.password"},
		"nobody":         {plain.URL, RegistryConfig{}, "", "wants a user and a password", "registry.user"},
		"unknown CA":     {secure.URL, right, "", "authority that is not known", "registry.ca"},
		"TLS to plain":   {strings.Replace(plain.URL, "http:", "https:", 1), right, "", "does not speak TLS", "http://"},
		"plain to TLS":   {strings.Replace(secure.URL, "https:", "http:", 1), right, "", "it speaks TLS", "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			c := reachable(t)
			c.Registry = test.registry
			c.Registry.CA = test.ca
			client, err := c.registryClient(test.url)
			if err != nil {
				t.Fatal(err)
			}
			err = c.reachRegistry(t.Context(), test.url, client)
			if test.sentence == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSentence(t, err, test.sentence, test.hint)
		})
	}
}

func TestPostgresRefusals(t *testing.T) {
	config, err := pgx.ParseConfig(testservices.Postgres(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	at := func(user, password, database, query string) string {
		return "host=" + config.Host + " port=" + jsonNumber(config.Port) + " user=" + user + " password='" + password + "' dbname=" + database + " " + query
	}
	for name, test := range map[string]struct{ url, sentence, hint string }{
		"right":          {url: at(config.User, config.Password, config.Database, "sslmode=prefer")},
		"wrong password": {at(config.User, "hunter2", config.Database, "sslmode=prefer"), "user or password is wrong", "password of postgres.url"},
		"no database":    {at(config.User, config.Password, "webcheck_no_such", "sslmode=prefer"), `there is no database "webcheck_no_such"`, "create it"},
	} {
		t.Run(name, func(t *testing.T) {
			c := reachable(t)
			pool, err := c.openPostgres(t.Context(), NewSecret(test.url))
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			err = c.reachPostgres(t.Context(), pool)
			if test.sentence == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSentence(t, err, test.sentence, test.hint)
		})
	}
}

func jsonNumber(n uint16) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// TestPasswordFileReachesTheDatabase holds that the URL without password that up leaves behind works.
func TestPasswordFileReachesTheDatabase(t *testing.T) {
	dir := t.TempDir()
	url := testservices.Postgres(t).URL
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := hidePassword(dir, url)
	if err != nil {
		t.Fatal(err)
	}
	if config.Password == "" || strings.Contains(hidden, config.Password) {
		t.Fatalf("the password is in %q, or there was none", hidden)
	}
	if info, err := os.Stat(filepath.Join(dir, passwordsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, hidden)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestARefusedSchemaIsASentenceAndAHint lets a registry of its own hold a schema that this build's events do not follow.
func TestARefusedSchemaIsASentenceAndAHint(t *testing.T) {
	registry, err := embedded.StartRegistry(t.Context(), embedded.RegistryConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := registry.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := reachable(t)
	client, err := c.registryClient(registry.URL())
	if err != nil {
		t.Fatal(err)
	}
	other := sr.Schema{Schema: `{"type":"record","name":"SomethingElse","fields":[{"name":"needed","type":"string"}]}`}
	if _, err := client.RegisterSchema(t.Context(), schemas.Subject(schemas.TopicChecks), other, -1, -1); err != nil {
		t.Fatal(err)
	}
	p := &program{config: c}
	_, err = p.schemaID(t.Context(), &services{client: client, registry: schemas.NewRegistry(client)}, schemas.CheckCompleted(schemas.TopicChecks))
	wantSentence(t, err, "webcheck.checks-value", "use the build that wrote the newest schema")
	t.Log(err)

	c.Registry.AutoRegister = false
	_, err = p.schemaID(t.Context(), &services{client: client, registry: schemas.NewRegistry(client)}, schemas.CheckCompleted(schemas.TopicChecks))
	wantSentence(t, err, "webcheck.checks-value", `run "webcheck schema register"`)
	t.Log(err)
}
