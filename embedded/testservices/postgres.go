package testservices

import (
	"context"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PostgresService is a database for one test.
type PostgresService struct {
	URL string // of the empty database, as a superuser
}

// Postgres gives an empty database, dropped at the test's end, on WEBCHECK_TEST_POSTGRES, else on the package's embedded
// server.
func Postgres(t testing.TB) *PostgresService {
	t.Helper()
	server := os.Getenv("WEBCHECK_TEST_POSTGRES")
	if server == "" {
		p, err := shared.postgres()
		if err != nil {
			t.Fatal(err)
		}
		server = p.SuperuserURL()
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("WEBCHECK_TEST_POSTGRES is no URL") // it holds a password: the error would show it
	}
	name := pgx.Identifier{unique("webcheck_test")}
	run(t, server, "CREATE DATABASE "+name.Sanitize())
	t.Cleanup(func() { run(t, server, "DROP DATABASE "+name.Sanitize()+" WITH (FORCE)") })
	u.Path = "/" + name[0]
	return &PostgresService{URL: u.String()}
}

func run(t testing.TB, server, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}
