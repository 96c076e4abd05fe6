package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// defaultPostgresVersion is what is fetched from Maven Central; its major version is what a new cluster is made with.
	defaultPostgresVersion = "18.3.0"
	postgresUser           = "postgres"
	postgresDatabase       = "webcheck"
	postgresOwner          = "webcheck" // of the database; what is stored in a URL or a password file is this role's
	// freshClusterBytes is what unpacking PostgreSQL (about 60 MiB) and making a cluster with its first log files (about 60 MiB)
	// take.
	freshClusterBytes = 160 << 20
	// clusterBytes is what an existing cluster needs at least to recover and to switch to another log file.
	clusterBytes = 32 << 20
)

// PostgresConfig says which PostgreSQL runs and where.
type PostgresConfig struct {
	Dir           string       // data directory, held by this process; PostgreSQL's files are below postgres/
	CacheDir      string       // for the fetched binaries; zero: the user's cache directory, /var/cache/webcheck for root
	Version       string       // to fetch for a new cluster, as Maven Central names it; zero: 18.3.0
	BinariesPath  string       // the PostgreSQL to use, a directory with bin/initdb in it; zero: fetch one, else look for one
	RepositoryURL string       // Maven repository to fetch from; zero: Maven Central
	Progress      func(string) // called with a line for people at each step, and every second while fetching; nil: not told
	Logger        *slog.Logger // nil discards
}

// Postgres is a PostgreSQL server on the loopback interface, with durability settings as PostgreSQL ships them, in a database
// cluster of its own. It runs under a child process of this one, as an unprivileged user when this one is root, and stops in
// good order when this process goes, even by kill -9.
type Postgres struct {
	url          string
	superuserURL string
	child        *child
}

// StartPostgres starts the cluster in cfg.Dir, making it at the first start. Cancelling ctx while it starts stops the start.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	password, err := keptPassword(filepath.Join(dir, "postgres.password"))
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	ownerPassword, err := keptPassword(filepath.Join(dir, "webcheck.password"))
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	home := filepath.Join(dir, "postgres")
	user, err := serverUser(home)
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	order := order{
		Dir: home, Password: password, BinariesPath: cfg.BinariesPath, RepositoryURL: cfg.RepositoryURL,
		Version: orElse(cfg.Version, defaultPostgresVersion), Port: readPort(filepath.Join(dir, "postgres.port")),
	}
	if order.CacheDir, err = cacheDir(cfg.CacheDir, user); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	if err := user.prepare(home); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	need := int64(clusterBytes)
	if _, err := os.Stat(filepath.Join(home, "cluster", "PG_VERSION")); err != nil {
		need = freshClusterBytes
	}
	if err := needSpace(home, need, "PostgreSQL"); err != nil {
		return nil, err
	}
	c, err := startChild(ctx, order, user, cfg.Progress, orDiscard(cfg.Logger))
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, "postgres.port"), []byte(strconv.Itoa(c.port)+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, c.close())
	}
	p := &Postgres{
		child: c, url: databaseURL(postgresOwner, ownerPassword, c.port), superuserURL: databaseURL(postgresUser, password, c.port),
	}
	if err := ensureOwner(ctx, p.superuserURL, ownerPassword); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), c.close())
	}
	return p, nil
}

func databaseURL(user, password string, port int) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + postgresDatabase, RawQuery: "sslmode=disable",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
	}).String()
}

// ensureOwner makes the role that owns the database and can do nothing beyond it, and gives it its password.
func ensureOwner(ctx context.Context, superuserURL, password string) error {
	conn, err := pgx.Connect(ctx, superuserURL)
	if err != nil {
		return fmt.Errorf("connecting as its superuser: %w", err)
	}
	defer conn.Close(ctx)
	var known bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", postgresOwner).Scan(&known); err != nil {
		return fmt.Errorf("looking for the role %q: %w", postgresOwner, err)
	}
	verb := "CREATE"
	if known {
		verb = "ALTER"
	}
	// rand.Text has nothing in it that would need quoting.
	for _, statement := range []string{
		verb + " ROLE " + postgresOwner + " LOGIN PASSWORD '" + password + "'",
		"ALTER DATABASE " + postgresDatabase + " OWNER TO " + postgresOwner,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("preparing the role %q: %w", postgresOwner, err)
		}
	}
	return nil
}

// URL is the URL of the database webcheck for the role that owns it. It holds the password: it is not for logs.
func (p *Postgres) URL() string { return p.url }

// SuperuserURL is URL for the superuser of the whole cluster, for what the owner of a database may not do.
func (p *Postgres) SuperuserURL() string { return p.superuserURL }

// Version is the running server's, as in "18.3".
func (p *Postgres) Version() string { return p.child.version }

// Done is closed when the server has stopped, by Close or by itself; Close then says why.
func (p *Postgres) Done() <-chan struct{} { return p.child.done }

// Close stops the server in good order: it cuts connections, writes everything down and waits for it to be gone.
func (p *Postgres) Close() error {
	if err := p.child.close(); err != nil {
		return fmt.Errorf("closing PostgreSQL: %w", err)
	}
	return nil
}

// keptPassword is a role's password, made at the first start. It is this user's alone (mode 0600).
func keptPassword(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(data)) != "" {
		return strings.TrimSpace(string(data)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", explain(err)
	}
	password := rand.Text()
	return password, writeFile(path, []byte(password+"\n"), 0o600)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
