package testservices

import (
	"context"
	"errors"
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
func Postgres(t testing.TB) *PostgresService { return database(t, "") }

// PostgresLike gives, like [Postgres], a database of this test, with what prepare has made in the one database, reached by url,
// that all tests of the package with the same prepare name copy.
func PostgresLike(t testing.TB, name string, prepare func(url string) error) *PostgresService {
	t.Helper()
	shared.mu.Lock()
	template := shared.templates[name]
	shared.mu.Unlock()
	if template == "" {
		server := postgresServer(t)
		template = unique("webcheck_test_" + name)
		identifier := pgx.Identifier{template}.Sanitize()
		run(t, server, "CREATE DATABASE "+identifier)
		shared.onStop(func() error { return execute(server, "DROP DATABASE "+identifier+" WITH (FORCE)") })
		if err := prepare(databaseURL(t, server, template)); err != nil {
			t.Fatal(err)
		}
		shared.mu.Lock()
		shared.templates[name] = template
		shared.mu.Unlock()
	}
	return database(t, " TEMPLATE "+pgx.Identifier{template}.Sanitize())
}

// database makes a database with options of CREATE DATABASE.
func database(t testing.TB, options string) *PostgresService {
	t.Helper()
	server := postgresServer(t)
	name := unique("webcheck_test")
	identifier := pgx.Identifier{name}.Sanitize()
	run(t, server, "CREATE DATABASE "+identifier+options)
	t.Cleanup(func() { run(t, server, "DROP DATABASE "+identifier+" WITH (FORCE)") })
	return &PostgresService{URL: databaseURL(t, server, name)}
}

func postgresServer(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("WEBCHECK_TEST_POSTGRES"); server != "" {
		return server
	}
	p, err := shared.postgres()
	if err != nil {
		t.Fatal(err)
	}
	return p.SuperuserURL()
}

func databaseURL(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("WEBCHECK_TEST_POSTGRES is no URL") // it holds a password: the error would show it
	}
	u.Path = "/" + name
	return u.String()
}

func run(t testing.TB, server, sql string) {
	t.Helper()
	if err := execute(server, sql); err != nil {
		t.Fatal(err)
	}
}

func execute(server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
