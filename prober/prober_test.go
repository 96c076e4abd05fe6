package prober

import (
	"context"
	"testing"
	"time"

	"webcheck/gen/event"
	"webcheck/schemas"
)

func TestSiteIsCheckedAndItsEventIsInKafkaBeforeOnCheck(t *testing.T) {
	b := newBroker(t)
	target := NewTarget("home", serve(t, "127.0.0.1:0", say(okHead+"\r\nall is well")))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var written *event.CheckCompleted
	p, err := New(Config{
		Location: "here", Name: "prober-1", Targets: []Target{target}, Emit: b.emitter(t), CheckAtStart: true,
		OnCheck: func(e *event.CheckCompleted) { written = e; cancel() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if written == nil || written.Outcome != event.OutcomeUp || written.Location != "here" || written.Prober != "prober-1" || written.DefinitionVersion != target.Version() {
		t.Fatalf("written: %+v", written)
	}
	if err := schemas.CheckEventID(written); err != nil {
		t.Error(err)
	}
	if record := b.records(t, 1)[0]; string(record.Key) != "home" {
		t.Errorf("key %q", record.Key)
	}
}
