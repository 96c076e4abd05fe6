package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"

	"webcheck/gen/event"
	"webcheck/schemas"
)

func (p *program) tailCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "tail",
		Usage: "follow the checks in Kafka, decoded",
		Description: "Prints each event of " + schemas.TopicChecks + " with its position, in the order Kafka gives it. " +
			"Without brokers it follows the \"webcheck up\" that runs on the data directory.\n\n" +
			"Examples:\n  webcheck tail\n  webcheck tail --from-start --count 100 --json",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "from-start", Usage: "begin with the oldest event that Kafka has, not with the next one", DisableDefaultText: true},
			&urfave.IntFlag{Name: "count", Usage: "end after `N` events", DefaultText: "go on"},
			&urfave.BoolFlag{Name: "json", Usage: "print each event as one line of JSON", DisableDefaultText: true},
		}, logSections),
		Before: noArguments,
		Action: p.tail,
	}
}

func (p *program) tail(c *urfave.Context) error {
	if c.IsSet("count") && c.Int("count") < 1 {
		return usageError{fmt.Errorf("--count %d: it must be 1 or more", c.Int("count"))}
	}
	s, err := p.loadAndReach(c, need{kafka: true, registry: true})
	if err != nil {
		return err
	}
	if err := p.needTopics(c.Context, s, schemas.TopicChecks); err != nil {
		return err
	}
	start := kgo.NewOffset().AtEnd()
	if c.Bool("from-start") {
		start = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(append(slices.Clone(s.kafka), kgo.ConsumeTopics(schemas.TopicChecks), kgo.ConsumeResetOffset(start))...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	t := &follower{
		out:     newPrinter(p.Stdout, p.Env),
		decoder: schemas.NewDecoder(s.registry, schemas.CheckCompleted(schemas.TopicChecks)),
		json:    c.Bool("json"), left: c.Int("count"), endless: c.Int("count") == 0,
	}
	return t.run(c.Context, client)
}

// follower prints records as they come.
type follower struct {
	out     *printer
	decoder *schemas.Decoder
	json    bool
	left    int
	endless bool
}

// run follows until ctx ends or as many events as wanted are printed.
func (t *follower) run(ctx context.Context, client *kgo.Client) error {
	for t.endless || t.left > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("reading %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
		}
		for records := fetches.RecordIter(); !records.Done() && (t.endless || t.left > 0); t.left-- {
			if err := t.print(ctx, records.Next()); err != nil {
				return err
			}
		}
	}
	return nil
}

// tailedEvent is an event with its position, as JSON.
type tailedEvent struct {
	Position string     `json:"position"`
	Event    *jsonEvent `json:"event,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// print writes one record. One that cannot be decoded is a line like any other: it is what there is at that position.
func (t *follower) print(ctx context.Context, r *kgo.Record) error {
	position := fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
	var e event.CheckCompleted
	err := t.decoder.Decode(ctx, r.Value, &e)
	if err != nil && !errors.Is(err, schemas.ErrUndecodable) {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("decoding %s: %w", position, err)
	}
	switch {
	case t.json && err != nil:
		return t.out.json(tailedEvent{Position: position, Error: err.Error()})
	case t.json:
		return t.out.json(tailedEvent{Position: position, Event: &jsonEvent{&e}})
	case err != nil:
		t.out.printf("%s  %s  undecodable: %s", r.Timestamp.Local().Format(time.TimeOnly), position, printable(err.Error()))
	default:
		t.out.checkAt(position, e.Slot.Local(), e.TargetID, &e)
	}
	return nil
}
