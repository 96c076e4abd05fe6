package schemas

import (
	"context"
	"testing"

	"webcheck/gen/event"
)

func BenchmarkDecode(b *testing.B) {
	s := CheckCompleted(TopicChecks)
	older := evolved(b, "failure_text", "")
	b.Run("own schema", func(b *testing.B) {
		benchmarkDecode(b, decoderOf(b, s.Text), encode(b, s, 1, usualEvent()))
	})
	b.Run("older schema", func(b *testing.B) {
		wrote := mustParseSchema(s.Subject, older)
		benchmarkDecode(b, decoderOf(b, older), encode(b, wrote, 1, usualEvent()))
	})
}

func benchmarkDecode(b *testing.B, d *Decoder, value []byte) {
	mustDecode(b, d, value)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	var into event.CheckCompleted
	for b.Loop() {
		if err := d.Decode(context.Background(), value, &into); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	s := CheckCompleted(TopicChecks)
	body := encode(b, s, 1, usualEvent())[headerBytes:]
	p := newPlan(s.record, s.record)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.scan(body, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := NewEncoder(CheckCompleted(TopicChecks), 1)
	v := usualEvent()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = e.AppendEncode(dst[:0], v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventID(b *testing.B) {
	v := usualEvent()
	b.ReportAllocs()
	for b.Loop() {
		EventID(v.TargetID, v.Location, v.Slot)
	}
}
