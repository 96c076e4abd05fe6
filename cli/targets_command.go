package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"

	"webcheck/gen/event"
	"webcheck/prober"
	"webcheck/schemas"
)

func (p *program) targetsCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "targets",
		Usage: "say what is watched, while probers run",
		Description: "The topic " + schemas.TopicTargets + " has the definition of each target. Probers follow it without a restart. Without brokers " +
			"these commands use the \"webcheck up\" that runs on the data directory.\n\n" +
			"Examples:\n  webcheck targets apply -f webcheck.yaml --dry-run\n  webcheck targets list --label team=web\n  webcheck targets pause login",
		Subcommands: []*urfave.Command{
			p.targetsApplyCommand(), p.targetsDiffCommand(), p.targetsListCommand(), p.targetsShowCommand(), p.targetsExportCommand(),
			p.targetsPauseCommand(), p.targetsResumeCommand(), p.targetsRemoveCommand(), p.targetsImportCommand(),
		},
	}
}

// The flags that several of these commands have.
func fileFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` with the targets, one like webcheck.yaml; - is standard input (default: the configuration file)"}
}

func labelFlag(verb string) urfave.Flag {
	return &urfave.StringSliceFlag{Name: "label", Usage: verb + " those with the label `KEY=VALUE`; more than once: with all of them"}
}

func yesFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "yes", Usage: "do not ask", DisableDefaultText: true}
}

func jsonFlag(what string) urfave.Flag {
	return &urfave.BoolFlag{Name: "json", Usage: "print " + what + " as one line of JSON", DisableDefaultText: true}
}

// definitions reaches the topic of definitions. Only what is to be written needs this build's schema in the registry.
func (p *program) definitions(ctx context.Context, write bool) (prober.Definitions, error) {
	s, err := p.reach(ctx, need{kafka: true, registry: true})
	if err != nil {
		return prober.Definitions{}, err
	}
	if err := p.needTopics(ctx, s, schemas.TopicTargets); err != nil {
		return prober.Definitions{}, err
	}
	d, err := p.definitionsIn(ctx, s, schemas.TopicTargets, write)
	d.Kafka = append(slices.Clone(d.Kafka), kgo.RecordDeliveryTimeout(max(p.config.ConnectTimeout, time.Second))) // the client's least
	return d, err
}

// definitionsIn are the definitions in a topic of services that are reached.
func (p *program) definitionsIn(ctx context.Context, s *services, topic string, write bool) (prober.Definitions, error) {
	schema := schemas.TargetDefined(topic)
	d := prober.Definitions{Kafka: s.kafka, Topic: topic, Decoder: schemas.NewDecoderOf[event.TargetDefined](s.registry, schema)}
	if write {
		id, err := p.schemaID(ctx, s, schema)
		if err != nil {
			return d, err
		}
		d.Encoder = schemas.NewEncoderOf[event.TargetDefined](schema, id)
	}
	return d, nil
}

// known reads the configuration and what the topic has.
func (p *program) known(c *urfave.Context, write bool) (prober.Definitions, *prober.Known, error) {
	if err := p.load(c); err != nil {
		return prober.Definitions{}, nil, err
	}
	d, err := p.definitions(c.Context, write)
	if err != nil {
		return d, nil, err
	}
	known, err := d.Read(c.Context)
	return d, known, err
}

// positionOf is where the newest record of a target is.
func positionOf(d prober.Defined) string {
	return fmt.Sprintf("%s/%d@%d", schemas.TopicTargets, d.Partition, d.Offset)
}

// definedTargets are those that are not removed, by id.
func definedTargets(known *prober.Known) []prober.Defined {
	all := make([]prober.Defined, 0, len(known.Targets))
	for _, d := range known.Targets {
		if !d.Removed {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b prober.Defined) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// labelFilter is which labels a target must have.
type labelFilter map[string]string

func readLabelFilter(c *urfave.Context) (labelFilter, error) {
	filter := make(labelFilter)
	for _, text := range c.StringSlice("label") {
		key, value, found := strings.Cut(text, "=")
		if !found || key == "" {
			return nil, usageError{fmt.Errorf("--label: %q is not a label (example: team=web)", text)}
		}
		filter[key] = value
	}
	return filter, nil
}

// fits reports whether a target with this definition has all of the labels. One that cannot be read has none.
func (f labelFilter) fits(fields map[string]any) bool {
	labels, _ := fields["labels"].(map[string]any)
	for key, value := range f {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// readChoice reads by which labels targets are chosen; none where ids are given. It must be one of both.
func readChoice(c *urfave.Context) (labelFilter, error) {
	filter, err := readLabelFilter(c)
	if err == nil && c.Args().Present() == (len(filter) > 0) {
		err = usageError{withHint(errors.New("it is not clear which targets are meant"), "give their ids, or what they have in common with --label")}
	}
	return filter, err
}

// chosenTargets are those with the ids, each once, or those with the labels. An id that nobody has is an error; so is one that was
// removed, unless the command removes.
func chosenTargets(ids []string, filter labelFilter, known *prober.Known, removes bool) ([]prober.Defined, error) {
	var chosen []prober.Defined
	if len(filter) > 0 {
		for _, d := range definedTargets(known) {
			if fields, err := readFields(d.Definition); err == nil && filter.fits(fields) {
				chosen = append(chosen, d)
			}
		}
		return chosen, nil
	}
	for _, id := range ids {
		d, err := findTarget(known, id)
		if err != nil && !(removes && d.Removed) {
			return nil, err
		}
		if !slices.ContainsFunc(chosen, func(other prober.Defined) bool { return other.ID == id }) {
			chosen = append(chosen, d)
		}
	}
	return chosen, nil
}

// findTarget returns what the topic has about id, and an error when that is nothing, or that it was removed.
func findTarget(known *prober.Known, id string) (prober.Defined, error) {
	d, is := known.Targets[id]
	switch {
	case is && d.Removed:
		return d, fmt.Errorf("target %q was removed at %s", id, timestampText(d.At.UnixMilli()))
	case !is:
		var ids []string
		for _, other := range definedTargets(known) {
			ids = append(ids, other.ID)
		}
		return d, withHint(fmt.Errorf("there is no target %q%s", id, didYouMean(id, ids)), `"webcheck targets list" lists them`)
	}
	return d, nil
}
