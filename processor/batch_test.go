package processor

import (
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
)

func TestSortingABatchKeepsEachRowWithItsRecord(t *testing.T) {
	random := seed.Random(t)
	for range 200 {
		b := new(batch)
		for _, e := range newEvents(random.IntN(30)) {
			e.EventID = strconv.Itoa(random.IntN(20)) // some more than once
			b.rows = append(b.rows, row(e))
			b.records = append(b.records, &kgo.Record{Key: []byte(e.EventID + e.TargetID)})
		}
		b.sort()
		for i, r := range b.rows {
			if want := r.EventID + r.TargetID; string(b.records[i].Key) != want {
				t.Fatalf("row %d: got the record %q, want %q", i, b.records[i].Key, want)
			}
			if i > 0 && b.rows[i-1].EventID > r.EventID {
				t.Fatalf("row %d: %q comes after %q", i, r.EventID, b.rows[i-1].EventID)
			}
		}
	}
}
