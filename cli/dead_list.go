package cli

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
)

// Bounds of a list.
const (
	// maxLetters is the longest list there is; it is held in memory.
	maxLetters = 10_000
	// maxCauseWidth keeps a letter on a few lines; "show" has all of its cause.
	maxCauseWidth = 200
)

// letterSummary is a line of a list as JSON.
type letterSummary struct {
	Position      string  `json:"position"`
	Timestamp     string  `json:"timestamp"`
	TimestampMs   int64   `json:"timestamp_ms"`
	Key           *string `json:"key"` // bytes that are no UTF-8 become U+FFFD
	KeyBytes      []byte  `json:"key_base64"`
	ValueBytes    int     `json:"value_bytes"`
	Cause         string  `json:"cause"`
	Published     bool    `json:"published"`
	Unpublishable string  `json:"unpublishable,omitempty"`
}

// letterList is a list as JSON.
type letterList struct {
	Letters  int64           `json:"letters"`
	Causes   int64           `json:"causes"`
	Frequent []causeCount    `json:"frequent_causes"`
	List     []letterSummary `json:"list"`
}

type causeCount struct {
	Letters int64  `json:"letters"`
	Cause   string `json:"cause"`
}

func (p *program) listDead(c *urfave.Context) error {
	limit, partition := c.Int("limit"), c.Int("partition")
	if limit < 1 || limit > maxLetters {
		return usageError{fmt.Errorf("--limit %d: it must be 1 to %d", limit, maxLetters)}
	}
	if partition < 0 || partition > math.MaxInt32 {
		return usageError{fmt.Errorf("--partition %d: it is none", partition)}
	}
	f := processor.LetterFilter{Topic: c.String("topic"), Cause: c.String("cause")}
	if c.IsSet("partition") {
		n := int32(partition)
		f.Partition = &n
	}
	if c.IsSet("key") {
		f.Key = []byte(c.String("key"))
	}
	s, err := p.loadAndReach(c, need{postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	counts, err := processor.CountDeadLetters(c.Context, s.pool, f)
	if err != nil {
		return err
	}
	letters, err := processor.ListDeadLetters(c.Context, s.pool, f, !c.Bool("oldest"), limit)
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	if c.Bool("json") {
		return out.json(listJSON(counts, letters))
	}
	out.letters(counts, letters, c.Bool("oldest"))
	return nil
}

func listJSON(counts processor.LetterCounts, letters []processor.LetterSummary) letterList {
	list := letterList{Letters: counts.Letters, Causes: counts.Causes, Frequent: []causeCount{}, List: []letterSummary{}}
	for _, f := range counts.Frequent {
		list.Frequent = append(list.Frequent, causeCount{Letters: f.Letters, Cause: f.Cause})
	}
	for _, l := range letters {
		list.List = append(list.List, summaryJSON(l))
	}
	return list
}

func summaryJSON(l processor.LetterSummary) letterSummary {
	summary := letterSummary{
		Position: l.Position.String(), Timestamp: timestampText(l.TimestampMs), TimestampMs: l.TimestampMs, KeyBytes: l.Key,
		ValueBytes: l.ValueBytes, Cause: l.Cause, Published: l.Published, Unpublishable: l.Unpublishable,
	}
	if l.Key != nil {
		key := string(l.Key)
		summary.Key = &key
	}
	return summary
}

// letters writes how many letters there are of which cause, and a line for each one listed.
func (p *printer) letters(counts processor.LetterCounts, letters []processor.LetterSummary, oldest bool) {
	if counts.Letters == 0 {
		p.printf("there is no dead letter")
		return
	}
	p.printf("%s:", lettersText(counts.Letters))
	p.printf("%s", causesText(counts))
	if n := int64(len(letters)); n < counts.Letters {
		age := "newest"
		if oldest {
			age = "oldest"
		}
		p.printf("the %s %d; --limit lists more:", age, n)
	}
	position, key := 0, 0
	for _, l := range letters {
		position = max(position, len(printable(l.Position.String())))
		key = max(key, min(maxIDWidth, utf8.RuneCountInString(keyText(l.Key))))
	}
	for _, l := range letters {
		p.printf("%-*s  %s  %-*s  %7d bytes  %s", position, printable(l.Position.String()), timestampText(l.TimestampMs),
			key, shortened(keyText(l.Key), maxIDWidth), l.ValueBytes, shortened(printable(l.Cause), maxCauseWidth))
	}
}

// causesText lists the causes that most letters have, a line each.
func causesText(counts processor.LetterCounts) string {
	var b strings.Builder
	left := counts.Letters
	for _, f := range counts.Frequent {
		fmt.Fprintf(&b, "%7d  %s\n", f.Letters, shortened(printable(f.Cause), maxCauseWidth))
		left -= f.Letters
	}
	if more := counts.Causes - int64(len(counts.Frequent)); more > 0 {
		fmt.Fprintf(&b, "%7d  of %d more causes\n", left, more)
	}
	return b.String()
}

func lettersText(n int64) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}

// timestampText writes a record's own timestamp, which may be any number, in UTC.
func timestampText(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// keyText is a record's key for people.
func keyText(key []byte) string {
	if key == nil {
		return "-"
	}
	return printable(string(key))
}

// shortened cuts a text that is longer than so many characters.
func shortened(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
