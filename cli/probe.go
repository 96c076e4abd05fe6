package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		Description: "Checks the targets that " + schemas.TopicTargets + " defines, on their schedule, and follows what \"webcheck targets\" changes. The probers of " +
			"a location share the work. The topics and schemas must be there: see \"webcheck topics create\" and \"webcheck schema register\".\n\n" +
			"Example:\n  webcheck targets apply -f webcheck.yaml\n  webcheck probe --prober-location eu-west --kafka-brokers kafka:9092 --registry-url http://registry:8081",
		Flags:  flags(nil, []string{"kafka", "registry", "prober", "metrics", "log", ""}),
		Before: noArguments,
		Action: func(c *urfave.Context) error {
			if err := p.load(c); err != nil {
				return err
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
			defer saveCores(p.Env)()
			return p.probe(c.Context, s, metrics, prober.Config{}, func() error { return nil })
		},
	}
}

// probe runs a prober that follows the definitions in Kafka until ctx ends, and then until what it has in hand is written. What
// config does not have comes from the configuration. The process is ready when the prober is and others say nothing.
func (p *program) probe(ctx context.Context, s *services, metrics *metricsServer, config prober.Config, others func() error) (err error) {
	schema := schemas.CheckCompleted(schemas.TopicChecks)
	id, err := p.schemaID(ctx, s, schema)
	if err != nil {
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
	emitter, err := prober.NewSpoolEmitter(prober.SpoolConfig{
		Client: client, Topic: schemas.TopicChecks, Encoder: schemas.NewEncoder(schema, id), Logger: p.logger,
		Dir: cmp.Or(p.config.Prober.Spool.Dir, filepath.Join(p.config.DataDir, "spool", config.Location)), MaxBytes: int64(p.config.Prober.Spool.MaxBytes),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, emitter.Close()) }()
	if err := emitter.Show(metrics.registerer()); err != nil {
		return err
	}
	config.Emit = emitter
	config.Logger, config.Metrics = p.logger, metrics.registerer()
	settings := p.config.Prober
	config.MaxInFlight, config.MaxPerHost, config.CatchUp, config.ShutdownTimeout = settings.MaxInFlight, settings.MaxPerHost, settings.CatchUp, settings.ShutdownTimeout
	config.Follow = &prober.Follow{
		Kafka: slices.Concat(s.kafka, []kgo.Opt{metrics.kafka("targets")}), Topic: schemas.TopicTargets,
		Decoder:        schemas.NewDecoderOf[event.TargetDefined](s.registry, schemas.TargetDefined(schemas.TopicTargets)),
		SessionTimeout: settings.SessionTimeout,
	}
	config.Addresses, config.Secrets = settings.addresses(), references(settings.Secrets, p.Env)
	if config.Canaries, err = prober.NewCanaries(settings.Canaries); err != nil {
		return err
	}
	worker, err := prober.New(config)
	if err != nil {
		return err
	}
	metrics.working(p.secrets, func() error { return cmp.Or(others(), worker.Ready()) }) // while Kafka is away it checks on, and keeps the events
	return worker.Run(ctx)
}
