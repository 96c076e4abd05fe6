package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
)

// replayBound is where a person wants a replay to begin or to end.
type replayBound struct {
	processor.Bound
	offset *int64     // nil: it is not an offset
	at     *time.Time // nil: it is not a time
}

// parseBound reads start, end, an offset, a time, a date, or how long ago.
func parseBound(text string, now time.Time) (replayBound, error) {
	switch text {
	case "start":
		return replayBound{Bound: processor.AtStart()}, nil
	case "end":
		return replayBound{Bound: processor.AtEnd()}, nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
		return replayBound{Bound: processor.AtOffset(offset), offset: &offset}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} { // a date begins at midnight UTC
		if at, err := time.Parse(layout, text); err == nil {
			return atTime(at), nil
		}
	}
	if ago, err := parseDuration(text); err == nil && ago > 0 {
		return atTime(now.Add(-ago).Truncate(time.Millisecond)), nil
	}
	return replayBound{}, fmt.Errorf("%q is neither start, end, an offset (1042), a time (2026-11-25T08:00:00Z), a date (2026-11-25) nor how long ago (2h, 3d)", text)
}

func atTime(at time.Time) replayBound { return replayBound{Bound: processor.AtTime(at), at: &at} }

// replayQuestion reads the flags that say what to replay, or, with reposition, where to go on.
func replayQuestion(c *urfave.Context, now time.Time, reposition bool) (q processor.ReplayQuestion, err error) {
	if q.Partitions, err = parsePartitions(c); err != nil {
		return q, err
	}
	from, err := parseBound(c.String("from"), now)
	if err != nil {
		return q, usageError{fmt.Errorf("--from: %w", err)}
	}
	to := replayBound{Bound: processor.AtEnd()}
	if c.IsSet("to") {
		if to, err = parseBound(c.String("to"), now); err != nil {
			return q, usageError{fmt.Errorf("--to: %w", err)}
		}
	}
	if c.IsSet("target") && c.String("target") == "" {
		return q, usageError{fmt.Errorf("--target: the id of a target is never empty")}
	}
	q.From, q.To, q.Target = from.Bound, to.Bound, c.String("target")
	if len(q.Partitions) != 1 && (from.offset != nil || to.offset != nil) {
		return q, usageError{withHint(fmt.Errorf("an offset is one of a partition, and --partition does not name one"),
			"add --partition N, or give a time")}
	}
	if q.From == processor.AtEnd() && !reposition || q.To == processor.AtStart() || isEmpty(from, to) {
		return q, usageError{fmt.Errorf("there is nothing between --from %v and --to %v", q.From, q.To)}
	}
	return q, nil
}

func isEmpty(from, to replayBound) bool {
	if from.offset != nil && to.offset != nil {
		return *from.offset >= *to.offset
	}
	return from.at != nil && to.at != nil && !from.at.Before(*to.at)
}

func parsePartitions(c *urfave.Context) ([]int32, error) {
	if !c.IsSet("partition") {
		return nil, nil
	}
	var partitions []int32
	for _, text := range splitList(c.String("partition")) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return nil, usageError{fmt.Errorf("--partition: %q is not the number of a partition (examples: 3, or 0,1,2)", text)}
		}
		partitions = append(partitions, int32(n))
	}
	if len(partitions) == 0 {
		return nil, usageError{fmt.Errorf("--partition: there is no number")}
	}
	return slices.Compact(slices.Sorted(slices.Values(partitions))), nil
}

// checkReplayFlags refuses flags that do not go together.
func checkReplayFlags(c *urfave.Context) error {
	ways := map[string][]string{
		"resume":     {"from", "to", "partition", "target", "dry-run", "reposition", "abandon"},
		"abandon":    {"from", "to", "partition", "target", "dry-run", "reposition"},
		"reposition": {"to", "target"},
	}
	for way, others := range ways {
		if !c.Bool(way) {
			continue
		}
		for _, other := range others {
			if c.IsSet(other) {
				return usageError{fmt.Errorf("--%s does not go with --%s", way, other)}
			}
		}
	}
	if c.Bool("json") {
		return usageError{fmt.Errorf("--json goes with --rules and --rebuild")}
	}
	for _, of := range rebuildFlags {
		if c.Bool(of) {
			return usageError{fmt.Errorf("--%s goes with --rebuild", of)}
		}
	}
	if !c.Bool("resume") && !c.Bool("abandon") && strings.TrimSpace(c.String("from")) == "" {
		return usageError{withHint(fmt.Errorf("nothing says where to begin"), "give --from start, --from 2h, --from 2026-11-25T08:00:00Z, or --from 1042 --partition 3")}
	}
	return nil
}
