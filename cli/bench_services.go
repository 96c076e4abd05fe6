package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/processor"
	"webcheck/schemas"
)

// benchRemoveTimeout bounds the removal of what a measurement made, also after Ctrl-C.
const benchRemoveTimeout = 30 * time.Second

// benchNames are what a measurement has of its own in services that others use.
type benchNames struct {
	// Topic has the events; Targets, Transitions and Dead are the processor's others. Group and what begins with it are
	// consumer groups.
	Topic, Targets, Transitions, Dead, Group string
	// Tables is the database schema of the processor's tables, Plain the one with a table of checks that has no partitions.
	Tables, Plain string
}

func newBenchNames() benchNames {
	own := strings.ToLower(rand.Text()[:10])
	return benchNames{
		Topic: "webcheck.bench-" + own + ".checks", Targets: "webcheck.bench-" + own + ".targets",
		Transitions: "webcheck.bench-" + own + ".transitions", Dead: "webcheck.bench-" + own + ".dead", Group: "webcheck-bench-" + own,
		Tables: "webcheck_bench_" + own, Plain: "webcheck_bench_" + own + "_plain",
	}
}

func (n benchNames) topics() []string { return []string{n.Topic, n.Targets, n.Transitions, n.Dead} }

// openSchema returns a pool for the database of pool, whose tables are those of one schema.
func openSchema(ctx context.Context, pool *pgxpool.Pool, schema string) (*pgxpool.Pool, error) {
	config := pool.Config()
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.ConnConfig.RuntimeParams["application_name"] = schema
	own, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("preparing a pool of PostgreSQL connections: %w", err)
	}
	return own, nil
}

// prepare makes the topics, with the partitions that are configured.
func (b *bench) prepare(ctx context.Context) error {
	client, err := kgo.NewClient(b.s.kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	want, admin := b.p.config.Kafka.Topics, kadm.NewClient(client)
	for _, name := range b.names.topics() {
		if _, err = admin.CreateTopic(ctx, int32(want.Partitions), int16(want.Replication), nil, name); err == nil {
			err = b.p.awaitTopic(ctx, client, name)
		}
		if err != nil {
			return fmt.Errorf("creating topic %q: %w", name, err)
		}
	}
	return nil
}

// freshTables makes the processor's tables anew.
func (b *bench) freshTables(ctx context.Context) error {
	if err := b.recreateSchema(ctx, b.names.Tables); err != nil {
		return err
	}
	pool, err := openSchema(ctx, b.s.pool, b.names.Tables)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = processor.Migrate(ctx, pool)
	return err
}

// freshPlain makes a table of checks anew that is as one of the processor's partitions: a primary key, and nothing else.
func (b *bench) freshPlain(ctx context.Context) error {
	if err := b.freshTables(ctx); err != nil {
		return err
	}
	if err := b.recreateSchema(ctx, b.names.Plain); err != nil {
		return err
	}
	return b.exec(ctx, "CREATE TABLE %s (LIKE %s INCLUDING ALL)", pgx.Identifier{b.names.Plain, "checks"}, pgx.Identifier{b.names.Tables, "checks"})
}

func (b *bench) recreateSchema(ctx context.Context, name string) error {
	if err := b.exec(ctx, "DROP SCHEMA IF EXISTS %s CASCADE", pgx.Identifier{name}); err != nil {
		return err
	}
	return b.exec(ctx, "CREATE SCHEMA %s", pgx.Identifier{name})
}

// exec runs a statement with names put in.
func (b *bench) exec(ctx context.Context, format string, names ...pgx.Identifier) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = name.Sanitize()
	}
	statement := fmt.Sprintf(format, quoted...)
	if _, err := b.s.pool.Exec(ctx, statement); err != nil {
		return fmt.Errorf("running %q: %w", statement, err)
	}
	return nil
}

// remove takes away all that the measurement made in the services, also when ctx has ended.
func (b *bench) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchRemoveTimeout)
	defer cancel()
	err := errors.Join(removeTopics(ctx, b.s.kafka, b.groups, b.names.topics()), b.removeSubjects(ctx),
		b.exec(ctx, "DROP SCHEMA IF EXISTS %s CASCADE", pgx.Identifier{b.names.Plain}),
		b.exec(ctx, "DROP SCHEMA IF EXISTS %s CASCADE", pgx.Identifier{b.names.Tables}))
	if err != nil {
		return fmt.Errorf("removing what was made for measuring: %w", err)
	}
	return nil
}

// removeTopics deletes groups and topics; one that is not there is fine.
func removeTopics(ctx context.Context, kafka []kgo.Opt, groups, topics []string) error {
	client, err := kgo.NewClient(kafka...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	groupsErr := removeGroups(ctx, admin, groups)
	deletedTopics, err := admin.DeleteTopics(ctx, topics...)
	err = errors.Join(groupsErr, err)
	for _, topic := range deletedTopics {
		if !errors.Is(topic.Err, kerr.UnknownTopicOrPartition) {
			err = errors.Join(err, topic.Err)
		}
	}
	return err
}

// coordinatorPause lies between two questions to a coordinator that is not there yet.
const coordinatorPause = 250 * time.Millisecond

// removeGroups deletes groups. Who asks a Kafka for its first group waits until that has made the topic of groups.
func removeGroups(ctx context.Context, admin *kadm.Client, groups []string) error {
	for {
		deleted, err := admin.DeleteGroups(ctx, groups...)
		for _, group := range deleted {
			if !errors.Is(group.Err, kerr.GroupIDNotFound) {
				err = errors.Join(err, group.Err)
			}
		}
		if !errors.Is(err, kerr.CoordinatorNotAvailable) && !errors.Is(err, kerr.CoordinatorLoadInProgress) {
			return err
		}
		select {
		case <-time.After(coordinatorPause):
		case <-ctx.Done():
			return err
		}
	}
}

// removeSubjects deletes the subjects for good. That of transitions is there when a processor has told one.
func (b *bench) removeSubjects(ctx context.Context) error {
	if !b.registered {
		return nil
	}
	if err := removeSubject(ctx, b.s.client, b.names.Topic); err != nil {
		return err
	}
	err := removeSubject(ctx, b.s.client, b.names.Transitions)
	if isNotFound(err) {
		return nil
	}
	return err
}

// removeSubject deletes a topic's subject for good, which takes two calls.
func removeSubject(ctx context.Context, client *sr.Client, topic string) error {
	subject := schemas.Subject(topic)
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		if _, err := client.DeleteSubject(ctx, subject, how); err != nil {
			return fmt.Errorf("deleting subject %q: %w", subject, err)
		}
	}
	return nil
}

// isNotFound reports whether the registry does not have what it was asked for.
func isNotFound(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
