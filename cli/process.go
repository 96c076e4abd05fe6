package cli

import (
	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

func (p *program) processCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "process",
		Usage: "run a processor: checks from Kafka into PostgreSQL",
		Description: "Any number of processors may run; they share the work. The tables must be there: see \"webcheck db migrate\".\n\n" +
			"Example:\n  webcheck process --kafka-brokers kafka:9092 --registry-url http://registry:8081 --postgres-url env:DATABASE_URL",
		Flags:  flags(nil, []string{"kafka", "registry", "postgres", "processor", "log", ""}),
		Before: noArguments,
		Action: func(c *urfave.Context) error {
			if err := p.load(c); err != nil {
				return err
			}
			s, err := p.reach(c.Context, need{kafka: true, registry: true, postgres: true})
			if err != nil {
				return err
			}
			defer s.close()
			if err := p.needTopics(c.Context, s, schemas.TopicTargets, schemas.TopicChecks, schemas.TopicTransitions, schemas.TopicDead); err != nil {
				return err
			}
			worker, err := p.newProcessor(s, nil)
			if err != nil {
				return err
			}
			return worker.Run(c.Context)
		},
	}
}

func (p *program) newProcessor(s *services, onBatch func(processor.Tally)) (*processor.Processor, error) {
	return processor.New(processor.Config{
		Group:           p.config.Processor.Group,
		Name:            p.config.Processor.Name,
		BatchRecords:    p.config.Processor.BatchRecords,
		Retention:       p.config.Processor.Retention,
		RollupRetention: p.config.Processor.RollupRetention,
		StopTimeout:     p.config.Processor.StopTimeout,
		Kafka:           s.kafka,
		Registry:        s.registry,
		AutoRegister:    p.config.Registry.AutoRegister,
		Pool:            s.pool,
		Logger:          p.logger,
		OnBatch:         onBatch,
	})
}
