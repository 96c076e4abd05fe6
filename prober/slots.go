package prober

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Phase returns how far a target's slots lie from the whole multiples of its interval since 1970: a stable hash of its id,
// in whole milliseconds, from 0 to just under interval. Targets spread evenly over the interval, and a restart keeps
// the rhythm, because nothing else goes in. The interval must be a valid one.
func Phase(targetID string, interval time.Duration) time.Duration {
	hash := sha256.Sum256([]byte(targetID))
	return time.Duration(binary.BigEndian.Uint64(hash[:8])%uint64(interval.Milliseconds())) * time.Millisecond
}

// SlotAt returns the slot that t is in at the moment now: the latest one not after now, in UTC and whole milliseconds.
// Moments before 1970 have none.
func SlotAt(t Target, now time.Time) time.Time {
	return moment(newRhythm(&t).at(now.UnixMilli()))
}

// NextSlot returns the first slot of t after the moment now, in UTC and whole milliseconds.
func NextSlot(t Target, now time.Time) time.Time {
	r := newRhythm(&t)
	return moment(r.at(now.UnixMilli()) + r.interval)
}

// rhythm is when a target is due, in milliseconds since 1970 as every number of the schedule.
type rhythm struct{ phase, interval int64 }

func newRhythm(t *Target) rhythm {
	return rhythm{phase: Phase(t.ID, t.Interval).Milliseconds(), interval: t.Interval.Milliseconds()}
}

// at is floor((now - phase)/interval), as a moment. Division in Go rounds towards zero, which is the floor from the first
// interval of 1970 on.
func (r rhythm) at(now int64) int64 { return (now-r.phase)/r.interval*r.interval + r.phase }

func moment(millis int64) time.Time { return time.UnixMilli(millis).UTC() }
