package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

func (p *program) replayCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "replay",
		Usage: "process once more what Kafka still has, from an offset, a time or the start",
		Description: "Says first what it will read and what has expired, then writes it as the first time: a row that is there and right " +
			"stays as it is. Where processors have begun it reads no further than they have; they may run meanwhile, and where they go on is not " +
			"changed, unless with --reposition. A time is that of the record in Kafka.\n\n" +
			"With --rules it reads PostgreSQL's checks alone and writes nothing: it says what the rules of that file, which is one like " +
			"webcheck.yaml, would have made of incidents, pages and uptime. A time is then that of a check's slot.\n\n" +
			"With --rebuild it makes all tables anew in a schema beside them, from the log and from what only the tables have, compares both, and " +
			"swaps them in one transaction; processors and readers go on. Where they differ it lists the differences, ends with code 3, and swaps " +
			"with --accept only. The tables from before are kept for --rollback until --discard. It needs as much room again.\n\n" +
			"Examples:\n  webcheck replay --from start --dry-run\n  webcheck replay --from 2h --target login\n" +
			"  webcheck replay --from 2026-11-25T08:00:00Z --to 2026-11-25T09:30:00Z\n" +
			"  webcheck replay --from 1042 --to 2000 --partition 3\n  webcheck replay --resume\n  webcheck replay --from 1042 --partition 3 --reposition\n" +
			"  webcheck replay --rules new.yaml --from 30d\n  webcheck replay --rebuild\n  webcheck replay --rebuild --rollback",
		Flags: flags([]urfave.Flag{
			&urfave.StringFlag{Name: "from", Usage: "`WHERE` to begin: start, an offset of one partition, a time, a date (UTC), or how long ago (2h, 3d)"},
			&urfave.StringFlag{Name: "to", Usage: "`WHERE` to end, in the same forms; what is there is not read any more", DefaultText: "end"},
			&urfave.StringFlag{Name: "partition", Usage: "only these partitions: `N[,N…]`", DefaultText: "all"},
			&urfave.StringFlag{Name: "target", Usage: "only the events of the target `ID`", DefaultText: "all"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would be done", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "resume", Usage: "go on with the replay that was stopped before its end", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "abandon", Usage: "give that replay up; what it has written stays", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "reposition", Usage: "read nothing; make the processors go on at --from", DisableDefaultText: true},
			&urfave.StringFlag{Name: "rules", Usage: "write nothing; say what the rules of `FILE` would have made of its targets' checks"},
			&urfave.BoolFlag{Name: "rebuild", Usage: "make all tables anew beside those in use, compare, and swap them; an unfinished one goes on", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "accept", Usage: "with --rebuild: swap though they differ", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "rollback", Usage: "with --rebuild: bring the tables from before the last one up to date and back into use", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "discard", Usage: "with --rebuild: drop the unfinished tables, or those from before", DisableDefaultText: true},
			&urfave.BoolFlag{Name: "json", Usage: "print what --rules or --rebuild says as one line of JSON", DisableDefaultText: true},
		}, []string{"kafka", "registry", "postgres", "processor", "log", ""}),
		Before: noArguments,
		Action: p.replay,
	}
}

func (p *program) replay(c *urfave.Context) error {
	if c.IsSet("rules") {
		return p.replayRules(c)
	}
	if c.Bool("rebuild") {
		return p.rebuild(c)
	}
	if err := checkReplayFlags(c); err != nil {
		return err
	}
	var question processor.ReplayQuestion
	if c.IsSet("from") {
		var err error
		if question, err = replayQuestion(c, time.Now(), c.Bool("reposition")); err != nil {
			return err
		}
	}
	line := p.showProgress()
	defer line.clear()
	s, err := p.loadAndReach(c, need{kafka: !c.Bool("abandon"), registry: !c.Bool("abandon"), postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	if c.Bool("abandon") {
		return p.abandonReplay(c.Context, s)
	}
	if err := p.needTopics(c.Context, s, schemas.TopicChecks); err != nil {
		return err
	}
	run := &replayRun{p: p, out: newPrinter(p.Stdout, p.Env), line: line}
	if run.replayer, err = p.newReplayer(s, run.onProgress); err != nil {
		return err
	}
	switch {
	case c.Bool("resume"):
		return run.resume(c.Context, s)
	case c.Bool("reposition"):
		return run.reposition(c.Context, question, c.Bool("dry-run"))
	}
	return run.begin(c.Context, s, question, c.Bool("dry-run"))
}

func (p *program) newReplayer(s *services, onProgress func(processor.ReplayProgress)) (*processor.Replayer, error) {
	return processor.NewReplayer(processor.ReplayConfig{Config: p.readingConfig(s), OnProgress: onProgress})
}

// readingConfig is for what reads the log once more.
func (p *program) readingConfig(s *services) processor.Config {
	return processor.Config{
		Group:        p.config.Processor.Group,
		BatchRecords: p.config.Processor.BatchRecords,
		Retention:    p.config.Processor.Retention,
		StopTimeout:  p.config.Processor.StopTimeout,
		Kafka:        s.kafka,
		Registry:     s.registry,
		Pool:         s.pool,
		Logger:       p.logger,
	}
}

// unfinishedReplay gives the replay that can be gone on with; that there is none is an error.
func (p *program) unfinishedReplay(ctx context.Context, s *services) (processor.UnfinishedReplay, error) {
	unfinished, found, err := processor.FindUnfinishedReplay(ctx, s.pool, schemas.TopicChecks)
	if err == nil && !found {
		err = withHint(errors.New("no replay is unfinished"), "begin one with --from")
	}
	return unfinished, err
}

func (p *program) abandonReplay(ctx context.Context, s *services) error {
	unfinished, err := p.unfinishedReplay(ctx, s)
	if err != nil {
		return err
	}
	if err := processor.AbandonReplay(ctx, s.pool, unfinished); err != nil {
		return err
	}
	newPrinter(p.Stdout, p.Env).printf("abandoned replay %d, %s; what it has written stays", unfinished.ID, describeReplay(unfinished))
	return nil
}

// describeReplay says what was asked.
func describeReplay(u processor.UnfinishedReplay) string {
	text := fmt.Sprintf("from %s to %s", u.From, u.To)
	if u.Partitions != nil {
		text += " of partition " + strings.Trim(strings.ReplaceAll(fmt.Sprint(u.Partitions), " ", ","), "[]")
	}
	if u.Target != "" {
		text += " of target " + printable(u.Target)
	}
	return text + fmt.Sprintf(", with %d of %d records left", u.Left, u.Records)
}
