package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sync/singleflight"

	"webcheck/gen/event"
)

// ErrUndecodable is what [DecoderOf.Decode]'s error satisfies when the bytes can never be decoded: a dead letter.
var ErrUndecodable = errors.New("undecodable value")

// UndecodableError says why a value can never be decoded. It satisfies errors.Is with [ErrUndecodable].
type UndecodableError struct {
	// SchemaID that the value carries, or 0 when it carries none.
	SchemaID int

	err error
}

// maxCauseBytes bounds an UndecodableError's text, which goes along with the dead letter: a hostile schema can have faults
// and names that fill pages. The error that it wraps has them all.
const maxCauseBytes = 2000

// Error says what is wrong with the value, and which schema it claims to be written with, in at most 2000 bytes and a few.
func (e *UndecodableError) Error() string {
	text := e.err.Error()
	if len(text) > maxCauseBytes {
		text = strings.ToValidUTF8(text[:maxCauseBytes], "") + " …"
	}
	if e.SchemaID == 0 {
		return text
	}
	return fmt.Sprintf("value with schema id %d: %s", e.SchemaID, text)
}

// Is makes the error satisfy errors.Is with [ErrUndecodable].
func (e *UndecodableError) Is(target error) bool { return target == ErrUndecodable }

// Unwrap returns the cause, such as an [*UnknownSchemaError] or a [*ProfileError].
func (e *UndecodableError) Unwrap() error { return e.err }

// Decoder turns values into the results of checks.
type Decoder = DecoderOf[event.CheckCompleted]

// DecoderOf turns values into events of type E. It may be used from several goroutines, and asks the registry once for each
// writer's schema, however many wait for it.
type DecoderOf[E Event] struct {
	registry *Registry
	reader   *Schema
	writers  *writerCache
	fetches  singleflight.Group
}

// NewDecoder is [NewDecoderOf] for results of checks: s is this build's, [CheckCompleted].
func NewDecoder(r *Registry, s *Schema) *Decoder { return NewDecoderOf[event.CheckCompleted](r, s) }

// NewDecoderOf returns a decoder whose events are s, which is this build's schema of E, from values written with any schema
// that r has under s's subject.
func NewDecoderOf[E Event](r *Registry, s *Schema) *DecoderOf[E] {
	return &DecoderOf[E]{registry: r, reader: s, writers: newWriterCache()}
}

// Decode turns value into *into, which is the event afterwards, or of no use if there is an error.
//
// An error that satisfies errors.Is with [ErrUndecodable] is for ever: no value (a tombstone), no wire format, a schema
// id that the registry does not have under the subject, a schema that is outside the profile or cannot be read as this
// build's, or bytes that are not exactly one record of it. Any other error is the registry's absence or ctx's end.
func (d *DecoderOf[E]) Decode(ctx context.Context, value []byte, into *E) error {
	id, err := schemaID(value)
	if err != nil {
		return &UndecodableError{err: err}
	}
	w, err := d.writer(ctx, id)
	if err != nil {
		return err
	}
	if err := decode(w, value[headerBytes:], into); err != nil {
		return &UndecodableError{SchemaID: id, err: err}
	}
	return nil
}

// schemaID returns the id in the header of value.
func schemaID(value []byte) (int, error) {
	switch {
	case len(value) == 0:
		return 0, errors.New("no value")
	case len(value) > MaxBytes:
		return 0, fmt.Errorf("the value has %d bytes, more than %d", len(value), MaxBytes)
	case value[0] != 0:
		return 0, fmt.Errorf("the value begins with byte %#02x, not with the magic byte 0", value[0])
	case len(value) < headerBytes:
		return 0, fmt.Errorf("the value has %d bytes, too few for a schema id", len(value))
	}
	id := binary.BigEndian.Uint32(value[1:headerBytes])
	if id == 0 || id > math.MaxInt32 {
		return 0, fmt.Errorf("schema id %d is outside 1 to %d", id, math.MaxInt32)
	}
	return int(id), nil
}

// writer returns the decoder for values with id: the one at hand, or one for the schema that the registry has.
func (d *DecoderOf[E]) writer(ctx context.Context, id int) (*writer, error) {
	for ctx.Err() == nil {
		if w, err, ok := d.writers.get(id); ok {
			return w, err
		}
		fetch := d.fetches.DoChan(strconv.Itoa(id), func() (any, error) { return d.fetch(ctx, id) })
		select {
		case <-ctx.Done():
		case result := <-fetch:
			// The fetch runs under the context of whoever came first. If that one left, the next one asks again.
			if !errors.Is(result.Err, errLeft) {
				w, _ := result.Val.(*writer)
				return w, result.Err
			}
		}
	}
	return nil, fmt.Errorf("fetching schema %d: %w", id, context.Cause(ctx))
}

// errLeft is what a fetch brings whose context ended.
var errLeft = errors.New("context of the fetch ended")

// fetch asks the registry for the schema id and keeps what it answers. That it does not answer is not kept.
func (d *DecoderOf[E]) fetch(ctx context.Context, id int) (*writer, error) {
	// Another fetch may have ended between our look at the cache and our turn.
	if w, err, ok := d.writers.get(id); ok {
		return w, err
	}
	wrote, err := d.registry.WriterSchema(ctx, d.reader.Subject, id)
	if err != nil && ctx.Err() != nil {
		return nil, errLeft
	}
	if errors.Is(err, ErrUnknownSchema) {
		err = &UndecodableError{err: err}
		d.writers.putUnknown(id, err)
		return nil, err
	}
	if _, bad := errors.AsType[*ProfileError](err); err != nil && !bad {
		return nil, err
	}
	var w *writer
	if err == nil {
		w, err = newWriter(d.reader, wrote)
	}
	if err != nil {
		err = &UndecodableError{SchemaID: id, err: err}
	}
	d.writers.put(id, w, err)
	return w, err
}
