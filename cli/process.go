package cli

import (
	"runtime/debug"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

func (p *program) processCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "process",
		Usage: "run a processor: checks from Kafka into PostgreSQL",
		Description: "Any number of processors may run; they share the work. The tables and schemas must be there: see \"webcheck db migrate\" and \"webcheck schema register\".\n\n" +
			"Example:\n  webcheck process --kafka-brokers kafka:9092 --registry-url http://registry:8081 --postgres-url env:DATABASE_URL",
		Flags:  flags(nil, []string{"kafka", "registry", "postgres", "processor", "metrics", "log", ""}),
		Before: noArguments,
		Action: func(c *urfave.Context) error {
			if err := p.load(c); err != nil {
				return err
			}
			limitMemory(p.Env)
			metrics, err := p.serveMetrics()
			if err != nil {
				return err
			}
			defer metrics.close()
			s, err := p.reach(c.Context, need{kafka: true, registry: true, postgres: true})
			if err != nil {
				return err
			}
			defer s.close()
			if err := p.needTopics(c.Context, s, schemas.TopicTargets, schemas.TopicChecks, schemas.TopicTransitions, schemas.TopicDead); err != nil {
				return err
			}
			if _, err := p.schemaID(c.Context, s, schemas.TargetTransitioned(schemas.TopicTransitions)); err != nil {
				return err // better now than with the first transition
			}
			worker, err := p.newProcessor(s, metrics, nil)
			if err != nil {
				return err
			}
			metrics.working(p.secrets, worker.Ready)
			return worker.Run(c.Context)
		},
	}
}

const (
	// processMemory is what Go's heap and stacks grow to before garbage is collected more often, in bytes. The batches of two lanes,
	// those behind them and what is fetched meanwhile take some 50 MiB, and the program itself 25; together that stays below 150.
	processMemory = 100 << 20
	// processGarbage is how much garbage there may be below that limit, in percent of what is in use. With Go's 100 a tenth of the
	// processor's time goes into collecting it.
	processGarbage = 300
)

// limitMemory sets these limits, unless the environment has some. That of memory is a soft one: what must be held is held.
func limitMemory(env func(string) (string, bool)) {
	if _, given := env("GOMEMLIMIT"); !given {
		debug.SetMemoryLimit(processMemory)
	}
	if _, given := env("GOGC"); !given {
		debug.SetGCPercent(processGarbage)
	}
}

func (p *program) newProcessor(s *services, metrics *metricsServer, onBatch func(processor.Tally)) (*processor.Processor, error) {
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
		Metrics:         metrics.registerer(),
	})
}
