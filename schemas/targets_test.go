package schemas

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// usualDefinition returns the definition of a target by whose rules nobody changed anything.
func usualDefinition() *event.TargetDefined {
	return &event.TargetDefined{
		TargetID: "example-home", DefinitionVersion: "0a1b2c3d4e5f", DefinedAt: time.Date(2026, 3, 14, 15, 9, 26, 535_897_000, time.UTC),
		URL: "https://example.com/", IntervalMs: 60_000, TimeoutMs: 10_000, DownAfter: 2, DownOf: 3, UpAfter: 2, UpOf: 2,
		FlapTransitions: 5, FlapWindowS: 3600, SilentAfter: 3, Definition: `{"id":"example-home","url":"https://example.com/"}`,
	}
}

func randomDefinition(rnd *rand.Rand) *event.TargetDefined {
	number := func() int32 { return randomNumber(rnd) }
	e := &event.TargetDefined{
		TargetID: "t" + randomText(rnd, 80), DefinitionVersion: randomText(rnd, 13), DefinedAt: randomMoment(rnd), URL: randomText(rnd, 200),
		IntervalMs: number(), TimeoutMs: number(), DownAfter: number(), DownOf: number(), UpAfter: number(), UpOf: number(),
		Quorum: number(), FlapTransitions: number(), FlapWindowS: number(), SilentAfter: number(), Definition: randomText(rnd, 500),
	}
	fields := e.Pointers()
	fillSome(rnd, TargetDefined(TopicTargets), fields[:])
	return e
}

// usualTransition returns the transition of the usual target to down.
func usualTransition() *event.TargetTransitioned {
	cause := downEvent()
	return &event.TargetTransitioned{
		EventID:  TransitionID(cause.TargetID, event.TargetStateUp, event.TargetStateDown, cause.Slot),
		TargetID: cause.TargetID, DefinitionVersion: cause.DefinitionVersion, Slot: cause.Slot,
		From: event.TargetStateUp, To: event.TargetStateDown, CauseEventID: cause.EventID, CauseLocation: cause.Location,
		Failure: cause.Failure, FailureText: cause.FailureText, LocationsDown: 2, LocationsReporting: 3,
		Kind: event.TransitionKindNews, IncidentOpenedAt: &cause.Slot,
	}
}

func randomTransition(rnd *rand.Rand) *event.TargetTransitioned {
	states := []string{event.TargetStateUnknown, event.TargetStateUp, event.TargetStateDegraded, event.TargetStateDown}
	state := func() string { return states[rnd.IntN(len(states))] }
	cause := randomEvent(rnd)
	e := &event.TargetTransitioned{
		TargetID: cause.TargetID, DefinitionVersion: cause.DefinitionVersion, Slot: cause.Slot, From: state(), To: state(),
		CauseEventID: cause.EventID, CauseLocation: cause.Location, Failure: cause.Failure, FailureText: cause.FailureText,
		Flapping: rnd.IntN(2) == 0, LocationsDown: randomNumber(rnd), LocationsReporting: randomNumber(rnd),
		Kind:             []string{event.TransitionKindNews, event.TransitionKindCorrection}[rnd.IntN(2)],
		IncidentOpenedAt: maybe(rnd, func() time.Time { return randomMoment(rnd) }),
	}
	e.EventID = TransitionID(e.TargetID, e.From, e.To, e.Slot)
	fields := e.Pointers()
	fillSome(rnd, TargetTransitioned(TopicTransitions), fields[:])
	return e
}

func TestDefinitionsAndTransitionsComeBackAndNeverInPart(t *testing.T) {
	rnd := seed.Random(t)
	comesBack(t, TargetDefined(TopicTargets), func() *event.TargetDefined { return randomDefinition(rnd) })
	comesBack(t, TargetTransitioned(TopicTransitions), func() *event.TargetTransitioned { return randomTransition(rnd) })
}

// comesBack encodes events that make makes and decodes them, whole and with bytes that are missing or too many.
func comesBack[E Event](t *testing.T, s *Schema, make func() *E) {
	t.Helper()
	d := decoderFor[E](t, s, s.Text)
	for range 100 {
		want := make()
		value := encode(t, s, 1, want)
		if diff := cmp.Diff(*want, mustDecode(t, d, value)); diff != "" {
			t.Fatal(diff)
		}
		for n := range value {
			if err := d.Decode(context.Background(), value[:n], new(E)); !errors.Is(err, ErrUndecodable) {
				t.Fatalf("cut to %d of %d bytes, %x: %v", n, len(value), value, err)
			}
		}
		if err := d.Decode(context.Background(), append(value, 0), new(E)); !errors.Is(err, ErrUndecodable) {
			t.Fatalf("%x with a byte more: %v", value, err)
		}
	}
}

func TestEncodersRefuseDefinitionsAndTransitionsThatCannotBeRead(t *testing.T) {
	refuses(t, TargetDefined(TopicTargets), usualDefinition, map[string]func(*event.TargetDefined){
		`definition "0a1b2c3d4e5f" of target "example-home": field "defined_at": time`: func(e *event.TargetDefined) { e.DefinedAt = time.Time{} },
		`field "url" at byte`: func(e *event.TargetDefined) { e.URL = "https://\xff" },
		"more than 1048576":   func(e *event.TargetDefined) { e.Definition = strings.Repeat("x", MaxBytes) },
	})
	refuses(t, TargetTransitioned(TopicTransitions), usualTransition, map[string]func(*event.TargetTransitioned){
		"not a UUID":                       func(e *event.TargetTransitioned) { e.CauseEventID = "" },
		"unknown enum symbol: missed":      func(e *event.TargetTransitioned) { e.To = event.OutcomeMissed },
		"unknown enum symbol: ":            func(e *event.TargetTransitioned) { e.Kind = "" },
		`field "slot": time`:               func(e *event.TargetTransitioned) { e.Slot = time.Time{} },
		`field "incident_opened_at": time`: func(e *event.TargetTransitioned) { e.IncidentOpenedAt = new(time.Time) },
		"1025 bytes, more than 1024":       func(e *event.TargetTransitioned) { e.FailureText = new(strings.Repeat("x", 1025)) },
	})
}

// refuses wants an error with the text of each change to the event that make makes.
func refuses[E Event](t *testing.T, s *Schema, make func() *E, changes map[string]func(*E)) {
	t.Helper()
	for want, change := range changes {
		e := make()
		change(e)
		if _, err := NewEncoderOf[E](s, 1).AppendEncode(nil, e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestOlderAndNewerDefinitionsAndTransitionsAreRead(t *testing.T) {
	rules := []string{"down_after", "down_of", "up_after", "up_of", "quorum", "flap_transitions", "flap_window_s", "silent_after"}
	withoutRules := targetDefinedText
	for _, name := range rules {
		withoutRules = evolvedFrom(t, withoutRules, name, "")
	}
	reads(t, TargetDefined(TopicTargets), "rules that nobody wrote are the defaults", withoutRules, usualDefinition(), usualDefinition())
	reads(t, TargetDefined(TopicTargets), "a rule more", evolvedFrom(t, targetDefinedText, "", `{"name":"paused","type":"boolean","default":false}`),
		usualDefinition(), usualDefinition())

	const state = `{"type":"enum","name":"TargetState","symbols":["unknown","up","degraded","down","maintained"],"default":"unknown"}`
	newer := evolvedFrom(t, targetTransitionedText, "from", `{"name":"from","type":`+state+`}`)
	reads(t, TargetTransitioned(TopicTransitions), "states in the newer order", newer, usualTransition(), usualTransition())
	later, unknown := usualTransition(), usualTransition()
	later.From, later.To = "maintained", "maintained"
	unknown.From, unknown.To = event.TargetStateUnknown, event.TargetStateUnknown
	reads(t, TargetTransitioned(TopicTransitions), "states that only a newer build knows", newer, later, unknown)
	less := usualTransition()
	less.Failure = nil
	reads(t, TargetTransitioned(TopicTransitions), "an optional field less", evolvedFrom(t, targetTransitionedText, "failure", ""), usualTransition(), less)
}

// reads encodes wrote with the schema text, and wants the reader s to read it as want; and the two schemas to agree.
func reads[E Event](t *testing.T, s *Schema, name, text string, wrote, want *E) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		value := encode(t, mustParseSchema(s.Subject, text), 1, wrote)
		if diff := cmp.Diff(*want, mustDecode(t, decoderFor[E](t, s, text), value)); diff != "" {
			t.Error(diff)
		}
		if err := Compatible(LevelFullTransitive, text, []string{s.Text}); err != nil {
			t.Error(err)
		}
	})
}
