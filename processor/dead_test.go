package processor

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// putLetters records dead letters as a batch does.
func putLetters(t *testing.T, pool *pgxpool.Pool, letters ...letter) {
	t.Helper()
	params := make([]db.InsertDeadLettersParams, len(letters))
	for i, l := range letters {
		params[i] = db.InsertDeadLettersParams(l)
	}
	db.New().InsertDeadLetters(t.Context(), pool, params).Exec(func(i int, err error) {
		if err != nil {
			t.Fatalf("letter %d: %v", i, err)
		}
	})
}

// letterAt gives the letter of a record at offset in partition 0 of "t" that says so.
func letterAt(offset int64, cause string) letter {
	return newLetter(&kgo.Record{
		Topic: "t", Offset: offset, Timestamp: time.UnixMilli(1000 * offset), Key: fmt.Appendf(nil, "key-%d", offset), Value: []byte("value"),
	}, errors.New(cause))
}

// offsetsOf lists where letters are.
func offsetsOf(letters []LetterSummary) []int64 {
	var offsets []int64
	for _, l := range letters {
		offsets = append(offsets, l.Position.Offset)
	}
	return offsets
}

func TestLettersAreChosenByEachPartOfAFilter(t *testing.T) {
	pool := migrated(t)
	other := letterAt(5, "100% 'off' \\ \"_\"")
	other.Topic, other.Partition, other.Key = "u", 2, []byte("\x00\xff")
	none := letterAt(6, "no value")
	none.Key, none.Value = nil, nil
	putLetters(t, pool, letterAt(1, "unknown schema id 1"), letterAt(2, "unknown schema id 12"), letterAt(3, "cut off"), other, none)
	partition := int32(2)
	for name, c := range map[string]struct {
		filter LetterFilter
		want   []int64
	}{
		"nothing":                {LetterFilter{}, []int64{1, 2, 3, 5, 6}},
		"topic":                  {LetterFilter{Topic: "u"}, []int64{5}},
		"partition":              {LetterFilter{Partition: &partition}, []int64{5}},
		"cause":                  {LetterFilter{Cause: "schema id 1"}, []int64{1, 2}},
		"a cause with wildcards": {LetterFilter{Cause: "% 'off' \\ \"_"}, []int64{5}},
		"a wildcard":             {LetterFilter{Cause: "%"}, []int64{5}},
		"key":                    {LetterFilter{Key: []byte("key-2")}, []int64{2}},
		"an empty key":           {LetterFilter{Key: []byte{}}, nil},
		"a key of any bytes":     {LetterFilter{Key: []byte("\x00\xff")}, []int64{5}},
		"time":                   {LetterFilter{Before: time.UnixMilli(3000)}, []int64{1, 2}},
		"cause and time":         {LetterFilter{Cause: "12", Before: time.UnixMilli(3000)}, []int64{2}},
		"positions":              {LetterFilter{Positions: []Position{{"t", 0, 1}, {"u", 2, 5}, {"u", 0, 2}}}, []int64{1, 5}},
		"no positions":           {LetterFilter{Positions: []Position{}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			letters, err := ListDeadLetters(t.Context(), pool, c.filter, false, 100)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, offsetsOf(letters)); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
			counts, err := CountDeadLetters(t.Context(), pool, c.filter)
			if err != nil || counts.Letters != int64(len(c.want)) {
				t.Errorf("counted %d, %v, want %d", counts.Letters, err, len(c.want))
			}
		})
	}
}

func TestTheNewestOrTheOldestLettersAreListedWhateverTheirTimestamps(t *testing.T) {
	pool := migrated(t)
	stamps := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for i, ms := range stamps {
		l := letterAt(int64(i), "cause")
		l.TimestampMs = ms
		putLetters(t, pool, l)
	}
	for newest, want := range map[bool][]int64{true: {4, 3, 2}, false: {0, 1, 2}} {
		letters, err := ListDeadLetters(t.Context(), pool, LetterFilter{}, newest, 3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, offsetsOf(letters)); diff != "" {
			t.Errorf("newest first is %v (-want +got):\n%s", newest, diff)
		}
	}
}

func TestCausesThatDifferInNumbersTimesAndIdsAreCountedAsOne(t *testing.T) {
	pool := migrated(t)
	for i, cause := range []string{
		`unknown schema id 7 under "t-value"`, `unknown schema id 12345 under "t-value"`, `unknown schema id 7 under "t-value"`,
		"its slot 2026-03-14T15:09:26Z is older than what is kept, 2160h0m0s", "its slot 1999-01-01T00:00:00Z is older than what is kept, 24h0m0s",
		`value with schema id 3: field "event_id" at byte 44: not UTF-8`,
		`checking event "019cece5-2687-7f9d-b81f-53b6b08ff82c": a NUL in its text`,
	} {
		putLetters(t, pool, letterAt(int64(i), cause))
	}
	got, err := CountDeadLetters(t.Context(), pool, LetterFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want := LetterCounts{Letters: 7, Causes: 4, Frequent: []CauseCount{
		{`unknown schema id … under "t-value"`, 3},
		{"its slot … is older than what is kept, …", 2},
		{`checking event "…": a NUL in its text`, 1},
		{`value with schema id …: field "event_id" at byte …: not UTF-8`, 1},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAsManyCausesAsThereAreLettersFillNoMemory(t *testing.T) {
	pool := migrated(t)
	for i := range 3 * listCauses {
		putLetters(t, pool, letterAt(int64(i), strings.Repeat("x", i+1)))
	}
	got, err := CountDeadLetters(t.Context(), pool, LetterFilter{})
	if err != nil || got.Letters != 3*listCauses || got.Causes != 3*listCauses || len(got.Frequent) != listCauses {
		t.Errorf("got %d letters, %d causes, %d of them listed, %v", got.Letters, got.Causes, len(got.Frequent), err)
	}
}

func TestALetterIsFoundWhole(t *testing.T) {
	pool := migrated(t)
	record := &kgo.Record{
		Topic: "t", Partition: 3, Offset: 1042, Timestamp: time.UnixMilli(1), Key: []byte("\x00key"), Value: []byte("\xff\x1b[2J"),
		Headers: []kgo.RecordHeader{{Key: "\x1b", Value: []byte("\x00")}, {Key: "null"}},
	}
	putLetters(t, pool, newLetter(record, errors.New("a\x00b")))
	got, err := FindDeadLetter(t.Context(), pool, positionOf(record))
	if err != nil {
		t.Fatal(err)
	}
	want := &DeadLetter{Value: record.Value, Headers: record.Headers, LetterSummary: LetterSummary{
		Position: Position{"t", 3, 1042}, TimestampMs: 1, Key: record.Key, ValueBytes: 5, Cause: "a\uFFFDb",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := FindDeadLetter(t.Context(), pool, Position{"t", 3, 1041}); !errors.Is(err, ErrNoLetter) {
		t.Errorf("another position: got %v, want ErrNoLetter", err)
	}
}

func TestLettersAreDroppedOnlyWhenTheyAreAsManyAsWasSaid(t *testing.T) {
	pool := migrated(t)
	for i := range int64(5) {
		putLetters(t, pool, letterAt(i, fmt.Sprintf("cause %d", i%2)))
	}
	odd := LetterFilter{Cause: "cause 1"}
	for _, c := range []struct{ want, dropped, left int64 }{{3, 2, 5}, {2, 2, 3}, {2, 0, 3}, {0, 0, 3}} {
		dropped, err := DropDeadLetters(t.Context(), pool, odd, c.want)
		if err != nil || dropped != c.dropped {
			t.Errorf("dropping %d: got %d, %v, want %d", c.want, dropped, err, c.dropped)
		}
		if counts, err := CountDeadLetters(t.Context(), pool, LetterFilter{}); err != nil || counts.Letters != c.left {
			t.Errorf("after dropping %d: %d letters, %v, want %d", c.want, counts.Letters, err, c.left)
		}
	}
}

func TestADatabaseWithoutTablesIsSaidWithAHint(t *testing.T) {
	pool := migrated(t)
	if err := Drop(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	ctx, all := t.Context(), LetterFilter{}
	_, listing := ListDeadLetters(ctx, pool, all, true, 1)
	_, counting := CountDeadLetters(ctx, pool, all)
	_, finding := FindDeadLetter(ctx, pool, Position{Topic: "t"})
	_, dropping := DropDeadLetters(ctx, pool, all, 1)
	_, retrying := RetryDeadLetters(ctx, RetryConfig{Pool: pool}, all)
	for _, err := range []error{listing, counting, finding, dropping, retrying} {
		var permanent *PermanentError
		if !errors.As(err, &permanent) || !strings.Contains(permanent.Hint(), "webcheck db migrate") {
			t.Errorf("got %v, want a PermanentError with the command to run", err)
		}
	}
}
