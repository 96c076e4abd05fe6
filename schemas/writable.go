package schemas

import (
	"fmt"
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
		return checkCompletedWritable(v)
	case *event.TargetTransitioned:
		return targetTransitionedWritable(v)
	case *event.TargetDefined:
		return checkTime("defined_at", &v.DefinedAt)
	}
	return nil
}

func checkCompletedWritable(v *event.CheckCompleted) error {
	if err := checkTime("slot", &v.Slot); err != nil {
		return err
	}
	if err := checkTime("started_at", &v.StartedAt); err != nil {
		return err
	}
	if err := checkTime("certificate_expires_at", v.CertificateExpiresAt); err != nil {
		return err
	}
	if err := checkText("failure_text", v.FailureText, MaxFailureTextBytes); err != nil {
		return err
	}
	return checkText("assertion_value", v.AssertionValue, MaxAssertionValueBytes)
}

func targetTransitionedWritable(v *event.TargetTransitioned) error {
	if err := checkTime("slot", &v.Slot); err != nil {
		return err
	}
	if err := checkTime("incident_opened_at", v.IncidentOpenedAt); err != nil {
		return err
	}
	return checkText("failure_text", v.FailureText, MaxFailureTextBytes)
}

// checkTime refuses a time that is there and was forgotten, or that RFC 3339 cannot write.
func checkTime(field string, at *time.Time) error {
	if at == nil {
		return nil
	}
	if unix := at.Unix(); at.IsZero() || unix < minUnix || unix > maxUnix {
		return fmt.Errorf("field %q: time %s is zero or outside the years 1 to 9999", field, at)
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
