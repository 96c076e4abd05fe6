package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// services are the three that a command may need, each reached once and ready for use. Those not asked for are nil.
type services struct {
	kafka    []kgo.Opt
	client   *sr.Client
	registry *schemas.Registry
	pool     *pgxpool.Pool
}

// need says which services a command wants.
type need struct{ kafka, registry, postgres bool }

// reach finds the services that the configuration names, or else those of a running "webcheck up", and looks whether
// each one answers. The caller closes what comes back.
func (p *program) reach(ctx context.Context, need need) (*services, error) {
	found, err := readEndpoints(p.config.DataDir)
	if err != nil {
		return nil, err
	}
	return p.reachAt(ctx, need, found)
}

// loadAndReach reads the configuration for the command of c and finds its services; see load and reach.
func (p *program) loadAndReach(c *urfave.Context, need need) (*services, error) {
	if err := p.load(c); err != nil {
		return nil, err
	}
	return p.reach(c.Context, need)
}

// reachAt is reach with the places of the services that are not configured.
func (p *program) reachAt(ctx context.Context, need need, found endpoints) (*services, error) {
	s := new(services)
	steps := []struct {
		wanted, configured, found bool
		name, setting             string
		reach                     func() error
	}{
		{need.kafka, len(p.config.Kafka.Brokers) > 0, len(found.Kafka) > 0, "Kafka", "kafka.brokers",
			func() error { return p.reachBrokers(ctx, s, found.Kafka) }},
		{need.registry, p.config.Registry.URL != "", found.Registry != "", "schema registry", "registry.url",
			func() error { return p.reachSchemas(ctx, s, found.Registry) }},
		{need.postgres, !p.config.Postgres.URL.IsZero(), found.Postgres != "", "PostgreSQL", "postgres.url",
			func() error { return p.reachDatabase(ctx, s, found.Postgres) }},
	}
	for _, step := range steps {
		if !step.wanted {
			continue
		}
		var err error
		if !step.configured && !step.found {
			err = withHint(fmt.Errorf("no %s is configured, and no \"webcheck up\" runs on %q", step.name, p.config.DataDir),
				fmt.Sprintf("set %s, or start \"webcheck up\"", step.setting))
		} else if err = step.reach(); err != nil && !step.configured && errors.Is(err, syscall.ECONNREFUSED) {
			err = withHint(err, fmt.Sprintf("the \"webcheck up\" that ran on %q is gone: start it again, or set %s", p.config.DataDir, step.setting))
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// close gives back what the services hold.
func (s *services) close() {
	if s.pool != nil {
		s.pool.Close()
	}
}

func (p *program) reachBrokers(ctx context.Context, s *services, found []string) (err error) {
	brokers := p.config.Kafka.Brokers
	if len(brokers) == 0 {
		brokers = found
	}
	if s.kafka, err = p.config.kafkaOptions(brokers, p.logger); err != nil {
		return err
	}
	return p.config.reachKafka(ctx, brokers, s.kafka)
}

func (p *program) reachSchemas(ctx context.Context, s *services, found string) (err error) {
	url := p.config.Registry.URL
	if url == "" {
		url = found
	}
	if s.client, err = p.config.registryClient(url); err != nil {
		return err
	}
	s.registry = schemas.NewRegistry(s.client)
	return p.config.reachRegistry(ctx, url, s.client)
}

func (p *program) reachDatabase(ctx context.Context, s *services, found string) (err error) {
	url := p.config.Postgres.URL
	if url.IsZero() {
		url = NewSecret(found)
	}
	if s.pool, err = p.config.openPostgres(ctx, url); err != nil {
		return err
	}
	p.keepSecret(NewSecret(s.pool.Config().ConnConfig.Password))
	return p.config.reachPostgres(ctx, s.pool)
}

// schemaID returns the id of schema, one of this build's, registering it where the configuration allows.
func (p *program) schemaID(ctx context.Context, s *services, schema *schemas.Schema) (int, error) {
	if p.config.Registry.AutoRegister {
		id, err := s.registry.Register(ctx, schema)
		if errors.Is(err, schemas.ErrIncompatible) {
			err = withHint(err, "this build's events would break what is written already, or a reader that still runs; use the build that wrote the newest schema")
		}
		return id, err
	}
	return s.registry.LookUp(ctx, schema)
}
