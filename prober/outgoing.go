package prober

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sendAgainAfter is how long the loop leaves Kafka alone after an error that the client did not repeat by itself, as one of
// rights that somebody has to grant.
const sendAgainAfter = time.Second

// outgoing is an event between Emit and the end of what there is to do about it. The emitter's mutex guards all but the bytes.
type outgoing struct {
	spooled            // its number is 0 while it is not on disk
	record  kgo.Record // of the last time that the client had it
	order   uint64     // of Emit, or on disk
	taken   time.Time
	done    func(error) // nil when it was called, or is about to be

	prev, next *outgoing // in held
	isHeld     bool
	isQueued   bool
	settled    bool // Kafka has it, or never will
}

// heldList is what the client has, in the order that it got it.
type heldList struct {
	first, last *outgoing
	n           int
}

func (l *heldList) push(o *outgoing) {
	o.isHeld, o.prev, o.next = true, l.last, nil
	if l.last == nil {
		l.first = o
	} else {
		l.last.next = o
	}
	l.last = o
	l.n++
}

func (l *heldList) remove(o *outgoing) {
	if o.prev == nil {
		l.first = o.next
	} else {
		o.prev.next = o.next
	}
	if o.next == nil {
		l.last = o.prev
	} else {
		o.next.prev = o.prev
	}
	o.isHeld, o.prev, o.next = false, nil, nil
	l.n--
}

// take returns o's done for the only time.
func (o *outgoing) take() func(error) {
	done := o.done
	o.done = nil
	return done
}

// produce hands o, which is held already, to the client. The mutex must not be held: the client may wait for a callback.
func (s *SpoolEmitter) produce(o *outgoing) {
	o.record = kgo.Record{Topic: s.config.Topic, Key: o.key, Value: o.value}
	s.config.Client.TryProduce(context.Background(), &o.record, func(_ *kgo.Record, err error) { s.answered(o, err) })
}

// answered takes note of what the client says about o.
func (s *SpoolEmitter) answered(o *outgoing, err error) {
	s.mu.Lock()
	refused := isRefused(err)
	if err != nil {
		s.state.ProduceErrors++
	}
	var done func(error)
	switch {
	case err == nil || refused:
		o.settled = true
		done = o.take()
		if o.seq != 0 {
			s.remove = append(s.remove, o.seq)
			s.drained++
		}
	default:
		s.sendOnce = time.Now().Add(sendAgainAfter)
		s.fill(err) // while o is held, so that it keeps its place
		if o.seq != 0 {
			s.sent = min(s.sent, o.seq-1)
		}
	}
	s.held.remove(o)
	if s.state.Mode != SpoolIdle && s.held.n == 0 {
		s.signal()
	}
	if refused {
		s.state.Refused++
	}
	s.mu.Unlock()
	if refused && done == nil {
		s.config.Logger.Error("Kafka refuses an event that was on disk; it is given up", "target", string(o.key), "err", err)
	}
	if done != nil {
		s.finish(done, err)
	}
}

// isRefused knows the errors that are of one record and stay, whoever sends it and when.
func isRefused(err error) bool {
	return slices.ContainsFunc([]error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp},
		func(refusal error) bool { return errors.Is(err, refusal) })
}

// fill queues for the disk what the client has and the disk has not, and sends what comes after it the same way. Run says why.
func (s *SpoolEmitter) fill(cause error) {
	if s.state.Mode == SpoolIdle {
		s.cause, s.since, s.drained = cause, time.Now(), 0
	}
	if s.state.Mode == SpoolIdle || s.held.n > 0 {
		s.state.Mode = SpoolFilling
	}
	for o := s.held.first; o != nil; o = o.next {
		if o.seq == 0 && !o.isQueued && !o.settled {
			s.enqueue(o)
		}
	}
	s.signal()
}

// enqueue puts o into the queue, at its place in the order of Emit, which is the end unless the client had it before.
func (s *SpoolEmitter) enqueue(o *outgoing) {
	o.isQueued = true
	s.queued += int64(len(o.value))
	if n := len(s.queue); n == 0 || s.queue[n-1].order < o.order {
		s.queue = append(s.queue, o)
		return
	}
	at, _ := slices.BinarySearchFunc(s.queue, o.order, func(q *outgoing, order uint64) int { return cmp.Compare(q.order, order) })
	s.queue = slices.Insert(s.queue, at, o)
}
