package processor

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"reflect"
	"time"

	"webcheck/gen/db"
)

// hasher hashes rows by their content. Rows that PostgreSQL holds for equal have equal hashes.
type hasher struct {
	buffer []byte
}

// sum hashes every field, whichever a row has: one that is added later is not forgotten here.
func (h *hasher) sum(seed maphash.Seed, row *db.CopyChecksParams) uint64 {
	h.buffer = h.buffer[:0]
	fields := reflect.ValueOf(row).Elem()
	for i := range fields.NumField() {
		h.buffer = appendField(h.buffer, fields.Field(i))
	}
	return maphash.Bytes(seed, h.buffer)
}

func appendField(dst []byte, field reflect.Value) []byte {
	if field.Kind() == reflect.Pointer {
		if field.IsNil() {
			return append(dst, 0)
		}
		dst, field = append(dst, 1), field.Elem()
	}
	switch field.Kind() {
	case reflect.Slice:
		dst = binary.BigEndian.AppendUint32(dst, uint32(field.Len()))
		return append(dst, field.Bytes()...)
	case reflect.Float32, reflect.Float64:
		return appendFloat(dst, field.Float())
	case reflect.String:
		dst = binary.BigEndian.AppendUint32(dst, uint32(field.Len()))
		return append(dst, field.String()...)
	case reflect.Bool:
		if field.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case reflect.Struct: // there is one kind of struct: what is none panics in the first test
		return binary.BigEndian.AppendUint64(dst, uint64(field.Addr().Interface().(*time.Time).UnixMicro()))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(field.Int()))
}

// appendFloat appends one number for all that are equal: PostgreSQL has one NaN, and two zeros that are the same.
func appendFloat(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		v = math.NaN()
	case v == 0:
		v = 0
	}
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
}
