package schemas

import (
	"sync"
	"time"
)

const (
	// maxWriters bounds the writer schemas that are kept: a subject gains a few a month, all of them fit for decades.
	maxWriters = 256
	// maxUnknown bounds the unknown ids that are remembered, eight bytes and a time each.
	maxUnknown = 1024
	// unknownFor is how long an unknown id is believed to be unknown: long enough that a flood of garbage does not become
	// a flood of requests, short enough that a schema registered meanwhile is soon found.
	unknownFor = 10 * time.Second
)

// writerCache keeps what the registry answered about schema ids. An id's schema never changes, so a decoder, or the
// verdict that there can be none, is kept for as long as there is room.
type writerCache struct {
	mu      sync.RWMutex
	known   map[int]verdict
	unknown map[int]verdict
}

// verdict is a decoder or the reason why there is none.
type verdict struct {
	writer *writer
	err    error
	until  time.Time // for an unknown id
}

func newWriterCache() *writerCache {
	return &writerCache{known: make(map[int]verdict), unknown: make(map[int]verdict)}
}

// get returns what is known about id, and whether anything is.
func (c *writerCache) get(id int) (*writer, error, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if v, ok := c.known[id]; ok {
		return v.writer, v.err, true
	}
	if v, ok := c.unknown[id]; ok && time.Now().Before(v.until) {
		return nil, v.err, true
	}
	return nil, nil, false
}

// put keeps the decoder of id, or the reason why there is none.
func (c *writerCache) put(id int, w *writer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unknown, id)
	makeRoom(c.known, maxWriters)
	c.known[id] = verdict{writer: w, err: err}
}

// putUnknown keeps for a while that the registry does not have id.
func (c *writerCache) putUnknown(id int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	makeRoom(c.unknown, maxUnknown)
	c.unknown[id] = verdict{err: err, until: time.Now().Add(unknownFor)}
}

// makeRoom drops any one entry of a full map. Which one does not matter: it can be asked for again, and a map this full
// is a sign of garbage, not of work.
func makeRoom(entries map[int]verdict, most int) {
	if len(entries) < most {
		return
	}
	for id := range entries {
		delete(entries, id)
		return
	}
}
