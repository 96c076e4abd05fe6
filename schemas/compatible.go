package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// Breaks are the reasons with their places; empty where somebody else refused, as a registry does.
	Breaks []Break
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
// The texts may be any Avro schemas, not only those of the profile. A refusal is an [*IncompatibleError] with every one of
// the [Breaks]; another error says that a text is no schema, or level no level. Agreement is that of the Avro
// specification's schema resolution.
func Compatible(level Level, newer string, older []string) error {
	breaks, err := Breaks(level, newer, older)
	if err != nil || len(breaks) == 0 {
		return err
	}
	e := &IncompatibleError{Breaks: breaks}
	for _, b := range breaks {
		e.Messages = append(e.Messages, b.Message)
	}
	return e
}
