package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) topicsCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "topics",
		Usage:       "create the topics, or show how they are",
		Description: "Example:\n  webcheck topics create --kafka-brokers kafka:9092",
		Subcommands: []*urfave.Command{
			{
				Name:  "create",
				Usage: "create the topics that are not there",
				Description: "A topic that exists is left as it is; where it differs from the configuration, the difference is printed.\n\n" +
					"Example:\n  webcheck topics create --kafka-brokers kafka:9092 --kafka-topics-partitions 24",
				Flags: flags(nil, kafkaSections), Before: noArguments,
				Action: p.withTopics(func(ctx context.Context, client *kgo.Client) error {
					return p.createTopics(ctx, client, newPrinter(p.Stdout, p.Env).printf)
				}),
			},
			{
				Name:        "status",
				Usage:       "show each topic's partitions, copies, retention and number of events",
				Description: "Example:\n  webcheck topics status --kafka-brokers kafka:9092",
				Flags:       flags(nil, kafkaSections), Before: noArguments,
				Action: p.withTopics(p.showTopics),
			},
		},
	}
}

// withTopics gives an action a client of Kafka.
func (p *program) withTopics(do func(context.Context, *kgo.Client) error) urfave.ActionFunc {
	return func(c *urfave.Context) error {
		s, err := p.loadAndReach(c, need{kafka: true})
		if err != nil {
			return err
		}
		client, err := kgo.NewClient(s.kafka...)
		if err != nil {
			return fmt.Errorf("preparing a Kafka client: %w", err)
		}
		defer client.Close()
		return do(c.Context, client)
	}
}

// createTopics creates each topic that is not there. It tells what it did and what it found different, and returns when all of
// them can be used.
func (p *program) createTopics(ctx context.Context, client *kgo.Client, tell func(string, ...any)) error {
	want, admin := p.config.Kafka.Topics, kadm.NewClient(client)
	for _, topic := range schemas.Topics() {
		_, err := admin.CreateTopic(ctx, int32(want.Partitions), int16(want.Replication), topicConfig(topic, want), topic.Name)
		exists := errors.Is(err, kerr.TopicAlreadyExists)
		switch {
		case err == nil, exists:
			err = p.awaitTopic(ctx, client, topic.Name)
		case errors.Is(err, kerr.InvalidReplicationFactor):
			return withHint(fmt.Errorf("creating topic %q: %w", topic.Name, err), "kafka.topics.replication cannot be more than there are brokers")
		}
		if err != nil {
			return fmt.Errorf("creating topic %q: %w", topic.Name, err)
		}
		if !exists {
			tell("created %s: %d partitions, %s", topic.Name, want.Partitions, describeRetention(topic, want))
			continue
		}
		if err := p.compareTopic(ctx, admin, topic, tell); err != nil {
			return err
		}
	}
	return nil
}

// compareTopic tells in what a topic that was there is not as it would have been created.
func (p *program) compareTopic(ctx context.Context, admin *kadm.Client, topic schemas.Topic, tell func(string, ...any)) error {
	seen, err := lookAtTopic(ctx, admin, topic.Name)
	if err != nil {
		return err
	}
	differences := seen.differences(topic, p.config.Kafka.Topics)
	if len(differences) == 0 {
		tell("%s is there already", topic.Name)
	}
	for _, difference := range differences {
		tell("%s is left as it is: %s", topic.Name, difference)
	}
	return nil
}

// awaitTopic waits until the brokers show a topic that their controller has: they learn of it, and of its leaders, a moment
// later. It asks past the client's cache.
func (p *program) awaitTopic(ctx context.Context, client *kgo.Client, name string) error {
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = &name
	request.Topics = append(request.Topics, wanted)
	look := func() (struct{}, error) {
		response, err := request.RequestWith(ctx, client)
		if err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		for _, topic := range response.Topics {
			err = errors.Join(err, kerr.ErrorForCode(topic.ErrorCode))
			for _, partition := range topic.Partitions {
				err = errors.Join(err, kerr.ErrorForCode(partition.ErrorCode))
			}
		}
		if err != nil && !kerr.IsRetriable(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, look, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 10 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second,
	}), backoff.WithMaxElapsedTime(p.config.ConnectTimeout))
	return err
}

func topicConfig(topic schemas.Topic, want TopicsConfig) map[string]*string {
	policy, retention := "delete", strconv.FormatInt(retention(topic, want).Milliseconds(), 10)
	if topic.Compacted {
		policy = "compact"
		return map[string]*string{"cleanup.policy": &policy}
	}
	config := map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}
	if topic.MaxBytes > 0 {
		maxBytes := strconv.Itoa(topic.MaxBytes)
		config["max.message.bytes"] = &maxBytes
	}
	return config
}

// needTopics says which of the topics are not there. A Kafka client would wait for them for ever.
func (p *program) needTopics(ctx context.Context, s *services, names ...string) error {
	client, err := kgo.NewClient(s.kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, p.config.ConnectTimeout)
	defer cancel()
	details, err := kadm.NewClient(client).ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	var missing []string
	for _, name := range names {
		switch err := details[name].Err; {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			missing = append(missing, name)
		case err != nil:
			return fmt.Errorf("looking at topic %q: %w", name, err)
		}
	}
	return missingTopics(missing)
}

func missingTopics(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("looking for topics: Kafka has no %s", strings.Join(names, ", ")), `"webcheck topics create" creates what is missing`)
}

func describeRetention(topic schemas.Topic, want TopicsConfig) string {
	if topic.Compacted {
		return "compacted"
	}
	return "kept " + formatDuration(retention(topic, want))
}

// retention is how long the topic keeps its records: the configured time for checks, the topic's own for others.
func retention(topic schemas.Topic, want TopicsConfig) time.Duration {
	if topic.Name == schemas.TopicChecks {
		return want.Retention
	}
	return topic.Retention
}

// seenTopic is how a topic is.
type seenTopic struct {
	partitions, replication int
	config                  map[string]string
}

func lookAtTopic(ctx context.Context, admin *kadm.Client, name string) (seenTopic, error) {
	details, err := admin.ListTopics(ctx, name)
	if err == nil {
		err = details[name].Err
	}
	if err != nil {
		return seenTopic{}, fmt.Errorf("looking at topic %q: %w", name, err)
	}
	seen := seenTopic{len(details[name].Partitions), details[name].Partitions.NumReplicas(), make(map[string]string)}
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return seen, fmt.Errorf("looking at the configuration of topic %q: %w", name, err)
	}
	for _, resource := range configs {
		for _, entry := range resource.Configs {
			seen.config[entry.Key] = entry.MaybeValue()
		}
	}
	return seen, nil
}

// differences lists in what the topic is not as the configuration would have created it.
func (s seenTopic) differences(topic schemas.Topic, want TopicsConfig) []string {
	var all []string
	if s.partitions != want.Partitions {
		all = append(all, fmt.Sprintf("it has %d partitions, and kafka.topics.partitions is %d", s.partitions, want.Partitions))
	}
	if want.Replication > 0 && s.replication != want.Replication {
		all = append(all, fmt.Sprintf("it has %d copies, and kafka.topics.replication is %d", s.replication, want.Replication))
	}
	for key, value := range topicConfig(topic, want) {
		if have, known := s.config[key]; known && have != *value {
			all = append(all, fmt.Sprintf("its %s is %s, and a new one would have %s", key, printable(have), *value))
		}
	}
	return all
}

func (p *program) showTopics(ctx context.Context, client *kgo.Client) error {
	out, admin := newPrinter(p.Stdout, p.Env), kadm.NewClient(client)
	details, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	var missing []string
	out.printf("%-20s  %10s  %6s  %-12s  %10s", "topic", "partitions", "copies", "kept", "events")
	for _, topic := range schemas.Topics() {
		if !details.Has(topic.Name) {
			out.printf("%-20s  %10s", topic.Name, "missing")
			missing = append(missing, topic.Name)
			continue
		}
		seen, err := lookAtTopic(ctx, admin, topic.Name)
		if err != nil {
			return err
		}
		count, err := countEvents(ctx, admin, topic.Name)
		if err != nil {
			return err
		}
		out.printf("%-20s  %10d  %6d  %-12s  %10d", topic.Name, seen.partitions, seen.replication, seen.kept(), count)
		for _, difference := range seen.differences(topic, p.config.Kafka.Topics) {
			out.printf("  %s", difference)
		}
	}
	return missingTopics(missing)
}

// kept says how long the topic keeps events.
func (s seenTopic) kept() string {
	ms, err := strconv.ParseInt(s.config["retention.ms"], 10, 64)
	switch {
	case strings.Contains(s.config["cleanup.policy"], "compact"):
		return "compacted"
	case err != nil:
		return "unknown"
	case ms < 0:
		return "for ever"
	}
	return formatDuration(time.Duration(ms) * time.Millisecond)
}

// countEvents is the number of offsets between the start and the end of all partitions.
func countEvents(ctx context.Context, admin *kadm.Client, topic string) (int64, error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("listing the offsets of %q: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("listing the offsets of %q: %w", topic, err)
	}
	var count int64
	ends.Each(func(end kadm.ListedOffset) {
		if start, found := starts.Lookup(topic, end.Partition); found {
			count += end.Offset - start.Offset
		}
	})
	return count, nil
}
