package processor

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

var errHeaders = errors.New("the stored headers are damaged")

// nullHeader stands for the length of a header value that is null, which Kafka tells apart from an empty one.
const nullHeader = -1

// appendHeaders encodes record headers as Kafka's record format does: each key and value behind its length as a zigzag
// varint, -1 for a null value (Kafka, "Record Header"). A text column would not do: keys may hold any bytes.
func appendHeaders(dst []byte, headers []kgo.RecordHeader) []byte {
	for _, h := range headers {
		dst = append(binary.AppendVarint(dst, int64(len(h.Key))), h.Key...)
		if h.Value == nil {
			dst = binary.AppendVarint(dst, nullHeader)
			continue
		}
		dst = append(binary.AppendVarint(dst, int64(len(h.Value))), h.Value...)
	}
	if dst == nil {
		return []byte{}
	}
	return dst
}

// parseHeaders reverses appendHeaders.
func parseHeaders(b []byte) ([]kgo.RecordHeader, error) {
	var headers []kgo.RecordHeader
	for len(b) > 0 {
		key, rest, err := cutField(b)
		if err != nil || key == nil {
			return nil, errHeaders
		}
		value, rest, err := cutField(rest)
		if err != nil {
			return nil, err
		}
		headers, b = append(headers, kgo.RecordHeader{Key: string(key), Value: value}), rest
	}
	return headers, nil
}

func cutField(b []byte) (field, rest []byte, err error) {
	length, n := binary.Varint(b)
	if n <= 0 || length < nullHeader || length > int64(len(b)-n) {
		return nil, nil, errHeaders
	}
	if length == nullHeader {
		return nil, b[n:], nil
	}
	end := n + int(length)
	return b[n:end:end], b[end:], nil
}
