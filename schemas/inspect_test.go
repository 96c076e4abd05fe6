package schemas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// inspect looks at value with the schemas that are registered from id 1 on.
func inspect(t *testing.T, value []byte, texts ...string) *Inspection {
	t.Helper()
	f := &fakeRegistry{}
	for i, text := range texts {
		f.put(i+1, text)
	}
	return Inspect(t.Context(), f.start(t), CheckCompleted(TopicChecks), value)
}

func TestInspectReadsEachTypeUpToTheFault(t *testing.T) {
	schema := record(
		`{"name":"yes","type":"boolean"}`, `{"name":"int","type":["null","int"]}`, `{"name":"none","type":["null","int"]}`,
		`{"name":"float","type":"float"}`, `{"name":"double","type":"double"}`, `{"name":"fixed","type":{"type":"fixed","name":"F","size":2}}`,
		`{"name":"bytes","type":"bytes"}`, `{"name":"enum","type":{"type":"enum","name":"E","symbols":["a","b"]}}`,
		`{"name":"micros","type":{"type":"long","logicalType":"timestamp-micros"}}`, `{"name":"millis","type":{"type":"long","logicalType":"timestamp-millis"}}`,
		`{"name":"date","type":{"type":"int","logicalType":"date"}}`, `{"name":"text","type":"string"}`, `{"name":"broken","type":"string"}`, `{"name":"after","type":"int"}`,
	)
	body := bytes.Join([][]byte{
		{1}, {2, 14}, {0}, {0, 0, 0xc0, 0x3f}, {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, {7, 8}, text("\xff"), number(1),
		number(1_700_000_000_000_001), number(1_700_000_000_001), number(19_000), text("\x1b[2J"), text("\xff"), number(1),
	}, nil)
	got := inspect(t, append([]byte{0, 0, 0, 0, 1}, body...), schema)
	if got.SchemaID != 1 || got.Missing != nil || got.Fault == nil || !strings.Contains(got.Fault.Error(), `field "broken"`) {
		t.Errorf("got %+v, want schema 1 and a fault in the broken field", got)
	}
	nan := got.Fields[4].Value.(float64)
	got.Fields[4].Value = math.IsNaN(nan)
	want := []InspectedField{
		{"yes", "boolean", 5, true}, {"int", "int", 6, int64(7)}, {"none", "int", 8, nil}, {"float", "float", 9, 1.5}, {"double", "double", 13, true},
		{"fixed", "fixed", 21, []byte{7, 8}}, {"bytes", "bytes", 23, []byte{0xff}}, {"enum", "enum", 25, "b"},
		{"micros", "timestamp-micros", 26, time.UnixMicro(1_700_000_000_000_001).UTC()},
		{"millis", "timestamp-millis", 34, time.UnixMilli(1_700_000_000_001).UTC()},
		{"date", "date", 40, time.Unix(19_000*86400, 0).UTC()}, {"text", "string", 43, "\x1b[2J"},
	}
	if diff := cmp.Diff(want, got.Fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInspectSaysWhatADecoderSays(t *testing.T) {
	d := decoderOf(t, checkCompletedText)
	value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
	for n := range len(value) + 2 {
		cut := append(value[:len(value):len(value)], 0)[:n]
		got := inspect(t, cut, checkCompletedText)
		var e event.CheckCompleted
		err := d.Decode(t.Context(), cut, &e)
		said := got.Missing
		if got.Fault != nil {
			said = fmt.Errorf("value with schema id 1: %w", got.Fault)
		}
		if fmt.Sprint(said) != fmt.Sprint(err) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, len(value), said, err)
		}
	}
	got := inspect(t, value, checkCompletedText)
	if len(got.Fields) != len(CheckCompleted(TopicChecks).record.Fields()) || got.Fields[0].Value != usualEvent().EventID {
		t.Errorf("got %+v, want every field", got.Fields)
	}
	want := []string{"webcheck.checks-value/1", "other-value/4", "webcheck.targets-value/1", "webcheck.transitions-value/1"}
	if diff := cmp.Diff(want, got.Subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

func TestInspectSaysWhyThereIsNothingToSee(t *testing.T) {
	value := encode(t, CheckCompleted(TopicChecks), 2, usualEvent())
	away := &fakeRegistry{}
	away.status.Store(http.StatusServiceUnavailable)
	for name, c := range map[string]struct {
		value []byte
		r     *Registry
		id    int
		want  string
	}{
		"no value":          {nil, nil, 0, "no value"},
		"no wire format":    {[]byte("garbage"), nil, 0, "magic byte"},
		"no registry":       {value, nil, 2, "no registry"},
		"registry away":     {value, away.start(t), 2, "503"},
		"unknown id":        {value, new(fakeRegistry).start(t), 2, "has no schema with id 2"},
		"outside a profile": {value, registryOf(t, "", `{"type":"array","items":"int"}`), 2, "a record is expected"},
		"no schema":         {value, registryOf(t, "", "{"), 2, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Inspect(t.Context(), c.r, CheckCompleted(TopicChecks), c.value)
			if got.SchemaID != c.id || got.Missing == nil || !strings.Contains(got.Missing.Error(), c.want) || got.Fields != nil || got.Fault != nil {
				t.Errorf("got %+v, want id %d and %q", got, c.id, c.want)
			}
		})
	}
}

// registryOf returns a Registry with the schemas from id 1 on.
func registryOf(t testing.TB, texts ...string) *Registry {
	t.Helper()
	f := &fakeRegistry{}
	for i, text := range texts {
		f.put(i+1, text)
	}
	return f.start(t)
}

// FuzzInspect holds what the walk shows of bytes against the library, where it accepts them; elsewhere it must show a
// beginning of the fields and end.
func FuzzInspect(f *testing.F) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		_, makers := randomSchema(rnd)
		var body []byte
		for _, m := range makers {
			body = append(body, m(rnd)...)
		}
		f.Add(seed, body)
		f.Add(seed, body[:len(body)/2])
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte) {
		if len(body) > MaxBytes-headerBytes {
			return
		}
		text, _ := randomSchema(rand.New(rand.NewPCG(seed, 0)))
		s := parse(t, text)
		p := newPlan(s.record, s.record)
		shown := p.read(s.record, body)
		if _, err := p.scan(body, nil); err != nil {
			if len(shown) > len(p) {
				t.Fatalf("%s: %x: %d fields of %d", text, body, len(shown), len(p))
			}
			return
		}
		r := avro.NewReader(nil, 0, avro.WithReaderConfig(newConfig()))
		r.Reset(body)
		decoded := map[string]any{}
		r.ReadVal(s.record, &decoded)
		if r.Error != nil || len(shown) != len(decoded) {
			t.Fatalf("%s: %x: %v, %d fields of %d", text, body, r.Error, len(shown), len(decoded))
		}
		for _, field := range shown {
			if want, got := plain(decoded[field.Name]), plain(field.Value); want != got {
				t.Errorf("%s: %x: field %q: got %s, want %s", text, body, field.Name, got, want)
			}
		}
	})
}

// plain writes a value so that those of the library and ours compare: it gives arrays for a fixed, int and float32.
func plain(value any) string {
	switch v := value.(type) {
	case map[string]any: // the branch of a union
		for _, inner := range v {
			return plain(inner)
		}
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float32:
		return fmt.Sprint(float64(v))
	case []byte:
		return fmt.Sprintf("%x", v)
	case [9]byte: // the fixed of randomSchema
		return fmt.Sprintf("%x", v[:])
	}
	return fmt.Sprint(value)
}

func TestInspectEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := Inspect(ctx, registryOf(t, checkCompletedText), CheckCompleted(TopicChecks), encode(t, CheckCompleted(TopicChecks), 1, usualEvent()))
	if !errors.Is(got.Missing, context.Canceled) {
		t.Errorf("got %v, want the context's error", got.Missing)
	}
}
