package testservices

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestMain(m *testing.M) { Main(m) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	a, b := Postgres(t), Postgres(t)
	if a.URL == b.URL {
		t.Fatal("two tests share a database")
	}
	for _, db := range []*PostgresService{a, b} {
		conn, err := pgx.Connect(t.Context(), db.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE checks ()"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryKafkaTakesAndGivesARecord(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *KafkaService{"plain": Kafka, "mtls": KafkaMTLS, "scram": KafkaSCRAM} {
		t.Run(name, func(t *testing.T) {
			k := start(t)
			topic := k.Topic(t, "webcheck.test", 2)
			cl, err := kgo.NewClient(append(k.Opts(), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
			defer cancel()
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			fetches := cl.PollFetches(ctx)
			if err := fetches.Err(); err != nil || fetches.NumRecords() != 1 {
				t.Fatal(err, fetches.NumRecords())
			}
		})
	}
}

func TestSecuredKafkasRefuseTheUnknown(t *testing.T) {
	mtls, scram := KafkaMTLS(t), KafkaSCRAM(t)
	mtls.tls.Certificates = nil
	scram.Password += "x"
	for name, k := range map[string]*KafkaService{"no certificate": mtls, "wrong password": scram} {
		cl, err := kgo.NewClient(append(k.Opts(), kgo.RequestRetries(1))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.Ping(t.Context()); err == nil {
			t.Errorf("%s: let in", name)
		}
		cl.Close()
	}
}

func TestRegistryAnswers(t *testing.T) { Registry(t).answering(t) }

// A service that the environment promises and that does not answer fails the test that wants it: it neither skips nor falls
// back to an embedded one.
func TestPromisedServicesMustAnswer(t *testing.T) {
	const gone = "127.0.0.1:1"
	for variable, c := range map[string]struct{ value, test string }{
		"WEBCHECK_TEST_KAFKA":       {gone, "TestEveryKafkaTakesAndGivesARecord/plain"},
		"WEBCHECK_TEST_KAFKA_SCRAM": {gone, "TestEveryKafkaTakesAndGivesARecord/scram"},
		"WEBCHECK_TEST_REGISTRY":    {"http://" + gone, "TestRegistryAnswers"},
		"WEBCHECK_TEST_POSTGRES":    {"postgres://u:secret@" + gone + "/db", "TestEachTestHasADatabaseOfItsOwn"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+strings.ReplaceAll(c.test, "/", "$/^")+"$")
		cmd.Env = append(os.Environ(), variable+"="+c.value)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--- FAIL: "+c.test) || strings.Contains(string(out), "secret") {
			t.Errorf("%s=%s: %v\n%s", variable, c.value, err, out)
		}
	}
}

func TestDatabasesThatAreCopiedArePreparedOnceAndApart(t *testing.T) {
	prepared := 0
	prepare := func(url string) error {
		prepared++
		return execute(url, "CREATE TABLE prepared ()")
	}
	a, b := PostgresLike(t, "prepared", prepare), PostgresLike(t, "prepared", prepare)
	run(t, a.URL, "DROP TABLE prepared")
	run(t, b.URL, "DROP TABLE prepared")
	if prepared != 1 {
		t.Errorf("prepared %d times, want once", prepared)
	}
}
