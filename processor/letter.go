package processor

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// The headers that a dead letter carries behind the record's own.
const (
	HeaderTopic       = "webcheck-topic"        // where the record was
	HeaderPartition   = "webcheck-partition"    // decimal
	HeaderOffset      = "webcheck-offset"       // decimal
	HeaderTimestampMs = "webcheck-timestamp-ms" // the record's timestamp, milliseconds since 1970, decimal
	HeaderCause       = "webcheck-cause"        // why it can't be applied, one sentence
)

// maxCauseBytes keeps a cause that quotes hostile input from outgrowing the record it explains.
const maxCauseBytes = 1024

// letter is a dead letter: a record that can never be applied, and why.
type letter db.InsertDeadLettersParams

func newLetter(r *kgo.Record, cause error) letter {
	return letter{
		Topic:        r.Topic,
		Partition:    r.Partition,
		RecordOffset: r.Offset,
		TimestampMs:  r.Timestamp.UnixMilli(),
		Key:          r.Key,
		Value:        r.Value,
		Headers:      appendHeaders(nil, r.Headers),
		Cause:        storableText(cause.Error(), maxCauseBytes),
	}
}

// storableText gives s as PostgreSQL's text takes it, valid UTF-8 without NUL, cut to at most maxBytes.
func storableText(s string, maxBytes int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > maxBytes {
		s = strings.ToValidUTF8(s[:maxBytes], "")
	}
	return s
}

// record gives the letter as webcheck.dead has it: key, value and headers as they were, the origin and the cause behind.
func (l letter) record(topic string) (*kgo.Record, error) {
	headers, err := parseHeaders(l.Headers)
	if err != nil {
		return nil, err
	}
	origin := []kgo.RecordHeader{
		{Key: HeaderTopic, Value: []byte(l.Topic)},
		{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
		{Key: HeaderOffset, Value: strconv.AppendInt(nil, l.RecordOffset, 10)},
		{Key: HeaderTimestampMs, Value: strconv.AppendInt(nil, l.TimestampMs, 10)},
		{Key: HeaderCause, Value: []byte(l.Cause)},
	}
	return &kgo.Record{Topic: topic, Key: l.Key, Value: l.Value, Headers: append(headers, origin...)}, nil
}

func (l letter) position() Position {
	return Position{Topic: l.Topic, Partition: l.Partition, Offset: l.RecordOffset}
}
