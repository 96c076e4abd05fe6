package processor

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Position is the place of one record in the log. Offset counts from 0 in its partition.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// String gives the form in which positions are written everywhere: webcheck.checks/3@1042.
func (p Position) String() string {
	return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset)
}

// legalTopic is what Kafka takes for a topic's name, apart from "." and "..".
var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// ParsePosition reads what [Position.String] writes for a record of Kafka, and nothing else. The error quotes text and says
// what is wrong with it.
func ParsePosition(text string) (Position, error) {
	fault := func(format string, arguments ...any) (Position, error) {
		return Position{}, fmt.Errorf("%q is not a position such as webcheck.checks/3@1042: %w", text, fmt.Errorf(format, arguments...))
	}
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return fault("there is no offset behind an @")
	}
	slash := strings.LastIndexByte(text[:at], '/')
	if slash < 0 {
		return fault("there is no partition between a slash and the @")
	}
	topic := text[:slash]
	if !legalTopic.MatchString(topic) || topic == "." || topic == ".." {
		return fault("%q cannot be the name of a topic", topic)
	}
	partition, err := parseCount(text[slash+1:at], 32)
	if err != nil {
		return fault("partition %w", err)
	}
	offset, err := parseCount(text[at+1:], 64)
	if err != nil {
		return fault("offset %w", err)
	}
	return Position{Topic: topic, Partition: int32(partition), Offset: offset}, nil
}

// parseCount reads a decimal number from 0 on that fits a signed integer of this many bits, in the one way to write it.
func parseCount(text string, bits int) (int64, error) {
	n, err := strconv.ParseInt(text, 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too large", text)
	}
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%q is not a whole number from 0 on, without sign or leading zeros", text)
	}
	return n, nil
}

func positionOf(r *kgo.Record) Position {
	return Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}
