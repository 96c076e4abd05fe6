package embedded

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/port"
	"webcheck/embedded/testservices/seed"
)

// acknowledged is what the broker said it has.
type acknowledged struct {
	mu      sync.Mutex
	at      [2]map[int64]string // by partition and offset
	n       int
	reached chan struct{} // closed when n is at target
	target  int
	failed  error
}

func (a *acknowledged) await(n int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.target, a.reached = a.n+n, make(chan struct{})
	return a.reached
}

func (a *acknowledged) record(r *kgo.Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed = err
		return
	}
	a.at[r.Partition][r.Offset] = string(r.Value)
	if a.n++; a.n == a.target {
		close(a.reached)
	}
}

// A broker is killed again and again while records stream in. Every record that was acknowledged is afterwards at the very
// offset that the acknowledgement named.
func TestAcknowledgedRecordsSurviveKills(t *testing.T) {
	random := seed.Random(t)
	dir := dataDir(t)
	port.Keep(t, filepath.Join(dir, "broker", "port"))
	broker := play(t, "broker", dir)
	cl := testClient(t, broker.said, kgo.MaxBufferedRecords(64), kgo.ProducerBatchMaxBytes(16<<10), kgo.ProducerLinger(0),
		kgo.ProduceRequestTimeout(5*time.Second))
	createTopic(t, cl, "checks", nil)
	acks := &acknowledged{at: [2]map[int64]string{{}, {}}}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			value := fmt.Sprintf("%d %s", i, make([]byte, (i*7919)%4096))
			cl.Produce(t.Context(), &kgo.Record{Topic: "checks", Partition: int32(i % 2), Value: []byte(value)}, acks.record)
		}
	}()
	const kills = 8
	for range kills {
		<-acks.await(1 + random.IntN(400))
		broker.kill()
		addr := broker.said
		if broker = play(t, "broker", dir); broker.said != addr {
			t.Fatalf("restarted at %s, was at %s", broker.said, addr)
		}
	}
	<-acks.await(1)
	close(stop)
	<-stopped
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	broker.kill()
	checkAcknowledged(t, play(t, "broker", dir).said, acks)
}

func checkAcknowledged(t *testing.T, addr string, acks *acknowledged) {
	t.Helper()
	acks.mu.Lock()
	defer acks.mu.Unlock()
	if acks.failed != nil {
		t.Fatal(acks.failed)
	}
	for partition, want := range acks.at {
		got := logOf(t, addr, "checks", int32(partition))
		for offset, value := range want {
			if got[offset] != value {
				t.Errorf("checks/%d@%d: acknowledged %.8q, found %.8q", partition, offset, value, got[offset])
			}
		}
		t.Logf("partition %d: %d acknowledged, %d in the log", partition, len(want), len(got))
	}
}
