package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"webcheck/embedded"
)

// embeddedServices are the services that run in or under this process, because no others were configured.
type embeddedServices struct {
	endpoints endpoints
	closers   []func() error // in the order of starting
	dir       string         // where they keep everything; empty when there are none
	// postgresDone is closed when the embedded database stops, by itself or not; nil when a real one is used.
	postgresDone <-chan struct{}
}

// startEmbedded starts each service that is not configured, in the data directory, and leaves there where they are.
func (p *program) startEmbedded(ctx context.Context) (*embeddedServices, error) {
	e := new(embeddedServices)
	if len(p.config.Kafka.Brokers) > 0 && p.config.Registry.URL != "" && !p.config.Postgres.URL.IsZero() {
		return e, nil
	}
	lock, err := embedded.Lock(p.config.DataDir)
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, lock.Unlock)
	for _, start := range []func(context.Context, string) error{
		func(ctx context.Context, dir string) error { return p.startBroker(ctx, e, dir) },
		func(ctx context.Context, dir string) error { return p.startRegistry(ctx, e, dir) },
		func(ctx context.Context, dir string) error { return p.startPostgres(ctx, e, dir) },
		func(_ context.Context, dir string) error {
			e.closers = append(e.closers, func() error { return removeEndpoints(dir) })
			return writeEndpoints(dir, e.endpoints)
		},
	} {
		if err := start(ctx, lock.Dir()); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	e.dir = lock.Dir()
	return e, nil
}

// close stops the services, the last one started first.
func (e *embeddedServices) close() error {
	var errs []error
	for _, closer := range slices.Backward(e.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// psql is the end of a sentence that says how to look into the embedded database; empty when a real one is used.
func (e *embeddedServices) psql() string {
	if e.endpoints.Postgres == "" {
		return ""
	}
	return fmt.Sprintf("; look at it with\n  psql '%s' -c 'TABLE checks'", e.endpoints.Postgres)
}

func (p *program) startBroker(ctx context.Context, e *embeddedServices, dir string) error {
	if len(p.config.Kafka.Brokers) > 0 {
		return nil
	}
	broker, err := embedded.StartBroker(ctx, embedded.BrokerConfig{Dir: dir, Logger: p.logger})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, broker.Close)
	e.endpoints.Kafka = []string{broker.Addr()}
	return nil
}

func (p *program) startRegistry(ctx context.Context, e *embeddedServices, dir string) error {
	if p.config.Registry.URL != "" {
		return nil
	}
	registry, err := embedded.StartRegistry(ctx, embedded.RegistryConfig{Dir: dir, Logger: p.logger})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, registry.Close)
	e.endpoints.Registry = registry.URL()
	return nil
}

func (p *program) startPostgres(ctx context.Context, e *embeddedServices, dir string) error {
	if !p.config.Postgres.URL.IsZero() {
		return nil
	}
	database, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{
		Dir:           dir,
		BinariesPath:  p.config.Embedded.PostgresBinaries,
		RepositoryURL: p.config.Embedded.PostgresRepository,
		Progress:      func(step string) { p.notice("%s", printable(step)) },
		Logger:        p.logger,
	})
	if err != nil {
		return err
	}
	e.closers, e.postgresDone = append(e.closers, database.Close), database.Done()
	e.endpoints.Postgres, err = hidePassword(dir, database.URL())
	return err
}
