package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// Bounds of what is written.
const (
	// MaxBytes bounds a value, header and all: an event has a few hundred bytes, and brokers refuse more than this.
	MaxBytes = 1 << 20
	// MaxFailureTextBytes bounds FailureText of checks and transitions: a sentence, not a page.
	MaxFailureTextBytes = 1024
	// MaxAssertionValueBytes bounds CheckCompleted.AssertionValue: enough to see what came instead.
	MaxAssertionValueBytes = 256
)

// headerBytes is the length of Confluent's wire format before the Avro: a zero byte and a big-endian schema id.
const headerBytes = 5

// Event is one of the events of this build.
type Event interface {
	event.CheckCompleted | event.TargetDefined | event.TargetTransitioned
}

// Encoder turns the results of checks into values.
type Encoder = EncoderOf[event.CheckCompleted]

// EncoderOf turns events of type E into values. It may be used from several goroutines.
type EncoderOf[E Event] struct {
	schema  *Schema
	id      int
	plan    plan
	writers sync.Pool
}

// NewEncoder is [NewEncoderOf] for results of checks: s is this build's, [CheckCompleted].
func NewEncoder(s *Schema, id int) *Encoder { return NewEncoderOf[event.CheckCompleted](s, id) }

// NewEncoderOf returns an encoder that writes with s, which is registered under id and is this build's schema of E. An id
// that does not fit the wire format is refused with the first event.
func NewEncoderOf[E Event](s *Schema, id int) *EncoderOf[E] {
	e := &EncoderOf[E]{schema: s, id: id, plan: newPlan(s.record, s.record)}
	config := newConfig()
	e.writers.New = func() any { return avro.NewWriter(nil, 512, avro.WithWriterConfig(config)) }
	return e
}

// AppendEncode appends v as a value to dst and returns the extended slice. An event that a reader would refuse is refused
// here, and dst comes back as it was: invalid UTF-8, an unknown enum symbol, a malformed id, a zero time or one outside
// the years 1 to 9999, a text longer than its bound, more than [MaxBytes] in all. Times are cut to microseconds.
func (e *EncoderOf[E]) AppendEncode(dst []byte, v *E) ([]byte, error) {
	if e.id < 1 || e.id > math.MaxInt32 {
		return dst, fmt.Errorf("encoding %s: schema id %d does not fit the wire format", nameOf(v), e.id)
	}
	if err := checkWritable(v); err != nil {
		return dst, fmt.Errorf("encoding %s: %w", nameOf(v), err)
	}
	w := e.writers.Get().(*avro.Writer)
	defer e.writers.Put(w)
	w.Reset(nil)
	w.Error = nil
	w.WriteVal(e.schema.record, v)
	if w.Error != nil {
		return dst, fmt.Errorf("encoding %s: %w", nameOf(v), w.Error)
	}
	body := w.Buffer()
	if len(body)+headerBytes > MaxBytes {
		return dst, fmt.Errorf("encoding %s: the value has %d bytes, more than %d", nameOf(v), len(body)+headerBytes, MaxBytes)
	}
	// What a decoder's walk would refuse must not leave: this is where strings and the id are looked at.
	if _, err := e.plan.scan(body, nil); err != nil {
		return dst, fmt.Errorf("encoding %s: %w", nameOf(v), err)
	}
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.id))
	return append(dst, body...), nil
}

// newConfig returns a configuration of the Avro library with its limits set. Each schema's codec has one of its own: the
// library's caches are keyed without defaults and never emptied, so they must not outlive or be shared by schemas.
func newConfig() avro.API {
	return avro.Config{MaxByteSliceSize: MaxBytes, MaxSliceAllocSize: MaxBytes}.Freeze()
}
