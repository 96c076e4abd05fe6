package prober

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// commitAfter and commitRecords bound a group that shares an fsync; the former is how long an event may be in memory alone while
	// Kafka is away.
	commitAfter   = 100 * time.Millisecond
	commitRecords = 1000
	// maxCommitRecords and maxCommitRemovals bound one transaction.
	maxCommitRecords  = 10_000
	maxCommitRemovals = 10_000
	// diskPatience is how long a disk that said no is left alone.
	diskPatience = time.Second
)

// errStopping is the cause of what goes to disk because nobody can wait for Kafka.
var errStopping = errors.New("the prober stops before Kafka has acknowledged")

// run is the only goroutine that touches the disk. It sleeps while events go to Kafka directly.
func (s *SpoolEmitter) run() {
	defer close(s.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			s.giveUp()
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.step(time.Now()))
	}
}

// step does what is to be done now, and returns how long nothing else will be.
func (s *SpoolEmitter) step(now time.Time) time.Duration {
	if patience := s.watch(now); patience > 0 {
		return patience
	}
	s.sayCause()
	if s.isCommitDue(now) {
		s.commit(now)
	}
	s.send(now)
	return commitAfter
}

// watch turns to the disk when the oldest event has waited for too long. In mode idle it returns how long that may not be so.
func (s *SpoolEmitter) watch(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := s.config.After
	if o := s.held.first; o != nil && o.seq == 0 && !o.isQueued {
		patience = o.taken.Add(s.config.After).Sub(now)
	}
	if patience <= 0 {
		s.fill(fmt.Errorf("the oldest of %d events is not acknowledged after %v", s.held.n, s.config.After))
	}
	if s.state.Mode != SpoolIdle {
		return 0
	}
	return patience
}

// turnToDisk is watch for those who cannot wait.
func (s *SpoolEmitter) turnToDisk(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.n > 0 {
		s.fill(cause)
	}
}

// sayCause says once why events go to the disk.
func (s *SpoolEmitter) sayCause() {
	s.mu.Lock()
	cause := s.cause
	s.cause = nil
	s.mu.Unlock()
	if cause != nil {
		s.config.Logger.Warn("Kafka does not take events; they go to the spool on disk until it does", "err", cause)
	}
}

func (s *SpoolEmitter) isCommitDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.queue)+len(s.remove) == 0 || now.Before(s.diskAgain):
		return false
	case s.hurry || len(s.queue) >= commitRecords || len(s.remove) > 0 && s.held.n == 0:
		return true
	}
	return now.Sub(s.committed) >= commitAfter
}

// commit writes what waits for the disk, removes from it what Kafka has, and then tells those who wait. A disk that says no
// keeps them waiting, within the queue's bound, except that what makes room is tried by itself.
func (s *SpoolEmitter) commit(now time.Time) {
	group, add, remove := s.group()
	if len(add)+len(remove) == 0 {
		return
	}
	err := s.disk.apply(add, remove)
	removed := err == nil
	if err != nil && len(add) > 0 && len(remove) > 0 {
		removed = s.disk.apply(nil, remove) == nil
	}
	s.mu.Lock()
	s.committed, s.state.Records, s.state.Bytes = now, s.disk.records, s.disk.bytes
	if removed {
		s.remove = s.remove[len(remove):]
	}
	var safe []func(error)
	if err == nil {
		safe = s.stored(group, add)
	}
	s.mu.Unlock()
	s.noteDisk(now, err)
	for _, done := range safe {
		s.finish(done, nil)
	}
}

// group is the next transaction: the head of the queue, as far as it finds room, and the numbers to remove.
func (s *SpoolEmitter) group() (group []*outgoing, add []*spooled, remove []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unqueue(func(o *outgoing) bool { return o.settled })
	room := s.config.MaxBytes - s.state.Bytes
	for _, o := range s.queue[:min(len(s.queue), maxCommitRecords)] {
		if room -= int64(len(o.value)); room < 0 {
			break
		}
		group = append(group, o)
		add = append(add, &spooled{key: o.key, value: o.value})
	}
	return group, add, s.remove[:min(len(s.remove), maxCommitRemovals)]
}

// stored takes note that group is on disk, and returns the callbacks of those who wait for that.
func (s *SpoolEmitter) stored(group []*outgoing, as []*spooled) (safe []func(error)) {
	for i, o := range group {
		o.seq = as[i].seq
		if o.settled { // meanwhile
			s.remove = append(s.remove, o.seq)
		} else if done := o.take(); done != nil {
			safe = append(safe, done)
		}
	}
	s.unqueue(func(o *outgoing) bool { return o.seq != 0 })
	return safe
}

// unqueue takes those out of the queue for which gone is true.
func (s *SpoolEmitter) unqueue(gone func(*outgoing) bool) {
	s.queue = slices.DeleteFunc(s.queue, func(o *outgoing) bool {
		if !gone(o) {
			return false
		}
		o.isQueued = false
		s.queued -= int64(len(o.value))
		return true
	})
}

// noteDisk says once that the disk says no, and sets a damaged file aside.
func (s *SpoolEmitter) noteDisk(now time.Time, err error) {
	s.mu.Lock()
	first := err != nil && s.diskErr == nil
	if s.diskErr = err; err != nil {
		s.diskAgain = time.Now().Add(diskPatience + 10*time.Since(now)) // a large spool takes long to read after each fault
	}
	s.mu.Unlock()
	if first {
		s.config.Logger.Error("the spool does not take events; they wait in memory until it or Kafka does", "err", err)
	}
	if errors.Is(err, errDamaged) {
		s.setAside()
	}
}

// setAside begins a new file. What the client still has of the old one is written again.
func (s *SpoolEmitter) setAside() {
	lost := s.disk.records
	aside, err := s.disk.setAside()
	if err != nil {
		s.config.Logger.Error("the damaged spool stays where it is", "err", err)
		return
	}
	s.mu.Lock()
	for o := s.held.first; o != nil; o = o.next {
		if o.seq != 0 {
			o.seq = 0
			s.enqueue(o)
			lost--
		}
	}
	s.sent, s.remove, s.state.Records, s.state.Bytes = 0, nil, 0, 0
	s.mu.Unlock()
	s.config.Logger.Error("the spool is damaged; its file is set aside, and the events in it are not sent", "file", aside, "events", lost)
}

// giveUp writes what can still be written, and ends what can not.
func (s *SpoolEmitter) giveUp() {
	s.turnToDisk(errStopping)
	s.sayCause()
	for left := -1; ; {
		s.commit(time.Now())
		s.mu.Lock()
		before := left
		left = len(s.queue) + len(s.remove)
		s.mu.Unlock()
		if left == 0 || left == before {
			break
		}
	}
	s.mu.Lock()
	err := ErrSpoolFull
	if s.diskErr != nil {
		err = fmt.Errorf("%w: %w", ErrSpoolFull, s.diskErr)
	}
	var lost []func(error)
	for _, o := range s.queue {
		if done := o.take(); done != nil {
			lost = append(lost, done)
		}
	}
	s.mu.Unlock()
	for _, done := range lost {
		s.finish(done, err)
	}
}
