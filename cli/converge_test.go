package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// Bounds of the convergence test with real processes, of one run. processor.TestTheSameEventsEndInTheSameTables… tries many more.
const (
	convergeTargets = 5
	convergeSlots   = 200
	convergeRounds  = 6
)

// convergeTables are what the events and definitions decide, with the order of their rows.
var convergeTables = map[string]string{
	"checks":          "event_id",
	"definitions":     "target_id, definition_version",
	"strips":          "target_id, location, starts_at, definition_version",
	"location_states": "target_id, location",
	"target_states":   "target_id",
	"transitions":     "target_id, slot",
	"rollups":         "target_id, location, span, starts_at",
}

func TestProcessesKilledAndRebalancedAtRandomMomentsEndInTheTablesOfOneCleanPass(t *testing.T) {
	random := seed.Random(t)
	for range seed.Runs(t, 1) {
		ctx, cancel := context.WithTimeout(t.Context(), crashPatience)
		c := newCrash(ctx, t)
		c.run("topics", "create")
		c.run("db", "migrate")
		events := convergeEvents(random)
		for i := range convergeRounds {
			c.produceAnywhere(random, events[i*len(events)/convergeRounds:(i+1)*len(events)/convergeRounds])
			if i == 1 {
				c.produceDefinitions()
			}
			c.disturb(random)
		}
		mixed := c.pass()
		c.run("db", "drop", "--yes-drop", c.conn.Config().Database)
		c.run("db", "migrate")
		if diff := cmp.Diff(c.pass(), mixed); diff != "" {
			t.Errorf("one clean pass (-) gives something else than what is there (+):\n%s", diff)
		}
		cancel()
		if t.Failed() {
			return
		}
	}
}

// disturb runs a processor that is killed, beside one that comes and goes in good order.
func (c *crash) disturb(random *rand.Rand) {
	c.t.Helper()
	const small = "--processor-batch-records=20"
	killed := c.start("process", "--processor-name", "killed", small)
	var other *child
	if random.IntN(3) > 0 {
		other = c.start("process", "--processor-name", "other", small)
	}
	// From before they have joined the group to the midst of a batch or of a rebalance.
	moment := time.NewTimer(time.Duration(100+random.IntN(1200)) * time.Millisecond)
	select {
	case <-moment.C:
	case err := <-killed.done:
		c.t.Fatalf("the processor stopped by itself: %v\n%s", err, killed.output)
	}
	killed.kill()
	if other != nil { // it may be too early for it to leave the group
		_ = other.command.Process.Signal(os.Interrupt)
		<-other.done
	}
}

// pass lets processors of both names, whose partitions would otherwise wait for their sessions to end, come to the end undisturbed,
// and gives the tables as text.
func (c *crash) pass() map[string][]string {
	c.t.Helper()
	last := []*child{c.start("process", "--processor-name", "killed"), c.start("process", "--processor-name", "other")}
	defer func() {
		for _, p := range last {
			if c.t.Failed() {
				c.t.Logf("%v said:\n%s", p.command.Args, p.output)
			}
		}
	}()
	c.awaitEnd()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for c.count("SELECT count(*) FROM definitions") < convergeTargets {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			c.t.Fatal("not all definitions came")
		}
	}
	for _, p := range last {
		p.kill()
	}
	tables := make(map[string][]string)
	for table, order := range convergeTables {
		rows, err := c.conn.Query(c.ctx, fmt.Sprintf("SELECT t::text FROM %s AS t ORDER BY %s", table, order))
		if err != nil {
			c.t.Fatal(err)
		}
		if tables[table], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			c.t.Fatal(err)
		}
		if len(tables[table]) == 0 {
			c.t.Errorf("%s is empty", table)
		}
	}
	return tables
}

// convergeEvents gives random checks of some targets at two locations, in no strict order, of which some come twice and some have a
// rival for their slot.
func convergeEvents(random *rand.Rand) []event.CheckCompleted {
	outcomes := []event.Outcome{event.OutcomeUp, event.OutcomeUp, event.OutcomeDown, event.OutcomeDegraded, event.OutcomeMissed}
	first := time.Now().UTC().Truncate(time.Hour).Add(-6 * time.Hour)
	var events []event.CheckCompleted
	for n := range convergeSlots {
		slot := first.Add(time.Duration(n) * time.Minute)
		for i := range convergeTargets {
			for _, location := range []string{"east", "west"} {
				target := fmt.Sprintf("site-%d", i)
				total := random.Int32N(5_000_000)
				e := event.CheckCompleted{
					EventID: schemas.EventID(target, location, slot), TargetID: target, Location: location, Slot: slot, StartedAt: slot,
					Outcome: outcomes[(n/8+i)%len(outcomes)], Attempts: 1, TotalUs: &total, DefinitionVersion: "0123456789ab", Prober: "prober-1",
				}
				if random.IntN(6) == 0 {
					e.Outcome = outcomes[random.IntN(len(outcomes))]
				}
				events = append(events, e)
				if random.IntN(20) == 0 {
					rival := e
					rival.Outcome, rival.StartedAt, rival.Prober = event.OutcomeUp, slot.Add(time.Second), "prober-2"
					events = append(events, rival, e)
				}
			}
		}
	}
	for range len(events) {
		i := random.IntN(len(events))
		j := min(i+random.IntN(200), len(events)-1)
		events[i], events[j] = events[j], events[i]
	}
	return events
}

// produceAnywhere writes events, those of one target into several partitions, as where some were added.
func (c *crash) produceAnywhere(random *rand.Rand, events []event.CheckCompleted) {
	c.t.Helper()
	schema := schemas.CheckCompleted(schemas.TopicChecks)
	encoder := schemas.NewEncoder(schema, c.register(schema))
	var records []*kgo.Record
	for i := range events {
		value, err := encoder.AppendEncode(nil, &events[i])
		if err != nil {
			c.t.Fatal(err)
		}
		key := fmt.Appendf(nil, "%s %d", events[i].TargetID, random.IntN(3))
		records = append(records, &kgo.Record{Topic: schemas.TopicChecks, Key: key, Value: value})
	}
	if err := c.client.ProduceSync(c.ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// produceDefinitions defines the targets, each by other rules.
func (c *crash) produceDefinitions() {
	c.t.Helper()
	schema := schemas.TargetDefined(schemas.TopicTargets)
	encoder := schemas.NewEncoderOf[event.TargetDefined](schema, c.register(schema))
	for i := range int32(convergeTargets) {
		id := fmt.Sprintf("site-%d", i)
		value, err := encoder.AppendEncode(nil, &event.TargetDefined{
			TargetID: id, DefinitionVersion: "0123456789ab", DefinedAt: time.Now().UTC(), URL: "http://localhost/", IntervalMs: 60_000,
			TimeoutMs: 1000, DownAfter: 1 + i%2, DownOf: 2, UpAfter: 1, UpOf: 1 + i%3, Quorum: i % 3, FlapTransitions: 3, FlapWindowS: 3600,
			SilentAfter: 3, Definition: "{}",
		})
		if err != nil {
			c.t.Fatal(err)
		}
		record := &kgo.Record{Topic: schemas.TopicTargets, Key: []byte(id), Value: value}
		if err := c.client.ProduceSync(c.ctx, record).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *crash) register(schema *schemas.Schema) int {
	c.t.Helper()
	client, err := sr.NewClient(sr.URLs(c.registry))
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := schemas.NewRegistry(client).Register(c.ctx, schema)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}
