package schemas

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hamba/avro/v2"

	"webcheck/gen/event"
)

// FuzzDecode decodes wire bytes under this build's schema and each of the others that can be read. Whatever comes in,
// there is an event that encodes and decodes to itself, or an error that is for ever.
func FuzzDecode(f *testing.F) {
	texts := []string{checkCompletedText}
	var values [][]byte
	for _, c := range evolutions(f) {
		value := written(f, c.schema, usualEvent(), c.given)
		texts = append(texts, c.schema)
		value[4] = byte(len(texts))
		values = append(values, value)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		values = append(values, encode(f, CheckCompleted(TopicChecks), 1, randomEvent(rnd)))
	}
	for _, v := range values {
		f.Add(v)
		f.Add(v[:len(v)-1])
		f.Add(v[:len(v)/2])
		f.Add(append(v, 0))
	}
	f.Add([]byte{0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	s := CheckCompleted(TopicChecks)
	unknown := &transport{status: http.StatusNotFound, body: `{"error_code":40403,"message":"none"}`}
	d := NewDecoder(unknown.registry(f), s)
	for i, text := range texts {
		w, err := newWriter(s, parse(f, text))
		d.writers.put(i+1, w, asUndecodable(err))
	}
	own := NewEncoder(s, 1)
	f.Fuzz(func(t *testing.T, value []byte) {
		var got event.CheckCompleted
		if err := d.Decode(context.Background(), value, &got); err != nil {
			if !errors.Is(err, ErrUndecodable) {
				t.Fatalf("%x: %v", value, err)
			}
			return
		}
		again, err := own.AppendEncode(nil, &got)
		if err != nil {
			if len(deref(got.FailureText)) > MaxFailureTextBytes || len(deref(got.AssertionValue)) > MaxAssertionValueBytes {
				return
			}
			t.Fatalf("%x decoded to what cannot be encoded: %v", value, err)
		}
		if diff := cmp.Diff(got, mustDecode(t, d, again)); diff != "" {
			t.Fatal(diff)
		}
		if err := d.Decode(context.Background(), append(value[:len(value):len(value)], 0), &got); err == nil {
			t.Fatalf("%x is accepted with a byte more", value)
		}
		if err := d.Decode(context.Background(), value[:len(value)-1], &got); err == nil {
			t.Fatalf("%x is accepted with a byte less", value)
		}
	})
}

// asUndecodable returns err as a Decoder keeps it.
func asUndecodable(err error) error {
	if err == nil {
		return nil
	}
	return &UndecodableError{err: err}
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// FuzzPrescan holds the walk against the library on random schemas of the profile: what the walk accepts, the library
// decodes to the last byte, as a whole and as a reader that drops every field.
func FuzzPrescan(f *testing.F) {
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
		if len(body) > MaxBytes {
			return
		}
		text, _ := randomSchema(rand.New(rand.NewPCG(seed, 0)))
		s := parse(t, text)
		p := newPlan(s.record, s.record)
		if _, err := p.scan(body, nil); err != nil {
			return
		}
		none := parse(t, record(`{"name":"none","type":"int","default":1}`))
		dropping, err := resolve(none, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, schema := range []avro.Schema{s.record, dropping} {
			r := avro.NewReader(nil, 0, avro.WithReaderConfig(newConfig()))
			r.Reset(body)
			got := map[string]any{}
			r.ReadVal(schema, &got)
			if r.Error != nil {
				t.Fatalf("%s: %x: %v", text, body, r.Error)
			}
			if r.Peek(); !errors.Is(r.Error, io.EOF) {
				t.Fatalf("%s: %x: the library stopped before the end", text, body)
			}
		}
		if _, err := p.scan(append(body[:len(body):len(body)], 0), nil); err == nil {
			t.Fatalf("%s: %x is accepted with a byte more", text, body)
		}
	})
}
