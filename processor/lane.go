package processor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// laneCount is how many batches of a session are written at once. Two keep PostgreSQL busy while one of them is folded, or waits for
// its commit; more are more processors' work.
const laneCount = 2

// lane writes batches one behind the other, over a connection of its own. What is in flight in it decides where the next records
// of a partition go: behind them, never beside.
type lane struct {
	store *store
	wrote bool // since proven last asked; the session's own

	mu     sync.Mutex
	flight *flight // the batch being written; nil before the first
}

// flight is a batch that is written while the next one is read.
type flight struct {
	advances map[int32]advance
	records  int
	landed   chan struct{} // closed when the others are set
	wrote    bool
	err      error
}

func (p *Processor) newLanes() []*lane {
	lanes := make([]*lane, laneCount)
	for i := range lanes {
		lanes[i] = &lane{store: p.newStore(false)}
	}
	return lanes
}

// deal gives each lane its part of what a poll brought, every partition whole: to the lane that has a batch of it in flight, or
// else to the one with the least to do.
func (s *session) deal(fetches kgo.Fetches) [][]*kgo.Record {
	parts, loads := make([][]*kgo.Record, len(s.lanes)), make([]int, len(s.lanes))
	dealt := make(map[int32]int)
	for i, l := range s.lanes {
		if f := l.inFlight(); f != nil {
			loads[i] = f.left()
			for p := range f.advances {
				dealt[p] = i
			}
		}
	}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		to, bound := dealt[f.Partition]
		if !bound {
			for i := range loads {
				if loads[i] < loads[to] {
					to = i
				}
			}
			dealt[f.Partition] = to
		}
		parts[to] = append(parts[to], f.Records...)
		loads[to] += len(f.Records)
	})
	return parts
}

// follow decodes records while the lane's batch before is written, and launches them behind it.
func (s *session) follow(ctx context.Context, l *lane, records []*kgo.Record, watch stopwatch) (wrote bool, err error) {
	b, failure := s.decode(ctx, records)
	watch.lap(phaseDecode)
	if failure != nil {
		failure = fmt.Errorf("%w: %w", errBatch, failure)
	}
	if wrote, err = l.land(); err == nil && b != nil {
		b.watch = watch
		s.launch(ctx, l, b)
	}
	return wrote, errors.Join(err, failure)
}

// launch writes a batch while the session goes on. Only one is in flight in a lane: land comes before. Rebalances are blocked until
// it is known to revoked.
func (s *session) launch(ctx context.Context, l *lane, b *batch) {
	f := &flight{advances: b.advances, records: len(b.marks), landed: make(chan struct{})}
	l.mu.Lock()
	l.flight = f
	l.mu.Unlock()
	s.mu.Lock()
	for p, a := range b.advances {
		s.next[p] = a.next
	}
	s.mu.Unlock()
	go func() {
		defer close(f.landed)
		ctx, cancel := context.WithTimeout(ctx, batchTimeout)
		defer cancel()
		tally, err := l.store.write(ctx, b)
		if err != nil {
			f.err = fmt.Errorf("%w: %w", errBatch, err)
			s.fail(f.err) // the session may be waiting for records that do not come
			return
		}
		f.wrote = true
		s.committed(b, tally)
	}()
}

// left is the number of records that are still to be written.
func (f *flight) left() int {
	select {
	case <-f.landed:
		return 0
	default:
		return f.records
	}
}

func (l *lane) inFlight() *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flight
}

// land waits for the batch in flight, and takes its result, which it gives once.
func (l *lane) land() (wrote bool, err error) {
	f := l.inFlight()
	if f == nil {
		return false, nil
	}
	<-f.landed
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight = nil
	l.wrote = l.wrote || f.wrote
	return f.wrote, f.err
}

// land waits for all that is in flight, and takes the results.
func (s *session) land() (wrote bool, err error) {
	for _, l := range s.lanes {
		landed, failure := l.land()
		wrote, err = wrote || landed, errors.Join(err, failure)
	}
	return wrote, err
}

// settle waits for the batches in flight and leaves their results to land.
func (s *session) settle() {
	for _, l := range s.lanes {
		if f := l.inFlight(); f != nil {
			<-f.landed
		}
	}
}

// proven says whether every lane that is in use has written since it last said so. That one goes well must not make the batches
// larger while the other one's take too long.
func (s *session) proven() bool {
	var wrote bool
	for _, l := range s.lanes {
		if !l.wrote && l.inFlight() != nil {
			return false
		}
		wrote = wrote || l.wrote
	}
	for _, l := range s.lanes {
		l.wrote = false
	}
	return wrote
}
