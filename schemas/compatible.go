package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"
)

// Level is how far a new schema must agree with older ones of its subject, by Confluent's names.
type Level string

// The seven levels. BACKWARD: a reader with the newer schema reads what older ones wrote. FORWARD: readers with older
// schemas read what the newer one writes. FULL: both. TRANSITIVE: with all older schemas, not just the last one.
const (
	LevelNone               Level = "NONE"
	LevelBackward           Level = "BACKWARD"
	LevelBackwardTransitive Level = "BACKWARD_TRANSITIVE"
	LevelForward            Level = "FORWARD"
	LevelForwardTransitive  Level = "FORWARD_TRANSITIVE"
	LevelFull               Level = "FULL"
	LevelFullTransitive     Level = "FULL_TRANSITIVE"
)

// Levels returns all levels, from the loosest to the strictest.
func Levels() []Level {
	return []Level{
		LevelNone, LevelBackward, LevelBackwardTransitive, LevelForward, LevelForwardTransitive, LevelFull, LevelFullTransitive,
	}
}

// ParseLevel reads a level by its name in capitals, as the registry's API spells it.
func ParseLevel(text string) (Level, error) {
	if l := Level(text); slices.Contains(Levels(), l) {
		return l, nil
	}
	return "", fmt.Errorf("parsing compatibility level %q: expected one of %v", text, Levels())
}

// ErrIncompatible is what errors satisfy that say: this schema may not follow the ones before it.
var ErrIncompatible = errors.New("incompatible schema")

// IncompatibleError says why a schema may not follow the ones before it. It satisfies errors.Is with [ErrIncompatible].
type IncompatibleError struct {
	// Subject that the schema was meant for; empty when only the schemas were compared.
	Subject string
	// Messages say each reason that is known, in the words of who refused it.
	Messages []string
}

// Error lists all the reasons in one line.
func (e *IncompatibleError) Error() string {
	what := ErrIncompatible.Error()
	if e.Subject != "" {
		what += fmt.Sprintf(" for %q", e.Subject)
	}
	return what + ": " + strings.Join(e.Messages, "; ")
}

// Is makes the error satisfy errors.Is with [ErrIncompatible].
func (e *IncompatibleError) Is(target error) bool { return target == ErrIncompatible }

// Hint says how schemas may change.
func (e *IncompatibleError) Hint() string {
	return "add fields with a default, keep the types of those that exist, and give enums a default symbol"
}

// Compatible says whether the schema newer may follow the older ones, which are in the order of registration, at level.
// The texts may be any Avro schemas, not only those of the profile. A refusal is an [*IncompatibleError] with a message for
// each field, direction and older schema at fault; another error says that a text is no schema, or level no level.
// Agreement is that of the Avro specification's schema resolution.
func Compatible(level Level, newer string, older []string) error {
	level, err := ParseLevel(string(level))
	if err != nil {
		return err
	}
	if transitive := strings.HasSuffix(string(level), "_TRANSITIVE"); !transitive && len(older) > 1 {
		older = older[len(older)-1:]
	}
	name := strings.TrimSuffix(string(level), "_TRANSITIVE")
	backward := name == string(LevelBackward) || name == string(LevelFull)
	forward := name == string(LevelForward) || name == string(LevelFull)

	var messages []string
	ask := func(asked bool, reader, writer, where string) error {
		if !asked {
			return nil
		}
		found, err := disagreements(reader, writer)
		messages = append(messages, prefix(where, found)...)
		return err
	}
	for i, o := range older {
		ago := len(older) - i
		if err := errors.Join(
			ask(backward, newer, o, fmt.Sprintf("the new schema does not read what the one %d before wrote", ago)),
			ask(forward, o, newer, fmt.Sprintf("the schema %d before does not read what the new one writes", ago)),
		); err != nil {
			return err
		}
	}
	if len(messages) > 0 {
		return &IncompatibleError{Messages: messages}
	}
	return nil
}

// prefix puts where before each of texts.
func prefix(where string, texts []string) []string {
	for i, t := range texts {
		texts[i] = where + ": " + t
	}
	return texts
}

// disagreements says why reader cannot read what writer wrote: nothing when it can. The verdict is the library's on the
// whole; when it is no, and both are records, each field is asked about by itself, to name all of those at fault. The
// texts are parsed for this question alone, as the checker is made: the library remembers by a fingerprint that leaves
// defaults out, so a second question may get the first one's answer.
func disagreements(reader, writer string) ([]string, error) {
	r, err := parseAvro(reader)
	if err != nil {
		return nil, err
	}
	w, err := parseAvro(writer)
	if err != nil {
		return nil, err
	}
	verdict := readable(r, w)
	if verdict == nil {
		return nil, nil
	}
	messages := fieldDisagreements(r, w)
	if len(messages) == 0 {
		messages = append(messages, verdict.Error())
	}
	return messages, nil
}

func fieldDisagreements(reader, writer avro.Schema) []string {
	r, ok := reader.(*avro.RecordSchema)
	w, also := writer.(*avro.RecordSchema)
	if !ok || !also {
		return nil
	}
	var messages []string
	for _, rf := range r.Fields() {
		wf := writerField(rf, w)
		if wf == nil {
			if !rf.HasDefault() {
				messages = append(messages, fmt.Sprintf("field %q is missing and has no default", rf.Name()))
			}
			continue
		}
		if err := readable(rf.Type(), wf.Type()); err != nil {
			messages = append(messages, fmt.Sprintf("field %q: %s", rf.Name(), err))
		}
	}
	return messages
}

// readable asks the library whether reader reads what writer wrote, with a checker of its own.
func readable(reader, writer avro.Schema) error {
	return avro.NewSchemaCompatibility().Compatible(reader, writer)
}

// writerField returns the writer's field that rf reads, by name or by rf's aliases, or nil.
func writerField(rf *avro.Field, writer *avro.RecordSchema) *avro.Field {
	for _, wf := range writer.Fields() {
		if rf.Name() == wf.Name() || slices.Contains(rf.Aliases(), wf.Name()) {
			return wf
		}
	}
	return nil
}
