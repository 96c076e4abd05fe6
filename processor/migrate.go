package processor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"webcheck/queries"
)

// migrationsTable is where goose keeps what it has applied, beside webcheck's tables.
const migrationsTable = "webcheck_migrations"

// Migration is one step of the schema at rest.
type Migration struct {
	Version int64  // its number, from 1
	File    string // its file's name
	Applied bool
}

// Migrate applies what is missing, under an advisory lock, so that two may call it at once. It returns what it applied.
func Migrate(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	provider, done, err := newProvider(pool)
	if err != nil {
		return nil, err
	}
	defer done()
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrating the database: %w", err)
	}
	var applied []Migration
	for _, r := range results {
		applied = append(applied, Migration{Version: r.Source.Version, File: r.Source.Path, Applied: true})
	}
	return applied, nil
}

// Migrations lists every migration of this build in order, and whether the database has it.
func Migrations(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	provider, done, err := newProvider(pool)
	if err != nil {
		return nil, err
	}
	defer done()
	version, err := databaseVersion(ctx, pool)
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, s := range provider.ListSources() {
		all = append(all, Migration{Version: s.Version, File: s.Path, Applied: s.Version <= version})
	}
	return all, nil
}

// Drop removes every table of webcheck, with all that is in them. The log in Kafka stays: a new Migrate and a run of the
// processor make the tables again from what it still has.
func Drop(ctx context.Context, pool *pgxpool.Pool) error {
	provider, done, err := newProvider(pool)
	if err != nil {
		return err
	}
	defer done()
	if _, err := provider.DownTo(ctx, 0); err != nil {
		return fmt.Errorf("dropping the tables: %w", err)
	}
	if _, err := pool.Exec(ctx, "DROP TABLE "+migrationsTable); err != nil {
		return fmt.Errorf("dropping the tables: %w", err)
	}
	return nil
}

// checkMigrated says whether the database has every migration of this build. It may have newer ones: migrations first add
// and only a release later take away, so that processors of two releases run side by side.
func checkMigrated(ctx context.Context, pool *pgxpool.Pool) error {
	version, newest, err := compareMigrations(ctx, pool)
	if err == nil && version < newest {
		err = &PermanentError{
			Err:  fmt.Errorf("the database is at migration %d, this build needs %d", version, newest),
			Next: `run "webcheck db migrate"`,
		}
	}
	return err
}

// compareMigrations gives the newest migration that the database has, and this build's.
func compareMigrations(ctx context.Context, pool *pgxpool.Pool) (version, newest int64, err error) {
	if newest, err = newestMigration(); err != nil {
		return 0, 0, err
	}
	version, err = databaseVersion(ctx, pool)
	return version, newest, err
}

// newestMigration is the number of this build's last one. It does without goose's provider, which takes a pool of its own: every batch
// of definitions asks.
var newestMigration = sync.OnceValues(func() (newest int64, err error) {
	files, err := fs.Glob(queries.Migrations, "migrations/*.sql")
	for _, file := range files {
		var number int64
		if number, err = goose.NumericComponent(file); err != nil {
			break
		}
		newest = max(newest, number)
	}
	if err != nil {
		err = fmt.Errorf("reading the migrations: %w", err)
	}
	return newest, err
})

// databaseVersion is the newest migration that the database has, 0 for none. It asks first whether the table is there,
// because goose would make it.
func databaseVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var migrated bool
	err := pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", migrationsTable).Scan(&migrated)
	if err != nil {
		return 0, fmt.Errorf("reading the database's migrations: %w", err)
	}
	if !migrated {
		return 0, nil
	}
	// Not through goose, which takes the migrations' lock and makes its table in the first schema of the search path.
	var version int64
	err = pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+migrationsTable).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("reading the database's migrations: %w", err)
	}
	return version, nil
}

func newProvider(pool *pgxpool.Pool) (*goose.Provider, func(), error) {
	migrations, err := fs.Sub(queries.Migrations, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("opening the migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, nil, fmt.Errorf("making the migrations' lock: %w", err)
	}
	sqlDB := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, migrations,
		goose.WithSessionLocker(locker), goose.WithTableName(migrationsTable))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reading the migrations: %w", err), sqlDB.Close())
	}
	return provider, func() { _ = sqlDB.Close() }, nil
}
