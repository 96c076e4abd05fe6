package schemas

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/gen/event"
)

// fieldBytes returns the bytes of each of e's fields, as this build writes them.
func fieldBytes(t testing.TB, e *event.CheckCompleted) map[string][]byte {
	t.Helper()
	s := CheckCompleted(TopicChecks)
	body := encode(t, s, 1, e)[headerBytes:]
	fields := map[string][]byte{}
	pos := 0
	for _, step := range newPlan(s.record, s.record) {
		next, fault := step.scan(body, pos)
		if fault != "" {
			t.Fatal(fault)
		}
		fields[step.field] = body[pos:next]
		pos = next
	}
	return fields
}

// written returns a value of id 1 in the order of the fields of schema, taking their bytes from given, else from e.
func written(t testing.TB, schema string, e *event.CheckCompleted, given map[string][]byte) []byte {
	t.Helper()
	usual := fieldBytes(t, e)
	value := []byte{0, 0, 0, 0, 1}
	for _, f := range parse(t, schema).record.Fields() {
		b, ok := given[f.Name()]
		if !ok {
			b, ok = usual[f.Name()]
		}
		if !ok {
			t.Fatalf("no bytes for field %q", f.Name())
		}
		value = append(value, b...)
	}
	return value
}

// evolution is a writer's schema that is not this build's.
type evolution struct {
	name   string
	schema string
	given  map[string][]byte
	change func(*event.CheckCompleted) // what this build's reader makes of the usual event
	want   string                      // part of the error, if there is one
}

// evolutions returns schemas that older and newer builds, and other programs, may have written with.
func evolutions(t testing.TB) []evolution {
	same := func(*event.CheckCompleted) {}
	newOutcome := `{"name":"outcome","type":{"type":"enum","name":"Outcome","symbols":["brown","up","degraded","down","missed"],"default":"missed"}}`
	newFailure := `{"name":"failure","type":["null",{"type":"enum","name":"Failure","symbols":["unknown","dns","gremlins"],"default":"unknown"}],"default":null}`
	return []evolution{
		{"a field more at the end", evolved(t, "", `{"name":"extra","type":["null","string"],"default":null}`), map[string][]byte{"extra": append(number(1), text("new")...)}, same, ""},
		{"a required field more in the middle", evolved(t, "location", `{"name":"location","type":"string"},{"name":"extra","type":"double"}`), map[string][]byte{"extra": make([]byte, 8)}, same, ""},
		{"an optional field less", evolved(t, "status_code", ""), nil, func(e *event.CheckCompleted) { e.StatusCode = nil }, ""},
		{"the last field of several less", evolved(t, "certificate_expires_at", ""), nil, func(e *event.CheckCompleted) { e.CertificateExpiresAt = nil }, ""},
		{"a required field less", evolved(t, "prober", ""), nil, nil, `field "prober" has no default in this build`},
		{"an unknown symbol", evolved(t, "outcome", newOutcome), map[string][]byte{"outcome": number(0)}, func(e *event.CheckCompleted) { e.Outcome = event.OutcomeMissed }, ""},
		{"a known symbol in another place", evolved(t, "outcome", newOutcome), map[string][]byte{"outcome": number(1)}, same, ""},
		{"an unknown symbol in a union", evolved(t, "failure", newFailure), map[string][]byte{"failure": append(number(1), number(2)...)}, func(e *event.CheckCompleted) { e.Failure = new(event.FailureUnknown) }, ""},
		{"a known symbol in a union", evolved(t, "failure", newFailure), map[string][]byte{"failure": append(number(1), number(1)...)}, func(e *event.CheckCompleted) { e.Failure = new(event.FailureDns) }, ""},
		{"an int where a long is read", evolved(t, "started_at", `{"name":"started_at","type":"int"}`), map[string][]byte{"started_at": number(1_500_000)}, func(e *event.CheckCompleted) { e.StartedAt = time.UnixMilli(1500).UTC() }, ""},
		{"a long where an int is read", evolved(t, "attempts", `{"name":"attempts","type":"long"}`), nil, nil, `field "attempts"`},
		{"a plain long where a time is read", evolved(t, "slot", `{"name":"slot","type":"long"}`), nil, same, ""},
		{"a plain long that is no time", evolved(t, "slot", `{"name":"slot","type":"long"}`), map[string][]byte{"slot": number(1 << 62)}, nil, "time is zero or outside"},
		{"milliseconds where microseconds are read", evolved(t, "slot", `{"name":"slot","type":{"type":"long","logicalType":"timestamp-millis"}}`), nil, nil, "counts time in another unit"},
		{"days where microseconds are read", evolved(t, "slot", `{"name":"slot","type":{"type":"int","logicalType":"date"}}`), map[string][]byte{"slot": number(20000)}, nil, "counts time in another unit"},
		{"bytes where a string is read", evolved(t, "prober", `{"name":"prober","type":"bytes"}`), nil, same, ""},
		{"bytes that are no string", evolved(t, "prober", `{"name":"prober","type":"bytes"}`), map[string][]byte{"prober": text("\xff")}, nil, "not UTF-8"},
		{"bytes that are no string in a union", evolved(t, "assertion", `{"name":"assertion","type":["null","bytes"]}`), map[string][]byte{"assertion": append(number(1), text("\xff")...)}, nil, "not UTF-8"},
		{"a string where a uuid is read", evolved(t, "event_id", `{"name":"event_id","type":"string"}`), nil, same, ""},
		{"a string that is no uuid", evolved(t, "event_id", `{"name":"event_id","type":"string"}`), map[string][]byte{"event_id": text("1")}, nil, "not a UUID"},
		{"a number that was required", evolved(t, "status_code", `{"name":"status_code","type":"int"}`), map[string][]byte{"status_code": number(204)}, func(e *event.CheckCompleted) { e.StatusCode = new(int32(204)) }, ""},
		{"an enum that was required", evolved(t, "failure", strings.Replace(strings.Replace(newFailure, `["null",`, "", 1), `}],"default":null`, `}`, 1)), map[string][]byte{"failure": number(1)}, func(e *event.CheckCompleted) { e.Failure = new(event.FailureDns) }, ""},
		{"a time that was required", evolved(t, "certificate_expires_at", `{"name":"certificate_expires_at","type":{"type":"long","logicalType":"timestamp-micros"}}`), map[string][]byte{"certificate_expires_at": number(5_000_000)}, func(e *event.CheckCompleted) { e.CertificateExpiresAt = new(time.Unix(5, 0).UTC()) }, ""},
		{"an optional field that is required here", evolved(t, "prober", `{"name":"prober","type":["null","string"]}`), nil, nil, `field "prober"`},
		{"another record", strings.Replace(checkCompletedText, `"CheckCompleted",`, `"Other",`, 1), nil, nil, `the record is named "webcheck.CheckCompleted" in this build, and "webcheck.Other"`},
		{"another namespace", strings.Replace(checkCompletedText, `"namespace": "webcheck"`, `"namespace": "elsewhere"`, 1), nil, same, ""},
		{"fields in another order", reordered(t), nil, same, ""},
		{"all optional numbers required", numbersRequired(t), numberBytes(), func(e *event.CheckCompleted) { setNumbers(e) }, ""},
	}
}

// reordered returns this build's schema with its first field last.
func reordered(t testing.TB) string {
	first := `{"name":"event_id","type":{"type":"string","logicalType":"uuid"}}`
	return strings.Replace(evolved(t, "event_id", ""), `}],"name"`, `},`+first+`],"name"`, 1)
}

var numbers = []string{"dns_us", "connect_us", "tls_us", "first_byte_us", "transfer_us", "total_us", "body_bytes"}

// numbersRequired returns this build's schema with its optional numbers required.
func numbersRequired(t testing.TB) string {
	schema := checkCompletedText
	for _, name := range numbers {
		schema = strings.Replace(schema, `"`+name+`", "type": ["null", "int"], "default": null`, `"`+name+`", "type": "int"`, 1)
	}
	if strings.Count(schema, `["null", "int"]`) != 1 {
		t.Fatalf("the schema's text is not laid out as expected: %s", schema)
	}
	return schema
}

func numberBytes() map[string][]byte {
	given := map[string][]byte{}
	for i, name := range numbers {
		given[name] = number(int64(i) * 1000)
	}
	return given
}

func setNumbers(e *event.CheckCompleted) {
	for i, p := range []**int32{&e.DNSUs, &e.ConnectUs, &e.TLSUs, &e.FirstByteUs, &e.TransferUs, &e.TotalUs, &e.BodyBytes} {
		*p = new(int32(i * 1000))
	}
}

func TestDecodeReadsWhatOtherBuildsWrote(t *testing.T) {
	for _, c := range evolutions(t) {
		t.Run(c.name, func(t *testing.T) {
			d := decoderOf(t, c.schema)
			value := written(t, c.schema, usualEvent(), c.given)
			var got event.CheckCompleted
			err := d.Decode(context.Background(), value, &got)
			if c.change == nil {
				if !errors.Is(err, ErrUndecodable) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := usualEvent()
			c.change(want)
			if diff := cmp.Diff(*want, got); diff != "" {
				t.Error(diff)
			}
			for n := range value {
				if err := d.Decode(context.Background(), value[:n], &got); !errors.Is(err, ErrUndecodable) {
					t.Fatalf("cut to %d of %d bytes: %v", n, len(value), err)
				}
			}
			if err := d.Decode(context.Background(), append(value, 0), &got); !errors.Is(err, ErrUndecodable) {
				t.Errorf("with a byte more: %v", err)
			}
		})
	}
}

func TestHostileWriterSchemasAreUndecodable(t *testing.T) {
	for name, schema := range map[string]string{
		"recursive":            record(field(`["null","R"]`)),
		"recursive by array":   record(field(`{"type":"array","items":"R"}`)),
		"recursive extra":      evolved(t, "", `{"name":"extra","type":["null","CheckCompleted"],"default":null}`),
		"array extra":          evolved(t, "", `{"name":"extra","type":{"type":"array","items":"null"},"default":[]}`),
		"map extra":            evolved(t, "", `{"name":"extra","type":{"type":"map","values":"int"},"default":{}}`),
		"fixed of a gigabyte":  evolved(t, "", `{"name":"extra","type":{"type":"fixed","name":"F","size":1073741824}}`),
		"a megabyte of text":   strings.Replace(checkCompletedText, `"doc": "`, `"doc": "`+strings.Repeat("x", 1<<20), 1),
		"a megabyte of depth":  strings.Repeat(`{"type":`, 1<<17),
		"a million brackets":   strings.Repeat("[", 1<<20),
		"a name of 60 KB":      record(`{"name":"` + strings.Repeat("€", 20_000) + `","type":"int"}`),
		"a thousand faults":    record(strings.ReplaceAll(strings.Join(manyFields(1000), ","), `"int"`, `"R"`)),
		"no Avro":              `{"$schema":"http://json-schema.org/draft-07/schema#"}`,
		"nothing":              "",
		"another record alone": record(field(`"int"`)),
	} {
		t.Run(name, func(t *testing.T) {
			d := decoderOf(t, schema)
			for _, value := range [][]byte{{0, 0, 0, 0, 1}, {0, 0, 0, 0, 1, 2, 0}, append([]byte{0, 0, 0, 0, 1}, make([]byte, 500)...)} {
				err := d.Decode(context.Background(), value, new(event.CheckCompleted))
				if !errors.Is(err, ErrUndecodable) {
					t.Errorf("got %v", err)
				} else if len(err.Error()) > 2100 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			}
		})
	}
}
