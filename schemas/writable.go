package schemas

import (
	"cmp"
	"fmt"
	"reflect"
	"time"

	"webcheck/gen/event"
)

// nameOf says which event v is, for an error.
func nameOf[E Event](v *E) string {
	switch v := any(v).(type) {
	case *event.CheckCompleted:
		return fmt.Sprintf("event %q", v.EventID)
	case *event.TargetTransitioned:
		return fmt.Sprintf("transition %q", v.EventID)
	case *event.TargetDefined:
		return fmt.Sprintf("definition %q of target %q", v.DefinitionVersion, v.TargetID)
	}
	return "event"
}

// checkWritable looks at what the walk over the bytes cannot: times before they are made a number that may overflow, and
// the bounds of texts that the schema only tells people about.
func checkWritable[E Event](v *E) error {
	switch v := any(v).(type) {
	case *event.CheckCompleted:
		pointers := v.Pointers()
		return cmp.Or(checkTimes[E](pointers[:]), checkText("failure_text", v.FailureText, MaxFailureTextBytes),
			checkText("assertion_value", v.AssertionValue, MaxAssertionValueBytes))
	case *event.TargetTransitioned:
		pointers := v.Pointers()
		return cmp.Or(checkTimes[E](pointers[:]), checkText("failure_text", v.FailureText, MaxFailureTextBytes))
	case *event.TargetDefined:
		pointers := v.Pointers()
		return checkTimes[E](pointers[:])
	}
	return nil
}

// checkTimes refuses a time among the fields of an E that was forgotten, or that RFC 3339 cannot write.
func checkTimes[E Event](fields []any) error {
	for i, field := range fields {
		var at *time.Time
		switch to := field.(type) {
		case *time.Time:
			at = to
		case **time.Time:
			at = *to
		}
		if at == nil {
			continue
		}
		if unix := at.Unix(); at.IsZero() || unix < minUnix || unix > maxUnix {
			name := reflect.TypeFor[E]().Field(i).Tag.Get("avro")
			return fmt.Errorf("field %q: time %s is zero or outside the years 1 to 9999", name, at)
		}
	}
	return nil
}

// checkText refuses a text that is there and has more than most bytes.
func checkText(field string, text *string, most int) error {
	if text != nil && len(*text) > most {
		return fmt.Errorf("field %q: the text has %d bytes, more than %d", field, len(*text), most)
	}
	return nil
}
