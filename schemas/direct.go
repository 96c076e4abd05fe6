package schemas

import (
	"errors"
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
	case *bool, **bool:
		kinds = []kind{kindBoolean}
	case *time.Time, **time.Time:
		kinds = []kind{kindMicros}
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
			*to = at.time()
		case **time.Time:
			*to = new(at.time())
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

func (c *cursor) time() time.Time { return time.UnixMicro(c.number()).UTC() }
