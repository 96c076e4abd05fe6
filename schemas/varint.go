package schemas

// faultCut is the fault of a field whose bytes end too early.
const faultCut = "cut off"

// readVarint reads Avro's zig-zag number of 32 or 64 bits at pos and returns it with the position after it, or what is
// wrong. It takes as many bytes as the width can need, five or ten, and refuses bits beyond the width.
func readVarint(body []byte, pos, bits int) (n int64, next int, fault string) {
	// Nearly all numbers of an event have one byte.
	if pos < len(body) && body[pos] < 0x80 {
		b := int64(body[pos])
		return b>>1 ^ -(b & 1), pos + 1, ""
	}
	most := (bits + 6) / 7
	rest := body[pos:min(pos+most, len(body))]
	var value uint64
	for i, b := range rest {
		value |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if i == most-1 && b>>(bits-7*i) != 0 {
			return 0, 0, "number is too large"
		}
		return int64(value>>1) ^ -int64(value&1), pos + i + 1, ""
	}
	if len(rest) < most {
		return 0, 0, faultCut
	}
	return 0, 0, "number is too long"
}

// isUUID says whether text is a UUID as RFC 9562 writes it: 8-4-4-4-12 hexadecimal digits in lower case.
func isUUID(text []byte) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	return isHex(text[:8]) && isHex(text[9:13]) && isHex(text[14:18]) && isHex(text[19:23]) && isHex(text[24:])
}

func isHex(text []byte) bool {
	ok := true
	for _, c := range text {
		// A byte below '0' or 'a' wraps around to a large number.
		ok = ok && (c-'0' < 10 || c-'a' < 6)
	}
	return ok
}
