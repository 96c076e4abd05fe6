package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"webcheck/gen/event"
)

// The domains keep ids of one kind apart from every other hash of the same texts.
const (
	eventIDDomain      = "webcheck event id 1\x00"
	transitionIDDomain = "webcheck transition id 1\x00"
	correctionIDDomain = "webcheck correction id 1\x00"
)

// maxEventMillis is the last Unix millisecond that fits the 48 bits of a UUIDv7, in the year 10889.
const maxEventMillis = 1<<48 - 1

// EventID returns the id of the one event that may exist for a target, a location and a slot.
//
// It is a UUIDv7 (RFC 9562, section 5.7) in the canonical form of 36 lower-case characters: 48 bits are the slot's Unix
// time in milliseconds, rounded down, and the 74 free bits are the head of a SHA-256 over target and location, each
// preceded by its length, so that "ab","c" and "a","bc" differ. Nothing else goes in: two probers that ran the same slot
// make the same id, and ids sort by slot. A slot before 1970 or after the year 10889 has no id of its own;
// [CheckEventID] refuses it.
func EventID(targetID, location string, slot time.Time) string {
	text := slotID(eventIDDomain, slot, targetID, location)
	return string(text[:])
}

// TransitionID returns the id of the one transition of a target from a state to another that a check of slot can cause. It is
// made like [EventID], with from and to, which are symbols of event.TargetState, in the location's place.
func TransitionID(targetID, from, to string, slot time.Time) string {
	text := slotID(transitionIDDomain, slot, targetID, from, to)
	return string(text[:])
}

// CorrectionID returns the id of a correction, which is that of the transition that it tells and of the event that was told of the
// target before, by its id; "" where none is known. The same transition may come to be told again, after another correction.
func CorrectionID(targetID, from, to string, slot time.Time, before string) string {
	text := slotID(correctionIDDomain, slot, targetID, from, to, before)
	return string(text[:])
}

// slotID makes a UUIDv7 of slot's milliseconds and a hash over domain and parts, each part preceded by its length. It does not
// allocate for parts of usual lengths.
func slotID(domain string, slot time.Time, parts ...string) [36]byte {
	var space [192]byte
	input := append(space[:0], domain...)
	for _, part := range parts {
		input = binary.BigEndian.AppendUint32(input, uint32(len(part)))
		input = append(input, part...)
	}
	hash := sha256.Sum256(input)

	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(slot.UnixMilli())<<16)
	copy(id[6:], hash[:10])
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return formatUUID(id)
}

// formatUUID writes id in the canonical 8-4-4-4-12 form.
func formatUUID(id [16]byte) (text [36]byte) {
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return text
}

// CheckEventID reports why e cannot be the event of its slot: no target, no location, a slot that is not in whole
// milliseconds between 1970 and 10889, or an id that is not [EventID] of the three. An event that fails can never be
// applied, since its id would count it twice or not at all.
func CheckEventID(e *event.CheckCompleted) error {
	millis := e.Slot.UnixMilli()
	switch {
	case e.TargetID == "":
		return fmt.Errorf("checking event %q: the target id is empty", e.EventID)
	case e.Location == "":
		return fmt.Errorf("checking event %q: the location is empty", e.EventID)
	case millis < 0 || millis > maxEventMillis:
		return fmt.Errorf("checking event %q: slot %s is outside the years 1970 to 10889", e.EventID, e.Slot)
	case !time.UnixMilli(millis).Equal(e.Slot):
		return fmt.Errorf("checking event %q: slot %s is not in whole milliseconds", e.EventID, e.Slot)
	}
	if want := slotID(eventIDDomain, e.Slot, e.TargetID, e.Location); e.EventID != string(want[:]) {
		return fmt.Errorf("checking event %q: target %q, location %q and slot %s make the id %q",
			e.EventID, e.TargetID, e.Location, e.Slot.UTC().Format(time.RFC3339Nano), want)
	}
	return nil
}
