package processor

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestHeadersComeBackAsTheyWere(t *testing.T) {
	for _, headers := range [][]kgo.RecordHeader{
		nil,
		{{Key: "", Value: nil}},
		{{Key: "a", Value: []byte{}}, {Key: "a", Value: nil}, {Key: "\xff\x00", Value: []byte("x\x00")}},
		{{Key: "long", Value: bytes.Repeat([]byte("v"), 300)}},
	} {
		got, err := parseHeaders(appendHeaders(nil, headers))
		if err != nil {
			t.Errorf("%v: %v", headers, err)
		}
		if diff := cmp.Diff(headers, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func FuzzParseHeadersNeverPanicsAndKeepsWhatItReads(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendHeaders(nil, []kgo.RecordHeader{{Key: "k", Value: nil}, {Key: "k", Value: []byte("v")}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		headers, err := parseHeaders(b)
		if err != nil {
			return
		}
		again, err := parseHeaders(appendHeaders(nil, headers))
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if diff := cmp.Diff(headers, again); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}
