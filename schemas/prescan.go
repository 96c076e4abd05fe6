package schemas

import (
	"fmt"
	"unicode/utf8"
)

// scan walks the plan over body and returns lifts with the positions of the fields that are to be lifted appended. It
// fails unless body is one whole record and nothing more. It allocates nothing but lifts and ends after one step a field.
func (p plan) scan(body []byte, lifts []int) ([]int, error) {
	pos := 0
	for i := range p {
		s := &p[i]
		if s.lift {
			lifts = append(lifts, pos)
		}
		// Half of an event's fields are null.
		if s.nullable && pos < len(body) && body[pos] == 0 {
			pos++
			continue
		}
		next, fault := s.scan(body, pos)
		if fault != "" {
			return lifts, fmt.Errorf("field %q at byte %d: %s", s.field, headerBytes+pos, fault)
		}
		pos = next
	}
	if pos != len(body) {
		return lifts, fmt.Errorf("%d bytes are left over after the last field", len(body)-pos)
	}
	return lifts, nil
}

// scan returns the position after the field that begins at pos, or what is wrong with it.
func (s *step) scan(body []byte, pos int) (int, string) {
	if s.nullable {
		branch, next, fault := readVarint(body, pos, 32)
		switch {
		case fault != "":
			return 0, fault
		case branch == 0:
			return next, ""
		case branch != 1:
			return 0, "union branch does not exist"
		}
		pos = next
	}
	switch s.kind {
	case kindInt, kindLong:
		// Most of what is left is a number, and most of those are short.
		if pos < len(body) && body[pos] < 0x80 {
			return pos + 1, ""
		}
		return s.scanNumber(body, pos)
	case kindNull:
		return pos, ""
	case kindSized:
		if len(body)-pos < s.size {
			return 0, faultCut
		}
		return pos + s.size, ""
	case kindBoolean:
		if pos >= len(body) {
			return 0, faultCut
		}
		if body[pos] > 1 {
			return 0, "boolean is neither 0 nor 1"
		}
		return pos + 1, ""
	case kindBytes, kindString, kindUUID:
		return s.scanText(body, pos)
	default:
		return s.scanNumber(body, pos)
	}
}

// scanText is scan for a length and the bytes after it.
func (s *step) scanText(body []byte, pos int) (int, string) {
	size, pos, fault := readVarint(body, pos, 64)
	switch {
	case fault != "":
		return 0, fault
	case size < 0:
		return 0, "length is negative"
	case size > int64(len(body)-pos):
		return 0, faultCut
	}
	end := pos + int(size)
	text := body[pos:end]
	if s.kind == kindUUID && !isUUID(text) {
		return 0, "not a UUID in its canonical form"
	}
	if s.kind == kindString && !utf8.Valid(text) {
		return 0, "not UTF-8"
	}
	return end, ""
}

// scanNumber is scan for a number and the range that its kind allows.
func (s *step) scanNumber(body []byte, pos int) (int, string) {
	bits := 64
	if s.kind == kindInt || s.kind == kindEnum || s.kind == kindDate {
		bits = 32
	}
	n, next, fault := readVarint(body, pos, bits)
	if fault != "" {
		return 0, fault
	}
	if s.kind == kindInt || s.kind == kindLong {
		return next, ""
	}
	unit := int64(0) // how many make a second
	switch s.kind {
	case kindEnum:
		if n < 0 || n >= int64(s.size) {
			return 0, "enum symbol does not exist"
		}
	case kindDate:
		n, unit = n*86400, 1
	case kindMillis:
		unit = 1e3
	case kindMicros:
		unit = 1e6
	}
	if unit > 0 && (n <= minUnix*unit || n >= (maxUnix+1)*unit) {
		return 0, "time is zero or outside the years 1 to 9999"
	}
	return next, ""
}
