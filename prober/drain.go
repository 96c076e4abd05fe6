package prober

import "time"

// drainRecords and drainBytes bound what is on its way from the disk to Kafka; all of it is acknowledged, and removed with one fsync,
// before more is sent. A thousand at once were 3,000 events a second on a busy machine, which is less than a large prober makes.
const (
	drainRecords = 8000
	drainBytes   = 4 << 20
)

// send hands the oldest events on disk to the client, when that has nothing else, and after the last of them those that wait
// for the disk.
func (s *SpoolEmitter) send(now time.Time) {
	s.mu.Lock()
	ready := s.mayProduce(now) && s.held.n == 0
	after := s.sent
	s.mu.Unlock()
	if !ready {
		return
	}
	batch, err := s.disk.read(after, drainRecords, drainBytes)
	switch {
	case err != nil:
		s.noteDisk(now, err)
	case len(batch) > 0:
		s.sendSpooled(now, batch)
	default:
		s.empty(now)
		s.handOver()
	}
}

// mayProduce reports whether run, and not Emit, produces, and is not waiting after an error.
func (s *SpoolEmitter) mayProduce(now time.Time) bool {
	return s.state.Mode != SpoolIdle && !now.Before(s.sendOnce)
}

// sendSpooled produces a batch from the disk, in its order. It stays there until it is acknowledged.
func (s *SpoolEmitter) sendSpooled(now time.Time, batch []spooled) {
	sending := make([]*outgoing, len(batch))
	s.mu.Lock()
	s.state.Mode = SpoolDraining
	s.sent = batch[len(batch)-1].seq
	for i, e := range batch {
		sending[i] = &outgoing{spooled: e, order: e.seq, taken: now}
		s.held.push(sending[i])
	}
	s.mu.Unlock()
	for _, o := range sending {
		s.produce(o)
	}
}

// empty forgets what is on disk, all of which Kafka has.
func (s *SpoolEmitter) empty(now time.Time) {
	if err := s.disk.reset(); err != nil {
		s.noteDisk(now, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Records, s.state.Bytes = s.disk.records, s.disk.bytes; s.disk.records == 0 {
		s.sent, s.remove = 0, nil
	}
}

// handOver produces what waits for the disk instead of writing it, now that the disk is empty, and lets Emit produce again
// once nothing waits: what comes meanwhile queues up behind. A full batch must be acknowledged before the next one.
func (s *SpoolEmitter) handOver() {
	for n := 0; n < drainRecords; {
		batch, isLast := s.nextWaiting()
		for _, o := range batch {
			s.produce(o)
		}
		if isLast {
			break
		}
		n += len(batch)
	}
	s.mu.Lock()
	idle, events, since := s.state.Mode == SpoolIdle, s.drained, s.since
	s.mu.Unlock()
	if idle {
		s.config.Logger.Info("Kafka takes events, and the spool is empty", "events", events, "after", time.Since(since).Round(time.Millisecond))
	}
}

// nextWaiting moves the head of the queue to the client; isLast is true when there is no more, or none may be produced.
func (s *SpoolEmitter) nextWaiting() (batch []*outgoing, isLast bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mayProduce(time.Now()) {
		return nil, true
	}
	s.unqueue(func(o *outgoing) bool { return o.settled })
	for _, o := range s.queue[:min(len(s.queue), drainRecords)] {
		if o.isHeld { // a stop has queued it for the disk
			return nil, true
		}
		batch = append(batch, o)
	}
	if len(batch) == 0 {
		s.state.Mode = SpoolIdle
		return nil, true
	}
	for _, o := range batch {
		s.held.push(o)
	}
	s.unqueue(func(o *outgoing) bool { return o.isHeld })
	return batch, false
}
