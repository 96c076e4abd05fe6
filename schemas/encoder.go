package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// Bounds of what is written.
const (
	// MaxBytes bounds a value, header and all: an event has a few hundred bytes, and brokers refuse more than this.
	MaxBytes = 1 << 20
	// MaxFailureTextBytes bounds CheckCompleted.FailureText: a sentence, not a page.
	MaxFailureTextBytes = 1024
	// MaxAssertionValueBytes bounds CheckCompleted.AssertionValue: enough to see what came instead.
	MaxAssertionValueBytes = 256
)

// headerBytes is the length of Confluent's wire format before the Avro: a zero byte and a big-endian schema id.
const headerBytes = 5

// Encoder turns events into values. It may be used from several goroutines.
type Encoder struct {
	schema  *Schema
	id      int
	plan    plan
	writers sync.Pool
}

// NewEncoder returns an Encoder that writes with s, which is registered under id and is this build's, [CheckCompleted]. An
// id that does not fit the wire format is refused with the first event.
func NewEncoder(s *Schema, id int) *Encoder {
	e := &Encoder{schema: s, id: id, plan: newPlan(s.record, s.record)}
	config := newConfig()
	e.writers.New = func() any { return avro.NewWriter(nil, 512, avro.WithWriterConfig(config)) }
	return e
}

// AppendEncode appends v as a value to dst and returns the extended slice. An event that a reader would refuse is refused
// here, and dst comes back as it was: invalid UTF-8, an unknown enum symbol, a malformed id, a zero time or one outside
// the years 1 to 9999, a text longer than its bound, more than [MaxBytes] in all. Times are cut to microseconds.
func (e *Encoder) AppendEncode(dst []byte, v *event.CheckCompleted) ([]byte, error) {
	if e.id < 1 || e.id > math.MaxInt32 {
		return dst, fmt.Errorf("encoding event %q: schema id %d does not fit the wire format", v.EventID, e.id)
	}
	if err := checkWritable(v); err != nil {
		return dst, fmt.Errorf("encoding event %q: %w", v.EventID, err)
	}
	w := e.writers.Get().(*avro.Writer)
	defer e.writers.Put(w)
	w.Reset(nil)
	w.Error = nil
	w.WriteVal(e.schema.record, v)
	if w.Error != nil {
		return dst, fmt.Errorf("encoding event %q: %w", v.EventID, w.Error)
	}
	body := w.Buffer()
	if len(body)+headerBytes > MaxBytes {
		return dst, fmt.Errorf("encoding event %q: the value has %d bytes, more than %d", v.EventID, len(body)+headerBytes, MaxBytes)
	}
	// What a decoder's walk would refuse must not leave: this is where strings and the id are looked at.
	if _, err := e.plan.scan(body, nil); err != nil {
		return dst, fmt.Errorf("encoding event %q: %w", v.EventID, err)
	}
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.id))
	return append(dst, body...), nil
}

// checkWritable looks at what the walk over the bytes cannot: times before they are made a number that may overflow, and
// the bounds of texts that the schema only tells people about.
func checkWritable(v *event.CheckCompleted) error {
	times := []struct {
		field string
		time  *time.Time
	}{{"slot", &v.Slot}, {"started_at", &v.StartedAt}, {"certificate_expires_at", v.CertificateExpiresAt}}
	for _, t := range times {
		if t.time == nil {
			continue
		}
		if unix := t.time.Unix(); t.time.IsZero() || unix < minUnix || unix > maxUnix {
			return fmt.Errorf("field %q: time %s is zero or outside the years 1 to 9999", t.field, t.time)
		}
	}
	if n := textBytes(v.FailureText); n > MaxFailureTextBytes {
		return fmt.Errorf("field %q: the text has %d bytes, more than %d", "failure_text", n, MaxFailureTextBytes)
	}
	if n := textBytes(v.AssertionValue); n > MaxAssertionValueBytes {
		return fmt.Errorf("field %q: the text has %d bytes, more than %d", "assertion_value", n, MaxAssertionValueBytes)
	}
	return nil
}

// textBytes returns the length of a text that may not be there.
func textBytes(text *string) int {
	if text == nil {
		return 0
	}
	return len(*text)
}

// newConfig returns a configuration of the Avro library with its limits set. Each schema's codec has one of its own: the
// library's caches are keyed without defaults and never emptied, so they must not outlive or be shared by schemas.
func newConfig() avro.API {
	return avro.Config{MaxByteSliceSize: MaxBytes, MaxSliceAllocSize: MaxBytes}.Freeze()
}
