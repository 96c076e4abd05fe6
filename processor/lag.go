package processor

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// lagEvery is how often the log's ends are asked for. Every fetch brings them too; only while nothing is read, in an
	// outage, does this tell how far the log goes on. 15 s is how often metrics are usually looked at.
	lagEvery = 15 * time.Second
	// lagTimeout bounds that question.
	lagTimeout = 5 * time.Second
)

// lag knows how far each partition is behind the end of the log, and shows it as metrics.
type lag struct {
	topic              string
	now                func() time.Time
	owned, count, time *prometheus.Desc

	mu         sync.Mutex
	partitions map[int32]*distance
	keeping    bool // between two sessions, when the partitions of the last one are still reported
}

// distance is where a partition is. While its processor waits for a service it owns none, and still reports them.
type distance struct {
	owned         bool
	next, end     int64
	polled, taken time.Time // the timestamps of the last record that was fetched, and that was processed
}

func newLag(topic string) *lag {
	return &lag{
		topic:      topic,
		now:        time.Now,
		partitions: make(map[int32]*distance),
		owned:      prometheus.NewDesc(namespace+"_partitions_owned", "Partitions that this processor reads.", nil, nil),
		count: prometheus.NewDesc(namespace+"_lag_records",
			"Records between the stored offset and the end of the log.", []string{"partition"}, nil),
		time: prometheus.NewDesc(namespace+"_lag_seconds",
			"Age of the last processed record while there are more, 0 at the end of the log.", []string{"partition"}, nil),
	}
}

// assigned takes partitions up at their stored offsets.
func (l *lag) assigned(next map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keeping {
		for p := range l.partitions {
			if _, again := next[p]; !again {
				delete(l.partitions, p)
			}
		}
		l.keeping = false
	}
	for p, offset := range next {
		d := l.partitions[p]
		if d == nil {
			d = new(distance)
			l.partitions[p] = d
		}
		d.owned, d.next, d.end = true, offset, max(d.end, offset)
	}
}

// lost forgets partitions that somebody else reads, but not those that are given up because the session ends.
func (l *lag) lost(partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range partitions {
		if !l.keeping {
			delete(l.partitions, p)
		} else if d := l.partitions[p]; d != nil {
			d.owned = false
		}
	}
}

// leaving says that the session ends, and with it the ownership of every partition.
func (l *lag) leaving() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping = true
	for _, d := range l.partitions {
		d.owned = false
	}
}

// fetched takes note of what a poll says of the log.
func (l *lag) fetched(fetches kgo.Fetches) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		d := l.partitions[f.Partition]
		if d == nil || len(f.Records) == 0 {
			return
		}
		d.end = max(d.end, f.HighWatermark)
		d.polled = f.Records[len(f.Records)-1].Timestamp
		if d.taken.IsZero() { // nothing was processed yet: as old as the first that waits
			d.taken = f.Records[0].Timestamp
		}
	})
}

// committed moves partitions on.
func (l *lag) committed(advances map[int32]advance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, a := range advances {
		if d := l.partitions[p]; d != nil {
			d.next, d.end, d.taken = a.next, max(d.end, a.next), d.polled
		}
	}
}

// ends takes note of the log's ends.
func (l *lag) ends(ends kadm.ListedOffsets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, d := range l.partitions {
		if end, known := ends.Lookup(l.topic, p); known && end.Err == nil {
			d.end = max(d.next, end.Offset)
		}
	}
}

// Describe names the metrics (prometheus.Collector).
func (l *lag) Describe(to chan<- *prometheus.Desc) {
	to <- l.owned
	to <- l.count
	to <- l.time
}

// Collect gives the metrics (prometheus.Collector).
func (l *lag) Collect(to chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	owned := 0
	for p, d := range l.partitions {
		if d.owned {
			owned++
		}
		name := strconv.Itoa(int(p))
		to <- prometheus.MustNewConstMetric(l.count, prometheus.GaugeValue, float64(d.end-d.next), name)
		seconds := 0.0
		if d.end > d.next {
			if d.taken.IsZero() {
				continue // nothing was fetched of it, so nobody knows how old it is
			}
			seconds = max(0, l.now().Sub(d.taken).Seconds())
		}
		to <- prometheus.MustNewConstMetric(l.time, prometheus.GaugeValue, seconds, name)
	}
	to <- prometheus.MustNewConstMetric(l.owned, prometheus.GaugeValue, float64(owned))
}

// follow asks for the log's ends until ctx ends.
func (l *lag) follow(ctx context.Context, kafka []kgo.Opt, logger *slog.Logger) error {
	client, err := kgo.NewClient(kafka...)
	if err != nil {
		return &PermanentError{Err: fmt.Errorf("making the Kafka client for the lag: %w", err)}
	}
	defer client.Close()
	again := time.NewTicker(lagEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		limited, cancel := context.WithTimeout(ctx, lagTimeout)
		ends, err := kadm.NewClient(client).ListEndOffsets(limited, l.topic)
		cancel()
		if err != nil {
			logger.Debug("listing the log's ends", "error", err)
			continue
		}
		l.ends(ends)
	}
}
