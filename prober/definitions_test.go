package prober

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// definitions is a topic of definitions with all that reads and writes it.
type definitions struct {
	Definitions
	cluster *kfake.Cluster
	client  *kgo.Client // for what the test itself writes and reads
}

func newDefinitions(t *testing.T) *definitions {
	t.Helper()
	service := testservices.Registry(t)
	topic := service.Subject(schemas.TopicTargets)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	answers, err := sr.NewClient(sr.URLs(service.URL), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	registry, schema := schemas.NewRegistry(answers), schemas.TargetDefined(topic)
	id, err := registry.Register(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	kafka := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.MetadataMinAge(20 * time.Millisecond)}
	client, err := kgo.NewClient(append(slices.Clone(kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &definitions{client: client, cluster: cluster, Definitions: Definitions{
		Kafka: kafka, Topic: topic, Encoder: schemas.NewEncoderOf[event.TargetDefined](schema, id), Decoder: schemas.NewDecoderOf[event.TargetDefined](registry, schema),
	}}
}

// publish publishes targets and wants the topic to get the definitions of those with the ids want.
func (d *definitions) publish(t *testing.T, targets []Target, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	published, err := d.Publish(ctx, targets)
	if err != nil || published != len(want) {
		t.Fatalf("published %d, %v, want %d", published, err, len(want))
	}
	var got []string
	for len(got) < len(want) {
		fetches := d.client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		for _, r := range fetches.Records() {
			if r.Value != nil {
				got = append(got, string(r.Key))
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("keys of the records: %s", diff)
	}
}

// write writes a record as somebody else would, and reads it, so that publish does not find it.
func (d *definitions) write(t *testing.T, r *kgo.Record) {
	t.Helper()
	r.Topic = d.Topic
	if err := d.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if n := d.client.PollFetches(t.Context()).NumRecords(); n != 1 {
		t.Fatalf("read %d records, want the one that was written", n)
	}
}

func (d *definitions) value(t *testing.T, target Target) []byte {
	t.Helper()
	value, err := d.Encoder.AppendEncode(nil, target.defined(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestOnlyDefinitionsThatTheTopicDoesNotHaveArePublished(t *testing.T) {
	d := newDefinitions(t)
	targets := []Target{every("a", time.Minute), every("b", time.Minute), every("c", time.Minute)}
	d.publish(t, targets, "a", "b", "c")
	d.publish(t, targets)
	targets[1].Rules.Quorum = 2
	d.publish(t, targets, "b")
	d.publish(t, targets)
	targets[1].Rules.Quorum = 0 // the oldest definition, which the newest hides
	d.publish(t, append(targets, every("d", time.Minute)), "b", "d")
	d.publish(t, targets[:1])
}

func TestADefinitionThatWasRemovedOrCannotBeReadIsPublishedAgain(t *testing.T) {
	d := newDefinitions(t)
	targets := []Target{every("a", time.Minute)}
	d.publish(t, targets, "a")
	listed, err := kadm.NewClient(d.client).ListEndOffsets(t.Context(), d.Topic)
	if err != nil {
		t.Fatal(err)
	}
	var partition int32
	listed.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			partition = end.Partition
		}
	})
	for name, value := range map[string][]byte{
		"tombstone": nil, "garbage": []byte("garbage"), "another target's definition": d.value(t, every("b", time.Minute)),
	} {
		t.Run(name, func(t *testing.T) {
			d.write(t, &kgo.Record{Key: []byte("a"), Value: value, Partition: partition})
			d.publish(t, targets, "a")
			d.publish(t, targets)
		})
	}
}

// A topic that got partitions has the older definitions of a target in another one.
func TestTheNewestDefinitionCountsWhereATargetIsInTwoPartitions(t *testing.T) {
	for partition := range int32(3) {
		d := newDefinitions(t)
		old, now := every("a", time.Minute), every("a", time.Hour)
		for i := range int32(3) {
			target, at := old, time.Now().Add(-time.Hour)
			if i == partition {
				target, at = now, time.Now()
			}
			d.write(t, &kgo.Record{Key: []byte("a"), Value: d.value(t, target), Partition: i, Timestamp: at})
		}
		if a := d.known(t).Targets["a"]; a.Version != now.Version() || a.Partition != partition {
			t.Errorf("got %+v, want that of partition %d", a, partition)
		}
		d.publish(t, []Target{now}, "a") // which leaves one of it
		d.publish(t, []Target{now})
		d.publish(t, []Target{old}, "a")
		d.publish(t, []Target{old})
	}
}

// known reads the topic.
func (d *definitions) known(t *testing.T) *Known {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	known, err := d.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestATargetIsRemovedFromEveryPartitionThatHasIt(t *testing.T) {
	d := newDefinitions(t)
	for partition := range int32(2) {
		d.write(t, &kgo.Record{Key: []byte("a"), Value: d.value(t, every("a", time.Minute)), Partition: partition})
	}
	d.write(t, &kgo.Record{Key: []byte("a"), Partition: 2, Timestamp: time.Now().Add(time.Hour)})
	if a := d.known(t).Targets["a"]; a.Removed || a.Version != every("a", time.Minute).Version() {
		t.Fatalf("two of three partitions define it: %+v", a)
	}
	for range 2 { // the second time there is nothing to remove
		if err := d.Write(t.Context(), d.known(t), nil, []string{"a", "never-heard-of"}); err != nil {
			t.Fatal(err)
		}
		if known := d.known(t); !known.Targets["a"].Removed || len(known.Targets) != 1 {
			t.Fatalf("after its removal: %+v", known.Targets)
		}
	}
}

// A target that was left behind in another partition would be checked by whoever reads that one.
func TestADefinitionLeavesNoOtherPartitionsBehind(t *testing.T) {
	d := newDefinitions(t)
	for partition := range int32(3) {
		d.write(t, &kgo.Record{Key: []byte("a"), Value: d.value(t, every("a", time.Minute)), Partition: partition})
	}
	d.publish(t, []Target{every("a", time.Hour)}, "a")
	known := d.known(t)
	for partition, other := range known.elsewhere["a"] {
		if !other.Removed {
			t.Errorf("partition %d still has %+v", partition, other)
		}
	}
	client, err := kgo.NewClient(d.Kafka...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	record := &kgo.Record{Topic: d.Topic, Key: []byte("a")}
	if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := known.Targets["a"].Partition; got != record.Partition {
		t.Errorf("it is in partition %d, and a client of Kafka puts its key into %d", got, record.Partition)
	}
}

func TestWhatTheTopicHasIsToldWithItsPlace(t *testing.T) {
	d := newDefinitions(t)
	a, at := every("a", time.Minute), time.UnixMilli(time.Now().UnixMilli())
	d.write(t, &kgo.Record{Key: []byte("old"), Value: d.value(t, every("old", time.Hour)), Partition: 1})
	d.write(t, &kgo.Record{Key: []byte("old"), Partition: 1, Timestamp: at})
	d.write(t, &kgo.Record{Key: []byte("odd"), Value: []byte("garbage"), Partition: 1, Timestamp: at})
	d.write(t, &kgo.Record{Key: []byte("odder"), Value: d.value(t, a), Partition: 1, Timestamp: at})
	d.write(t, &kgo.Record{Key: []byte("a"), Value: d.value(t, a), Partition: 2})
	targets := d.known(t).Targets
	if got := targets["a"]; got.Version != a.Version() || got.Definition != a.Definition() || got.URL != a.URL || got.Cause != nil || got.Partition != 2 || got.Offset != 0 {
		t.Errorf("a: %+v", got)
	}
	if got := targets["old"]; !got.Removed || got.Cause != nil || got.Offset != 1 || !got.At.Equal(at) {
		t.Errorf("old: %+v", got)
	}
	for id, cause := range map[string]string{"odd": "magic byte", "odder": `it defines "a"`} {
		if got := targets[id]; got.Cause == nil || !strings.Contains(got.Cause.Error(), cause) || got.Removed || got.Version != "" || !got.At.Equal(at) {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

func TestADefinitionCarriesTheRulesOfItsTarget(t *testing.T) {
	target := every("home", 90*time.Second)
	target.Timeout = 1500 * time.Microsecond
	target.Rules = Rules{DownAfter: 3, DownOf: 5, UpAfter: 1, UpOf: 4, Quorum: 2, FlapTransitions: 6, FlapWindow: 90 * time.Second, SilentAfter: 7}
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	want := &event.TargetDefined{
		TargetID: "home", DefinitionVersion: target.Version(), DefinedAt: at, URL: "http://example.invalid/", IntervalMs: 90_000, TimeoutMs: 2,
		DownAfter: 3, DownOf: 5, UpAfter: 1, UpOf: 4, Quorum: 2, FlapTransitions: 6, FlapWindowS: 90, SilentAfter: 7,
		Definition: `{"expect_status":["200-299"],"id":"home","interval":"1m30s","max_redirects":10,"rules":{"down":"3 of 5",` +
			`"flapping":"6 in 1m30s","quorum":2,"silent_after":7,"up":"1 of 4"},"timeout":"1.5ms","url":"http://example.invalid/"}`,
	}
	if diff := cmp.Diff(want, target.defined(at)); diff != "" {
		t.Error(diff)
	}
}

// An event that was written without rules, by another program, must mean what a target without rules means.
func TestTheSchemasDefaultsAreTheDefaultRules(t *testing.T) {
	var schema struct {
		Fields []struct {
			Name    string
			Default *int32
		}
	}
	if err := json.Unmarshal([]byte(schemas.TargetDefined(schemas.TopicTargets).Text), &schema); err != nil {
		t.Fatal(err)
	}
	e := NewTarget("home", "https://example.com").defined(time.Now())
	want := map[string]int32{
		"down_after": e.DownAfter, "down_of": e.DownOf, "up_after": e.UpAfter, "up_of": e.UpOf, "quorum": e.Quorum,
		"flap_transitions": e.FlapTransitions, "flap_window_s": e.FlapWindowS, "silent_after": e.SilentAfter,
	}
	got := make(map[string]int32)
	for _, field := range schema.Fields {
		if field.Default != nil {
			got[field.Name] = *field.Default
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestReadingEndsThoughTheLastRecordIsGone moves the end of each partition behind what is there, as compaction does.
func TestReadingEndsThoughTheLastRecordIsGone(t *testing.T) {
	d := newDefinitions(t)
	targets := []Target{every("a", time.Minute)}
	d.publish(t, targets, "a")
	d.cluster.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) {
		asked := request.(*kmsg.ListOffsetsRequest)
		if asked.Topics[0].Partitions[0].Timestamp != -1 {
			return nil, nil, false
		}
		d.cluster.KeepControl()
		response := asked.ResponseKind().(*kmsg.ListOffsetsResponse)
		response.Version = asked.Version
		for _, topic := range asked.Topics {
			answer := kmsg.NewListOffsetsResponseTopic()
			answer.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				end := kmsg.NewListOffsetsResponseTopicPartition()
				end.Partition, end.Offset = partition.Partition, 100
				answer.Partitions = append(answer.Partitions, end)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
	d.publish(t, targets)
}

func TestAPartitionEndsWhereItsLeaderHasNoMore(t *testing.T) {
	d := newDefinitions(t)
	for partition := range int32(3) {
		d.write(t, &kgo.Record{Key: []byte("a"), Value: d.value(t, every("a", time.Minute)), Partition: partition})
	}
	client, err := d.Definitions.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topic := &topicReader{client: client, topic: d.Topic}
	if err := topic.bound(t.Context()); err != nil {
		t.Fatal(err)
	}
	for left := 3; left >= 0; left-- {
		if err := topic.dropEnded(t.Context()); err != nil || len(topic.ends) != left {
			t.Fatalf("%v are left, want %d: %v", topic.ends, left, err)
		}
		topic.next[int32(left)-1]++ // as if its only record was read
	}
}

// A list that is cut short would have targets removed.
func TestReadingIsNotOverWhileKafkaGivesNothing(t *testing.T) {
	d := newDefinitions(t)
	d.publish(t, []Target{every("a", time.Minute)}, "a")
	d.cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		d.cluster.KeepControl()
		return nil, errors.New("the connection is cut"), true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*quietTime)
	defer cancel()
	if known, err := d.Read(ctx); err == nil || !strings.Contains(err.Error(), "reading ") {
		t.Errorf("read %+v, %v", known, err)
	}
}

func TestPublishingEndsWithItsContextWhileKafkaTakesNothing(t *testing.T) {
	d := newDefinitions(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		d.cluster.KeepControl()
		cancel()
		return nil, errors.New("the connection is cut"), true
	})
	published, err := d.Publish(ctx, []Target{every("a", time.Minute)})
	if published != 0 || err == nil || !strings.Contains(err.Error(), "producing definitions") {
		t.Errorf("published %d, %v", published, err)
	}
}
