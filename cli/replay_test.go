package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/processor"
	"webcheck/schemas"
)

func TestABoundIsAnOffsetATimeADateOrHowLongAgo(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 1, time.UTC)
	for text, want := range map[string]string{
		"start": "start", "end": "end", "0": "0", "1042": "1042",
		"2026-11-25T08:00:00Z": "2026-11-25T08:00:00Z", "2026-11-25T08:00:00.5+01:00": "2026-11-25T07:00:00.5Z", "2026-11-24": "2026-11-24T00:00:00Z",
		"2h": "2026-11-25T10:00:00Z", "3d": "2026-11-22T12:00:00Z", "1d12h": "2026-11-24T00:00:00Z",
	} {
		if got, err := parseBound(text, now); err != nil || got.String() != want {
			t.Errorf("%q: got %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1", "-2h", "0s", "2026-13-01", "1e3", "99999999999999999999", "12:00"} {
		if got, err := parseBound(text, now); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestTheLineOfProgressGivesWayToWhateverElseIsWritten(t *testing.T) {
	var out bytes.Buffer
	line, now := &progressLine{out: &out, live: true}, time.Now()
	line.show(now, "1 %")
	line.show(now.Add(liveEvery/2), "2 %") // too early
	line.show(now.Add(liveEvery), "3 %")
	fmt.Fprintln(line, "WARN")
	line.show(now.Add(2*liveEvery), "4 %")
	line.clear()
	line.clear()
	if want := eraseLine + "1 %" + eraseLine + "3 %" + eraseLine + "WARN\n" + eraseLine + "4 %" + eraseLine; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressThatNobodyWatchesIsAFewPlainLines(t *testing.T) {
	var out bytes.Buffer
	line := newProgressLine(&out, given(nil, nil).env)
	for n := range 51 {
		line.show(line.last.Add(plainEvery/25), fmt.Sprint(n)) // a clock that does not pass
	}
	now := line.last
	for n := range 51 {
		line.show(now.Add(time.Duration(n)*plainEvery/25), fmt.Sprint(n))
	}
	line.clear()
	if want := "25\n50\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTheRateForgetsAnOutage(t *testing.T) {
	var m pace
	now := time.Now()
	m.add(now, 0)
	if m.perSecond() != 0 {
		t.Errorf("at once: %v", m.perSecond())
	}
	m.add(now.Add(time.Second), 1000)
	now = now.Add(time.Hour)
	for n := range 31 {
		m.add(now.Add(time.Duration(n)*time.Second), 1000+int64(n)*500)
	}
	if got := m.perSecond(); got != 500 {
		t.Errorf("got %v/s, want 500", got)
	}
	progress := processor.ReplayProgress{Total: 10_000, Left: 5000}
	if got, want := progressText(progress, m.perSecond()), "50 %: 5000 of 10000 records, 500/s, 10s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAReplayKilledAtRandomMomentsIsResumedToTheEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), crashPatience)
	defer cancel()
	random := seed.Random(t)
	c := newCrash(ctx, t)
	c.run("topics", "create")
	c.run("db", "migrate")
	c.produce(4000)
	const small = "--processor-batch-records=4"
	c.interrupt(c.start("replay", "--from", "start", small))
	kills := 0
	for ; c.count("SELECT count(*) FROM replays WHERE state = 'finished'") == 0; kills++ {
		replay := c.start("replay", "--resume", small)
		moment := time.NewTimer(time.Duration(100+random.IntN(600)) * time.Millisecond)
		select {
		case <-moment.C:
			replay.kill()
		case err := <-replay.done:
			if err != nil {
				t.Fatalf("%v\n%s", err, replay.output)
			}
		}
	}
	if n := c.count("SELECT count(*) FROM checks"); n != 4000 || kills < 2 {
		t.Errorf("%d rows after %d runs, want 4000", n, kills)
	}
	process := c.start("process")
	c.awaitEnd()
	process.stop()
	c.checkInvariants()
}

// interrupt ends a replay in its midst as Ctrl-C does, which is no success and says how to go on.
func (c *crash) interrupt(replay *child) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.count("SELECT count(*) FROM checks") == 0 {
		select {
		case <-tick.C:
		case err := <-replay.done:
			c.t.Fatalf("%v\n%s", err, replay.output)
		}
	}
	if err := replay.command.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	<-replay.done
	out := replay.output.String()
	if !strings.Contains(out, "webcheck: stopped at ") || !strings.Contains(out, `hint: "webcheck replay --resume" goes on`) {
		c.t.Errorf("interrupted: got %q", out)
	}
	c.t.Log(out)
}

// produce writes n events of as many slots.
func (c *crash) produce(n int) {
	c.t.Helper()
	client, err := sr.NewClient(sr.URLs(c.registry))
	if err != nil {
		c.t.Fatal(err)
	}
	schema := schemas.CheckCompleted(schemas.TopicChecks)
	id, err := schemas.NewRegistry(client).Register(c.ctx, schema)
	if err != nil {
		c.t.Fatal(err)
	}
	encoder, first := schemas.NewEncoder(schema, id), time.Now().UTC().Truncate(time.Minute).Add(-24*time.Hour)
	var records []*kgo.Record
	for i := range n {
		target, slot := fmt.Sprintf("site-%d", i%50), first.Add(time.Duration(i)*time.Second)
		value, err := encoder.AppendEncode(nil, &event.CheckCompleted{
			EventID: schemas.EventID(target, "here", slot), TargetID: target, Location: "here", Slot: slot, StartedAt: slot,
			Outcome: event.OutcomeUp, Attempts: 1, DefinitionVersion: "0123456789ab", Prober: "prober-1",
		})
		if err != nil {
			c.t.Fatal(err)
		}
		records = append(records, &kgo.Record{Topic: schemas.TopicChecks, Key: []byte(target), Value: value})
	}
	if err := c.client.ProduceSync(c.ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}
