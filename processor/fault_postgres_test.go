package processor

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/embedded"
	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/port"
)

// A PostgreSQL that is started anew, or that only reads for a while as in a failover, is waited for.

func TestAPostgreSQLThatIsStartedAnewGoesOnWhereItWas(t *testing.T) {
	dir := testservices.DataDir(t)
	port.Keep(t, filepath.Join(dir, "postgres.port"))
	start := func() *embedded.Postgres {
		server, err := embedded.StartPostgres(context.Background(), embedded.PostgresConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	server := start()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	p := newPipelineOn(t, testservices.Kafka(t), server.SuperuserURL(), 2)
	events := newEvents(300)
	p.produce(2, events[:200]...)
	own := p.poolLike(func(*pgxpool.Config) {})
	r := p.start(func(c *Config) { c.Pool, c.BatchRecords = own, 20 })
	r.await(60)
	if err := server.Close(); err != nil { // in the midst of batches
		t.Fatal(err)
	}
	p.produce(2, events[200:]...)
	p.awaitLog("WARN waiting", "doing=processing")
	server = start()
	p.pool.Reset()
	p.awaitEnd()
	r.finish()
	p.checkSaidOnce("processing")
	p.checkInvariants(events, 0)
}

// checkSaidInTurn wants a line where the trouble began and one where it was over, as often as there was trouble.
func (p *pipeline) checkSaidInTurn(doing string) {
	p.t.Helper()
	var turns []string
	for _, line := range p.logs.with("doing=" + doing) {
		for _, message := range []string{"WARN waiting", "INFO going on"} {
			if strings.Contains(line, message) {
				turns = append(turns, message)
			}
		}
	}
	for i, message := range turns {
		if want := []string{"WARN waiting", "INFO going on"}[i%2]; message != want {
			p.t.Errorf("line %d is %q, want %q, of %q", i+1, message, want, turns)
		}
	}
	if len(turns) == 0 || len(turns)%2 != 0 {
		p.t.Errorf("said %q, want a beginning and an end", turns)
	}
}

// readOnly sets whether the pipeline's database takes writes, and ends all connections to it, as a failover does.
func (p *pipeline) readOnly(yes string) {
	p.t.Helper()
	admin := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "off" })
	defer admin.Close()
	name := pgx.Identifier{p.pool.Config().ConnConfig.Database}.Sanitize()
	for _, statement := range []string{
		"ALTER DATABASE " + name + " SET default_transaction_read_only = " + yes,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
	} {
		if _, err := admin.Exec(p.t.Context(), statement); err != nil {
			p.t.Fatal(err)
		}
	}
	p.pool.Reset() // the test's own, whose connections are ended as well
}

func TestADatabaseThatOnlyReadsForAWhileIsWaitedOut(t *testing.T) {
	p := newPipeline(t, 2)
	events := newEvents(300)
	p.produce(2, events[:200]...)
	own := p.poolLike(func(*pgxpool.Config) {})
	r := p.start(func(c *Config) { c.Pool, c.BatchRecords = own, 20 })
	r.await(60)
	p.readOnly("on")
	p.produce(2, events[200:]...)
	p.awaitLog("WARN waiting", "doing=processing")
	p.readOnly("off")
	p.awaitEnd()
	r.finish()
	p.checkSaidInTurn("processing") // a session that came between the two statements has its own trouble
	p.checkInvariants(events, 0)
}
