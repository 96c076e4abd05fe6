package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"

	"webcheck/gen/event"
	"webcheck/prober"
	"webcheck/schemas"
)

func (p *program) probeCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "probe",
		Usage: "run a prober: checks of the targets into Kafka",
		Description: "Publishes the definitions of the configuration file's targets, and checks them on their schedule. The topics must be there: see \"webcheck topics create\".\n\n" +
			"Example:\n  webcheck probe --config webcheck.yaml --prober-location eu-west --kafka-brokers kafka:9092 --registry-url http://registry:8081",
		Flags:  flags(nil, []string{"kafka", "registry", "prober", "metrics", "log", ""}),
		Before: noArguments,
		Action: func(c *urfave.Context) error {
			if err := p.load(c); err != nil {
				return err
			}
			if len(p.config.Targets) == 0 {
				return usageError{withHint(errors.New("there is no target to check"), `list targets in webcheck.yaml; "webcheck init" prints an example`)}
			}
			metrics, err := p.serveMetrics()
			if err != nil {
				return err
			}
			defer metrics.close()
			s, err := p.reach(c.Context, need{kafka: true, registry: true})
			if err != nil {
				return err
			}
			defer s.close()
			if err := p.needTopics(c.Context, s, schemas.TopicTargets, schemas.TopicChecks); err != nil {
				return err
			}
			metrics.working(p.secrets, func() error { return nil }) // while Kafka is away it checks on, and keeps the events
			return p.probe(c.Context, s, metrics, prober.Config{Targets: p.config.Targets})
		},
	}
}

// probe publishes the definitions of config's targets, and then runs a prober until ctx ends, and then until what it has in
// hand is written. What config does not have comes from the configuration.
func (p *program) probe(ctx context.Context, s *services, metrics *metricsServer, config prober.Config) error {
	schema := schemas.CheckCompleted(schemas.TopicChecks)
	id, err := p.schemaID(ctx, s, schema)
	if err != nil {
		return err
	}
	if err := p.publishDefinitions(ctx, s, config.Targets); err != nil {
		return err
	}
	client, err := kgo.NewClient(slices.Concat(s.kafka, prober.KafkaOpts(), []kgo.Opt{metrics.kafka("prober")})...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	config.Location, config.Name = p.config.Prober.Location, p.config.Prober.Name
	if config.Name == "" {
		if config.Name, err = os.Hostname(); err != nil {
			return withHint(fmt.Errorf("naming the prober: %w", err), "set prober.name")
		}
	}
	config.Emit = prober.NewKafkaEmitter(client, schemas.TopicChecks, schemas.NewEncoder(schema, id))
	config.Logger = p.logger
	config.MaxInFlight, config.ShutdownTimeout = p.config.Prober.MaxInFlight, p.config.Prober.ShutdownTimeout
	config.Addresses, config.Secrets = p.config.Prober.addresses(), references(p.config.Prober.Secrets, p.Env)
	worker, err := prober.New(config)
	if err != nil {
		return err
	}
	return worker.Run(ctx)
}

// publishDefinitions puts the definitions of targets into Kafka where it does not have them, within the time that a command
// has to find its services.
func (p *program) publishDefinitions(ctx context.Context, s *services, targets []prober.Target) error {
	schema := schemas.TargetDefined(schemas.TopicTargets)
	id, err := p.schemaID(ctx, s, schema)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.ConnectTimeout)
	defer cancel()
	definitions := prober.Definitions{
		Kafka: s.kafka, Topic: schemas.TopicTargets,
		Encoder: schemas.NewEncoderOf[event.TargetDefined](schema, id),
		Decoder: schemas.NewDecoderOf[event.TargetDefined](s.registry, schema),
	}
	published, err := definitions.Publish(ctx, targets)
	if err != nil {
		return fmt.Errorf("publishing the definitions of targets: %w", err)
	}
	p.logger.Info("definitions published", "targets", published)
	return nil
}
