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
	// Subject that the schema was meant for.
	Subject string
	// Messages say each reason that is known, in the words of who refused it.
	Messages []string
}

// Error lists all the reasons in one line.
func (e *IncompatibleError) Error() string {
	return fmt.Sprintf("incompatible schema for %q: %s", e.Subject, strings.Join(e.Messages, "; "))
}

// Is makes the error satisfy errors.Is with [ErrIncompatible].
func (e *IncompatibleError) Is(target error) bool { return target == ErrIncompatible }

// Hint says how schemas may change.
func (e *IncompatibleError) Hint() string {
	return "add fields with a default, keep the types of those that exist, and give enums a default symbol"
}

// Compatible says whether newer may follow older, which is in the order of registration, at level. The error is an
// [*IncompatibleError] with a message for each field, direction and older schema at fault. Agreement is that of the
// Avro specification's schema resolution.
func Compatible(level Level, newer *Schema, older []*Schema) error {
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
	for i, o := range older {
		if backward {
			messages = append(messages, prefix(fmt.Sprintf("the new schema does not read what the one %d before wrote", len(older)-i),
				disagreements(newer.record, o.record))...)
		}
		if forward {
			messages = append(messages, prefix(fmt.Sprintf("the schema %d before does not read what the new one writes", len(older)-i),
				disagreements(o.record, newer.record))...)
		}
	}
	if len(messages) > 0 {
		return &IncompatibleError{Subject: newer.Subject, Messages: messages}
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
// two records; when it is no, each field is asked about by itself, to name all of those at fault.
func disagreements(reader, writer *avro.RecordSchema) []string {
	verdict := readable(reader, writer)
	if verdict == nil {
		return nil
	}
	var messages []string
	for _, rf := range reader.Fields() {
		wf := writerField(rf, writer)
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
	if len(messages) == 0 {
		messages = append(messages, verdict.Error())
	}
	return messages
}

// readable asks the library whether reader reads what writer wrote, with a checker of its own: the library's cache
// answers by a fingerprint without defaults, so a second question to the same checker may get the first one's answer.
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
