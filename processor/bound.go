package processor

import (
	"strconv"
	"time"
)

// Bound is where a reading of the log begins or ends. The zero value is the log's start.
type Bound struct {
	kind   boundKind
	offset int64
	time   time.Time
}

type boundKind int

const (
	boundStart boundKind = iota
	boundEnd
	boundOffset
	boundTime
)

// AtStart is the oldest record that the log still has.
func AtStart() Bound { return Bound{} }

// AtEnd is behind the newest record that the log has by now.
func AtEnd() Bound { return Bound{kind: boundEnd} }

// AtOffset is the record with that offset, in every partition that is read.
func AtOffset(offset int64) Bound { return Bound{kind: boundOffset, offset: offset} }

// AtTime is the first record that was written at t or later, by the record's own timestamp, which counts milliseconds.
func AtTime(t time.Time) Bound { return Bound{kind: boundTime, time: t} }

// String gives the bound as the command line takes it: start, end, 1042, 2026-11-25T08:00:00Z.
func (b Bound) String() string {
	switch b.kind {
	case boundEnd:
		return "end"
	case boundOffset:
		return strconv.FormatInt(b.offset, 10)
	case boundTime:
		return b.time.UTC().Format(time.RFC3339Nano)
	}
	return "start"
}

// resolve gives the bound's offset in a partition of which the log has these; byTime is the offset of its time.
func (b Bound) resolve(log logRange, byTime int64) int64 {
	switch b.kind {
	case boundEnd:
		return log.end
	case boundOffset:
		return b.offset
	case boundTime:
		return byTime
	}
	return log.start
}
