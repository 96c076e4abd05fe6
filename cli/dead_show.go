package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
	"webcheck/schemas"
)

// Bounds of what is shown on a terminal of a record; JSON has all of it.
const (
	maxDumpBytes  = 1024
	maxShownText  = 300
	maxShownParts = 50 // headers, subjects
)

func (p *program) showDead(c *urfave.Context) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("the position of one dead letter is needed"), `"webcheck dead list" lists them`)}
	}
	at, err := processor.ParsePosition(c.Args().First())
	if err != nil {
		return usageError{err}
	}
	s, err := p.loadAndReach(c, need{postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	letter, err := processor.FindDeadLetter(c.Context, s.pool, at)
	if errors.Is(err, processor.ErrNoLetter) {
		err = withHint(err, `"webcheck dead list" lists those there are`)
	}
	if err != nil {
		return err
	}
	view := p.inspect(c, letter)
	out := newPrinter(p.Stdout, p.Env)
	if c.Bool("json") {
		return out.json(p.letterJSON(letter, view))
	}
	p.showLetter(out, letter, view)
	return nil
}

// inspect looks into the letter's value, with the registry if one answers and there is something to ask it.
func (p *program) inspect(c *urfave.Context, letter *processor.DeadLetter) *schemas.Inspection {
	reader := schemas.CheckCompleted(letter.Position.Topic)
	view := schemas.Inspect(c.Context, nil, reader, letter.Value)
	if view.SchemaID == 0 {
		return view
	}
	s, err := p.reach(c.Context, need{registry: true})
	if err != nil {
		view.Missing = err
		return view
	}
	return schemas.Inspect(c.Context, s.registry, reader, letter.Value)
}

func (p *program) showLetter(out *printer, l *processor.DeadLetter, view *schemas.Inspection) {
	row := func(name, text string) { out.printf("%-10s %s", name, text) }
	row("position", printable(l.Position.String()))
	row("cause", printable(l.Cause))
	row("timestamp", timestampText(l.TimestampMs))
	if l.Key == nil {
		row("key", "none")
	} else {
		row("key", quoted(string(l.Key)))
	}
	for i, h := range l.Headers {
		if i == maxShownParts {
			row("header", fmt.Sprintf("%d more", len(l.Headers)-i))
			break
		}
		row("header", headerText(h))
	}
	switch {
	case l.Published:
		row("published", "yes")
	case l.Unpublishable != "":
		row("published", "never: "+printable(l.Unpublishable))
	default:
		row("published", "not yet")
	}
	if l.Value == nil {
		row("value", "none")
	} else {
		row("value", fmt.Sprintf("%d bytes", len(l.Value)))
	}
	if len(l.Value) > 0 {
		out.printf("%s", dump(l.Value))
	}
	if view.SchemaID != 0 {
		row("schema", schemaText(view))
	}
	for _, f := range view.Fields {
		out.printf("%6d  %-24s %-18s %s", f.Offset, shortened(printable(f.Name), maxIDWidth), printable(f.Type), fieldText(f.Value))
	}
	switch {
	case view.Missing != nil:
		row("decoded", "nothing: "+printable(p.secrets.scrub(view.Missing.Error())))
	case view.Fault != nil:
		row("fault", printable(view.Fault.Error()))
	default:
		row("decoded", "every byte")
	}
}

// dump writes the beginning of a value as "hexdump -C" does.
func dump(value []byte) string {
	text := strings.TrimSuffix(hex.Dump(value[:min(len(value), maxDumpBytes)]), "\n")
	if more := len(value) - maxDumpBytes; more > 0 {
		text += fmt.Sprintf("\n%d bytes more, which --json has", more)
	}
	return text
}

// schemaText says which schema a value claims, by its magic byte and id.
func schemaText(view *schemas.Inspection) string {
	text := fmt.Sprintf("magic byte 0, id %d", view.SchemaID)
	if view.Record != "" {
		text += ", " + shortened(printable(view.Record), maxShownText)
	}
	for i, subject := range view.Subjects {
		if i == maxShownParts {
			break
		}
		text += ", " + shortened(printable(subject), maxShownText)
	}
	return text
}

func headerText(h kgo.RecordHeader) string {
	if h.Value == nil {
		return quoted(h.Key) + " without a value"
	}
	return quoted(h.Key) + " " + quoted(string(h.Value))
}

// quoted writes text in quotation marks, with escapes, and not more of it than a person reads.
func quoted(text string) string {
	most := min(len(text), 4*maxShownText) // before it is taken apart: it may have a megabyte
	return shortened(strconv.Quote(text[:most]), maxShownText)
}

func fieldText(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return quoted(v)
	case []byte:
		return shortened(hex.EncodeToString(v[:min(len(v), maxShownText)]), maxShownText)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(value)
}

// letterJSON is a letter as JSON; bytes are in base64.
func (p *program) letterJSON(l *processor.DeadLetter, view *schemas.Inspection) any {
	type header struct {
		Key   []byte `json:"key_base64"`
		Value []byte `json:"value_base64"`
	}
	type field struct {
		Name   string `json:"name"`
		Type   string `json:"type"`
		Offset int    `json:"offset"`
		Value  any    `json:"value"`
	}
	whole := struct {
		letterSummary
		Headers  []header `json:"headers"`
		Value    []byte   `json:"value_base64"`
		SchemaID int      `json:"schema_id,omitempty"`
		Subjects []string `json:"subjects,omitempty"`
		Record   string   `json:"record,omitempty"`
		Fields   []field  `json:"fields,omitempty"`
		Fault    string   `json:"fault,omitempty"`
		Missing  string   `json:"missing,omitempty"`
	}{
		letterSummary: summaryJSON(l.LetterSummary),
		Headers:       []header{}, Value: l.Value, SchemaID: view.SchemaID, Subjects: view.Subjects, Record: view.Record,
	}
	for _, h := range l.Headers {
		whole.Headers = append(whole.Headers, header{Key: []byte(h.Key), Value: h.Value})
	}
	for _, f := range view.Fields {
		if n, is := f.Value.(float64); is && (math.IsNaN(n) || math.IsInf(n, 0)) {
			f.Value = fmt.Sprint(n) // JSON has no number for it
		}
		whole.Fields = append(whole.Fields, field{Name: f.Name, Type: f.Type, Offset: f.Offset, Value: f.Value})
	}
	if view.Fault != nil {
		whole.Fault = view.Fault.Error()
	}
	if view.Missing != nil {
		whole.Missing = p.secrets.scrub(view.Missing.Error())
	}
	return whole
}
