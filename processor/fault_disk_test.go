package processor

import (
	"testing"

	"webcheck/gen/event"
)

// A full disk is trouble that passes, wherever it is met, and never the fault of a row.

// fillDisk makes every write to a table fail as on a full disk (SQLSTATE 53100), until freed.
func (p *pipeline) fillDisk(table string) (freed func()) {
	p.t.Helper()
	p.exec(`CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
	p.exec("CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE OR DELETE ON " + table + " EXECUTE FUNCTION full_disk()")
	return func() { p.exec("DROP TRIGGER full_disk ON " + table) }
}

func (p *pipeline) exec(sql string) {
	p.t.Helper()
	if _, err := p.pool.Exec(p.t.Context(), sql); err != nil {
		p.t.Fatal(err)
	}
}

func TestAFullDiskIsWaitedOutInWhateverTable(t *testing.T) {
	p := newPipeline(t, 1)
	refuse(t, p.pool)
	r := p.start(nil)
	var all []event.CheckCompleted
	poison := 0
	for _, table := range []string{"offsets", "checks", "dead_letters", "target_states", "location_states", "strips", "rollups", "transitions", "outbox"} {
		freed := p.fillDisk(table)
		p.logs.forget()
		// One batch writes every table: new rows, a refused one, a change of state.
		events := recentEvents("site-"+table, up, down, down)
		p.produce(1, append(events, refused(newEvent("site-"+table, 1000)))...)
		all, poison = append(all, events...), poison+1
		p.awaitLog("WARN waiting", "doing=processing", "53100")
		freed()
		r.await(4 * poison)
		p.checkSaidOnce("processing")
	}
	r.finish()
	p.checkInvariants(all, poison)
}
