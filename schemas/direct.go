package schemas

import (
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// direct decodes values of this build's own schema, which nearly all are, straight into the event. The library does the
// same in more than twice the time: for each field that may be null it looks for a converter, and it allocates each by itself.
type direct struct {
	fields []directField
	ints   int // how many may be null
}

// directField is one field of schema and event.
type directField struct {
	kind     kind
	nullable bool
	symbols  []string // kindEnum
}

// newDirect returns nil where the event's fields are not the schema's, or of a type that only the library knows.
func newDirect(record *avro.RecordSchema) *direct {
	into := new(event.CheckCompleted).Pointers()
	goType := reflect.TypeFor[event.CheckCompleted]()
	if len(record.Fields()) != len(into) {
		return nil
	}
	d := new(direct)
	for i, f := range record.Fields() {
		schema, nullable := unwrap(f.Type())
		field := directField{nullable: nullable}
		field.kind, _ = kindOf(schema)
		if enum, is := schema.(*avro.EnumSchema); is {
			field.symbols = enum.Symbols()
		}
		if goType.Field(i).Tag.Get("avro") != f.Name() || !field.fits(into[i]) {
			return nil
		}
		if field.kind == kindInt && nullable {
			d.ints++
		}
		d.fields = append(d.fields, field)
	}
	return d
}

// fits reports whether decode knows how to put the field there.
func (f directField) fits(to any) bool {
	var kinds []kind
	switch to.(type) {
	case *string, **string:
		kinds = []kind{kindString, kindUUID, kindEnum}
	case *int32, **int32:
		kinds = []kind{kindInt}
	case *int64, **int64:
		kinds = []kind{kindLong}
	case *float32, **float32:
		kinds = []kind{kindSized}
	case *float64, **float64:
		kinds = []kind{kindSized}
	case *[]byte, **[]byte:
		kinds = []kind{kindBytes}
	case *bool, **bool:
		kinds = []kind{kindBoolean}
	case *time.Time, **time.Time:
		kinds = []kind{kindMicros, kindMillis, kindDate}
	}
	nullable := reflect.TypeOf(to).Elem().Kind() == reflect.Pointer
	return slices.Contains(kinds, f.kind) && nullable == f.nullable
}

// decode turns body, which plan.scan has found to be one whole record, into *into.
func (d *direct) decode(body []byte, into *event.CheckCompleted) error {
	*into = event.CheckCompleted{}
	at := cursor{body: body, text: string(body)} // one allocation for all texts
	ints := make([]int32, 0, d.ints)             // and one for all numbers that may be null
	for i, to := range into.Pointers() {
		f := &d.fields[i]
		if f.nullable && at.number() == 0 {
			continue
		}
		switch to := to.(type) {
		case *string:
			*to = at.string(f)
		case **string:
			*to = new(at.string(f))
		case *int32:
			*to = int32(at.number())
		case **int32:
			ints = append(ints, int32(at.number()))
			*to = &ints[len(ints)-1]
		case *bool:
			*to = at.bool()
		case **bool:
			*to = new(at.bool())
		case *time.Time:
			*to = at.time(f.kind)
		case **time.Time:
			*to = new(at.time(f.kind))
		default:
			at.seldom(to)
		}
	}
	if at.pos != len(body) {
		return errors.New("bytes are left over after decoding")
	}
	return nil
}

// cursor walks over bytes that are known to be sound.
type cursor struct {
	body []byte
	text string // the same bytes
	pos  int
}

func (c *cursor) number() (n int64) {
	if b := c.body[c.pos]; b < 0x80 { // nearly always
		c.pos++
		return int64(b>>1) ^ -int64(b&1)
	}
	n, c.pos, _ = readVarint(c.body, c.pos, 64)
	return n
}

func (c *cursor) string(f *directField) string {
	n := int(c.number())
	if f.kind == kindEnum {
		return f.symbols[n]
	}
	c.pos += n
	return c.text[c.pos-n : c.pos]
}

func (c *cursor) bool() bool {
	c.pos++
	return c.body[c.pos-1] != 0
}

func (c *cursor) time(k kind) time.Time {
	switch n := c.number(); k {
	case kindDate:
		return time.Unix(n*24*60*60, 0).UTC()
	case kindMillis:
		return time.UnixMilli(n).UTC()
	default:
		return time.UnixMicro(n).UTC()
	}
}

// seldom puts what is read into a field of a type that few fields have.
func (c *cursor) seldom(to any) {
	switch to := to.(type) {
	case *int64:
		*to = c.number()
	case **int64:
		*to = new(c.number())
	case *float32:
		*to = math.Float32frombits(binary.LittleEndian.Uint32(c.next(4)))
	case **float32:
		*to = new(math.Float32frombits(binary.LittleEndian.Uint32(c.next(4))))
	case *float64:
		*to = math.Float64frombits(binary.LittleEndian.Uint64(c.next(8)))
	case **float64:
		*to = new(math.Float64frombits(binary.LittleEndian.Uint64(c.next(8))))
	case *[]byte:
		*to = c.bytes()
	case **[]byte:
		*to = new(c.bytes())
	}
}

// next gives the next n bytes.
func (c *cursor) next(n int) []byte {
	c.pos += n
	return c.body[c.pos-n : c.pos]
}

func (c *cursor) bytes() []byte { return append([]byte{}, c.next(int(c.number()))...) }
