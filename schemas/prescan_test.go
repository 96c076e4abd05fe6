package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"webcheck/embedded/testservices/seed"
)

// text returns s as Avro writes strings.
func text(s string) []byte { return append(zigzag(nil, int64(len(s))), s...) }

func number(n int64) []byte { return zigzag(nil, n) }

func TestScanHoldsEachTypeToItsRange(t *testing.T) {
	const uuid = "019cece5-2687-7f9d-b81f-53b6b08ff82c"
	const (
		nullableInt = `["null","int"]`
		micros      = `{"type":"long","logicalType":"timestamp-micros"}`
		millis      = `{"type":"long","logicalType":"timestamp-millis"}`
		date        = `{"type":"int","logicalType":"date"}`
		uuidType    = `{"type":"string","logicalType":"uuid"}`
	)
	long := func(n int, last byte) []byte { return append(make80(n), last) }
	for _, c := range []struct {
		name, typ string
		body      []byte
		want      string // part of the error, or "" for none
	}{
		{"boolean", `"boolean"`, []byte{1}, ""},
		{"boolean 2", `"boolean"`, []byte{2}, "neither 0 nor 1"},
		{"no boolean", `"boolean"`, nil, faultCut},
		{"smallest int", `"int"`, number(math.MinInt32), ""},
		{"largest int", `"int"`, number(math.MaxInt32), ""},
		{"int of 33 bits", `"int"`, number(math.MaxInt32 + 1), "number is too large"},
		{"int of six bytes", `"int"`, long(5, 0), "number is too long"},
		{"cut int", `"int"`, make80(2), faultCut},
		{"smallest long", `"long"`, number(math.MinInt64), ""},
		{"largest long", `"long"`, number(math.MaxInt64), ""},
		{"long of 65 bits", `"long"`, long(9, 2), "number is too large"},
		{"long of eleven bytes", `"long"`, long(10, 0), "number is too long"},
		{"float", `"float"`, make([]byte, 4), ""},
		{"cut float", `"float"`, make([]byte, 3), faultCut},
		{"double", `"double"`, make([]byte, 8), ""},
		{"cut double", `"double"`, make([]byte, 7), faultCut},
		{"fixed", `{"type":"fixed","name":"F","size":5}`, make([]byte, 5), ""},
		{"cut fixed", `{"type":"fixed","name":"F","size":5}`, make([]byte, 4), faultCut},
		{"bytes that are no UTF-8", `"bytes"`, text("\xff"), ""},
		{"string", `"string"`, text("ab\x00€"), ""},
		{"string that is no UTF-8", `"string"`, text("\xff"), "not UTF-8"},
		{"negative length", `"string"`, number(-1), "length is negative"},
		{"most negative length", `"string"`, number(math.MinInt64), "length is negative"},
		{"length beyond the end", `"string"`, number(1), faultCut},
		{"largest length", `"string"`, number(math.MaxInt64), faultCut},
		{"uuid", uuidType, text(uuid), ""},
		{"uuid in upper case", uuidType, text(strings.ToUpper(uuid)), "not a UUID"},
		{"short uuid", uuidType, text(uuid[1:]), "not a UUID"},
		{"uuid in braces", uuidType, text("{" + uuid + "}"), "not a UUID"},
		{"null", nullableInt, number(0), ""},
		{"second branch", nullableInt, append(number(1), number(7)...), ""},
		{"second branch without its value", nullableInt, number(1), faultCut},
		{"third branch", nullableInt, append(number(2), number(7)...), "union branch does not exist"},
		{"negative branch", nullableInt, append(number(-1), number(7)...), "union branch does not exist"},
		{"no branch", nullableInt, nil, faultCut},
		{"last symbol", enum(3), number(2), ""},
		{"symbol after the last", enum(3), number(3), "enum symbol does not exist"},
		{"negative symbol", enum(3), number(-1), "enum symbol does not exist"},
		{"first microsecond", micros, number(minUnix*1e6 + 1), ""},
		{"zero time", micros, number(minUnix * 1e6), "time is zero or outside"},
		{"last microsecond", micros, number((maxUnix+1)*1e6 - 1), ""},
		{"year 10000 in microseconds", micros, number((maxUnix + 1) * 1e6), "time is zero or outside"},
		{"largest time", micros, number(math.MaxInt64), "time is zero or outside"},
		{"last millisecond", millis, number((maxUnix+1)*1e3 - 1), ""},
		{"year 10000 in milliseconds", millis, number((maxUnix + 1) * 1e3), "time is zero or outside"},
		{"last day", date, number(maxUnix / 86400), ""},
		{"day after the last", date, number(maxUnix/86400 + 1), "time is zero or outside"},
		{"largest day", date, number(math.MaxInt32), "time is zero or outside"},
		{"a byte left over", `"int"`, []byte{2, 0}, "1 bytes are left over"},
		{"no bytes", `"int"`, nil, faultCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, record(field(c.typ)))
			_, err := newPlan(s.record, s.record).scan(c.body, nil)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// make80 returns n bytes of a number that goes on.
func make80(n int) []byte { return []byte(strings.Repeat("\x80", n)) }

// randomSchema returns the text of a schema within the profile and, for each of its fields, a maker of valid bytes.
func randomSchema(rnd *rand.Rand) (string, []func(*rand.Rand) []byte) {
	makers := []struct {
		typ  string
		make func(*rand.Rand) []byte
	}{
		{`"boolean"`, func(r *rand.Rand) []byte { return []byte{byte(r.IntN(2))} }},
		{`"int"`, func(r *rand.Rand) []byte { return number(int64(int32(r.Uint32()) >> r.IntN(32))) }},
		{`"long"`, func(r *rand.Rand) []byte { return number(int64(r.Uint64()) >> r.IntN(64)) }},
		{`"float"`, func(r *rand.Rand) []byte { return binary.LittleEndian.AppendUint32(nil, r.Uint32()) }},
		{`"double"`, func(r *rand.Rand) []byte { return binary.LittleEndian.AppendUint64(nil, r.Uint64()) }},
		{`"bytes"`, func(r *rand.Rand) []byte { return text(strings.Repeat("\xfe", r.IntN(200))) }},
		{`"string"`, func(r *rand.Rand) []byte { return text(strings.Repeat("ä", r.IntN(100))) }},
		{`{"type":"string","logicalType":"uuid"}`, func(r *rand.Rand) []byte {
			id := formatUUID([16]byte{byte(r.Uint32()), 3: byte(r.Uint32())})
			return text(string(id[:]))
		}},
		{`{"type":"int","logicalType":"date"}`, func(r *rand.Rand) []byte { return number(r.Int64N(2e6)) }},
		{`{"type":"long","logicalType":"timestamp-micros"}`, func(r *rand.Rand) []byte { return number(r.Int64N(2e17)) }},
		{`{"type":"long","logicalType":"timestamp-millis"}`, func(r *rand.Rand) []byte { return number(r.Int64N(2e14)) }},
		{`{"type":"enum","name":"E%d","symbols":["a","b","c"]}`, func(r *rand.Rand) []byte { return number(r.Int64N(3)) }},
		{`{"type":"fixed","name":"F%d","size":9}`, func(r *rand.Rand) []byte { return make([]byte, 9) }},
	}
	var fields []string
	var values []func(*rand.Rand) []byte
	for i := range 1 + rnd.IntN(12) {
		m := makers[rnd.IntN(len(makers))]
		typ := strings.Replace(m.typ, "%d", fmt.Sprint(i), 1)
		value := m.make
		if rnd.IntN(2) == 0 {
			typ = `["null",` + typ + `]`
			value = func(r *rand.Rand) []byte {
				if r.IntN(2) == 0 {
					return number(0)
				}
				return append(number(1), m.make(r)...)
			}
		}
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":%s}`, i, typ))
		values = append(values, value)
	}
	return record(fields...), values
}

func TestScanAcceptsWholeRecordsAlone(t *testing.T) {
	rnd := seed.Random(t)
	for range 500 {
		schema, makers := randomSchema(rnd)
		s := parse(t, schema)
		p := newPlan(s.record, s.record)
		var body []byte
		for _, m := range makers {
			body = append(body, m(rnd)...)
		}
		if _, err := p.scan(body, nil); err != nil {
			t.Fatalf("%s: %x: %v", schema, body, err)
		}
		for n := range body {
			if _, err := p.scan(body[:n], nil); err == nil {
				t.Fatalf("%s: %x cut to %d bytes was accepted", schema, body, n)
			}
		}
		if _, err := p.scan(append(body, 0), nil); err == nil {
			t.Fatalf("%s: %x with a byte more was accepted", schema, body)
		}
	}
}
