package schemas

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// writer decodes the values of one writer's schema for one reader's. It may be used from several goroutines.
type writer struct {
	plan     plan
	resolved avro.Schema // what the library decodes with
	lifting  bool        // whether a step of plan lifts
	readers  sync.Pool   // of *avro.Reader
	direct   *direct     // used instead of resolved; nil unless the schema is this build's own
}

// newWriter works out how values written with wrote become the reader's. The error says why they never can.
func newWriter(reader, wrote *Schema) (*writer, error) {
	resolved, err := resolve(reader, wrote)
	if err != nil {
		return nil, err
	}
	w := &writer{plan: newPlan(reader.record, wrote.record), resolved: resolved}
	w.lifting = slices.ContainsFunc(w.plan, func(s step) bool { return s.lift })
	if reader.Text == wrote.Text {
		w.direct = newDirect(reader.record)
	}
	config := newConfig()
	w.readers.New = func() any { return avro.NewReader(nil, 0, avro.WithReaderConfig(config)) }
	return w, nil
}

// resolve returns the schema that reads the bytes of wrote, after lifting, as reader's.
func resolve(reader, wrote *Schema) (avro.Schema, error) {
	// Resolution fails on some schemas even against themselves, and has nothing to do here.
	if reader.Text == wrote.Text {
		return reader.record, nil
	}
	if found := disagreements(side{schema: reader.record}, side{schema: wrote.record}); len(found) > 0 {
		refused := &IncompatibleError{Subject: wrote.Subject}
		for _, m := range found {
			refused.Messages = append(refused.Messages, m.message(voices{reader: "this build", writer: "its writer", writes: "wrote"}))
		}
		return nil, refused
	}
	if err := checkMeaning(reader.record, wrote.record); err != nil {
		return nil, err
	}
	lifted, err := liftRecord(reader.record, wrote.record)
	if err != nil {
		return nil, err
	}
	resolved, err := avro.NewSchemaCompatibility().Resolve(reader.record, lifted)
	if err != nil {
		return nil, fmt.Errorf("resolving the schemas: %w", err)
	}
	return resolved, nil
}

// checkMeaning refuses a field whose number means another moment to the reader than to its writer: Avro's resolution
// looks at the width alone, and would make 1970 of a time in milliseconds read as microseconds.
func checkMeaning(reader, wrote *avro.RecordSchema) error {
	for _, wf := range wrote.Fields() {
		rf := readerField(reader, wf)
		if rf == nil {
			continue
		}
		wt, _ := unwrap(wf.Type())
		rt, _ := unwrap(rf.Type())
		wk, _ := kindOf(wt)
		rk, _ := kindOf(rt)
		if isMoment(wk) && isMoment(rk) && wk != rk {
			return fmt.Errorf("field %q: its writer counts time in another unit", wf.Name())
		}
	}
	return nil
}

func isMoment(k kind) bool { return k == kindDate || k == kindMillis || k == kindMicros }

// readerField returns the reader's field that reads wf, by name or by the reader's aliases, or nil.
func readerField(reader *avro.RecordSchema, wf *avro.Field) *avro.Field {
	for _, rf := range reader.Fields() {
		if rf.Name() == wf.Name() || slices.Contains(rf.Aliases(), wf.Name()) {
			return rf
		}
	}
	return nil
}

// liftRecord returns wrote with each field T that the reader knows as ["null", T] made one too. The library resolves
// such a field to a plain T, which it then cannot decode into a pointer; the bytes are lifted along, by lift.
func liftRecord(reader, wrote *avro.RecordSchema) (*avro.RecordSchema, error) {
	fields := slices.Clone(wrote.Fields())
	for i, s := range newPlan(reader, wrote) {
		if !s.lift {
			continue
		}
		union, err := avro.NewUnionSchema([]avro.Schema{avro.NewNullSchema(), fields[i].Type()})
		if err != nil {
			return nil, fmt.Errorf("lifting field %q: %w", s.field, err)
		}
		if fields[i], err = avro.NewField(s.field, union, avro.WithAliases(fields[i].Aliases())); err != nil {
			return nil, fmt.Errorf("lifting field %q: %w", s.field, err)
		}
	}
	return avro.NewRecordSchema(wrote.Name(), wrote.Namespace(), fields, avro.WithAliases(wrote.Aliases()))
}

// lift returns body with the index of a union's second branch put in at each of positions, which ascend.
func lift(body []byte, positions []int) []byte {
	const second = 2 // zig-zag of 1
	lifted := make([]byte, 0, len(body)+len(positions))
	last := 0
	for _, pos := range positions {
		lifted = append(append(lifted, body[last:pos]...), second)
		last = pos
	}
	return append(lifted, body[last:]...)
}

// decode turns body, the Avro of one of w's values without its header, into *into. Its error is for ever.
func decode[E Event](w *writer, body []byte, into *E) error {
	var space [16]int
	lifts, err := w.plan.scan(body, space[:0])
	if err != nil {
		return err
	}
	if check, is := any(into).(*event.CheckCompleted); is && w.direct != nil {
		return w.direct.decode(body, check)
	}
	if w.lifting {
		body = lift(body, lifts)
	}
	r := w.readers.Get().(*avro.Reader)
	defer w.readers.Put(r)
	r.Error = nil
	r.Reset(body)
	// The library decodes through pointers that it finds, which would change an event that shares them.
	*into = *new(E)
	r.ReadVal(w.resolved, into)
	if r.Error != nil {
		return r.Error
	}
	if r.Peek(); !errors.Is(r.Error, io.EOF) {
		return errors.New("bytes are left over after decoding")
	}
	return nil
}
