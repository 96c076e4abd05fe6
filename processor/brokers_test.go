package processor

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestAnAttemptThatBeganBeforeABrokerAnsweredIsNoNewOutage(t *testing.T) {
	logs := new(logLines)
	b := newBrokers(slog.New(logs), nil)
	broker := kgo.BrokerMetadata{Host: "kafka", Port: 9092}
	refused := errors.New("refused")
	b.OnBrokerConnect(broker, 0, nil, refused)
	b.OnBrokerConnect(broker, 0, nil, nil)
	b.OnBrokerConnect(broker, time.Minute, nil, refused)
	if said := logs.with("WARN waiting"); len(said) != 1 {
		t.Errorf("said %q, want the first refusal only", said)
	}
	b.OnBrokerConnect(broker, -time.Second, nil, refused) // one that begins later
	if said := logs.with("WARN waiting"); len(said) != 2 {
		t.Errorf("said %q, want the later refusal too", said)
	}
}
