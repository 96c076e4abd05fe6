package cli

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"webcheck/schemas"
)

// A controller has a topic a moment before the other brokers, and the controller itself, show it.
func TestCreatingTopicsWaitsUntilTheBrokersShowThem(t *testing.T) {
	for name, seeded := range map[string][]string{
		"created here":    nil,
		"created already": {schemas.TopicTargets, schemas.TopicChecks, schemas.TopicTransitions, schemas.TopicDead},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, seeded...))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			var denied atomic.Int32
			cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
				asked := request.(*kmsg.MetadataRequest)
				if len(asked.Topics) == 0 || denied.Load() == 3 {
					return nil, nil, false
				}
				cluster.KeepControl()
				denied.Add(1)
				response := asked.ResponseKind().(*kmsg.MetadataResponse)
				response.Version = asked.Version
				for _, topic := range asked.Topics {
					unknown := kmsg.NewMetadataResponseTopic()
					unknown.Topic, unknown.ErrorCode = topic.Topic, kerr.UnknownTopicOrPartition.Code
					response.Topics = append(response.Topics, unknown)
				}
				return response, nil, true
			})
			client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			nothing := func(string) (string, bool) { return "", false }
			config, err := loadConfig(sources{flag: nothing, env: func(name string) (string, bool) { return "/nowhere", name == "HOME" }})
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			p := &program{System: System{Stdout: io.Discard, Env: nothing}, config: config}
			if err := p.createTopics(t.Context(), client, func(format string, arguments ...any) {
				told = append(told, fmt.Sprintf(format, arguments...))
			}); err != nil {
				t.Fatal(err)
			}
			if denied.Load() != 3 {
				t.Errorf("the topic was denied %d times before it was used, want 3", denied.Load())
			}
			all := strings.Join(told, "\n")
			for _, topic := range schemas.Topics() {
				if !strings.Contains(all, topic.Name) {
					t.Errorf("told %q, want a line for %s", all, topic.Name)
				}
			}
		})
	}
}
