package prober

import (
	"sync"
	"time"
)

// acknowledgeWithin is how long a store may acknowledge nothing before a person is told: longer than the election of a
// broker's new leader, shorter than people take to ask.
const acknowledgeWithin = 5 * time.Second

// tally counts events on their way to the store.
type tally struct {
	mu           sync.Mutex
	handed       int
	written      int
	lost         int
	lostInARow   int
	lastLoss     error
	waitingSince time.Time // of the last acknowledgement, or of the first event after a pause
	saidWaiting  bool
}

// hand counts an event that the emitter is given.
func (c *tally) hand(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting() == 0 {
		c.waitingSince = now
	}
	c.handed++
}

// settle counts what became of an event. First is true for the first loss in a row; lostBefore is the number of losses that
// a written event ended.
func (c *tally) settle(now time.Time, err error) (first bool, lostBefore int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.lost++
		c.lostInARow++
		c.lastLoss = err
		return c.lostInARow == 1, 0
	}
	c.written++
	c.waitingSince = now
	lostBefore, c.lostInARow = c.lostInARow, 0
	return false, lostBefore
}

// waiting is the number of events without an answer.
func (c *tally) waiting() int { return c.handed - c.written - c.lost }

// unwritten is the number of events that are not known to be written, and why the last of the lost ones was.
func (c *tally) unwritten() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handed - c.written, c.lastLoss
}

// silence looks whether the store has gone silent or has come back since the last look, which is said once each.
func (c *tally) silence(now time.Time) (gone, back bool, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting = c.waiting()
	silent := waiting > 0 && now.Sub(c.waitingSince) > acknowledgeWithin
	gone, back = silent && !c.saidWaiting, !silent && c.saidWaiting
	c.saidWaiting = silent
	return gone, back, waiting
}
