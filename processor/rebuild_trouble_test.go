package processor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
)

func TestARebuildKilledAtAnyStatementGoesOnToTheSameTables(t *testing.T) {
	random := seed.Random(t) // a run has some 250 statements, and every one takes a second
	p := newPipeline(t, 2)
	p.produce(2, newEvents(30)...)
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	p.process(31)
	p.deleteUpTo(0, 5)
	want := p.contents()
	for n := random.IntN(20); ; n += 1 + random.IntN(40) {
		killed, err := p.killRebuild(n)
		if !killed {
			if err != nil || n < 60 {
				t.Errorf("the first run that was not killed was number %d: %v", n, err)
			}
			return
		}
		r := p.rebuilder(nil)
		if there, err := r.ours(t.Context(), r.kept); err != nil {
			t.Fatal(err)
		} else if !there { // else its last statement came through
			if result, err := r.Run(t.Context(), false); err != nil || !result.Swapped {
				t.Fatalf("killed at statement %d, then %+v, %v", n, result, err)
			}
		}
		if diff := cmp.Diff(want, p.contents()); diff != "" {
			t.Fatalf("killed at statement %d (-want +got):\n%s", n, diff)
		}
		if _, err := r.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.close(r)
	}
}

// killRebuild runs a rebuild whose connections die at the n-th statement.
func (p *pipeline) killRebuild(n int) (killed bool, err error) {
	p.t.Helper()
	ctx, kill := context.WithCancel(p.t.Context())
	defer kill()
	dying := &dyingTracer{left: n, die: kill}
	pool := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = dying })
	defer pool.Close()
	r, err := NewRebuilder(ctx, p.rebuildConfig(func(c *RebuildConfig) { c.Pool, c.BatchRecords = pool, 10 }))
	if err != nil {
		return ctx.Err() != nil, err
	}
	_, err = r.Run(ctx, false)
	p.close(r)
	return ctx.Err() != nil, err
}

func TestASwapWaitsForALongReaderAndSaysSo(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(10)...)
	p.process(10)
	reader, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := reader.QueryRow(t.Context(), "SELECT count(*) FROM checks").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		result, err := p.rebuilder(nil).Run(t.Context(), false)
		if err == nil && !result.Swapped {
			err = fmt.Errorf("not swapped: %+v", result)
		}
		done <- err
	}()
	p.awaitLog("waiting, will go on where it stopped", "rebuilding", "has been reading or writing the tables in one transaction since")
	for range 20 { // whoever comes while the swap tries again is served in its time
		if err := p.pool.QueryRow(t.Context(), "SELECT count(*) FROM checks").Scan(&rows); err != nil || rows != 10 {
			t.Errorf("%d rows, %v", rows, err)
		}
	}
	if err := reader.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestARebuildThatTheLogHasOutrunSaysSoHoweverOftenItIsTakenUp(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(40)...)
	p.process(40)
	r := p.rebuilder(nil)
	if _, err := r.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.deleteUpTo(0, 20)
	for range 2 {
		_, err := r.Run(t.Context(), true)
		var permanent *PermanentError
		if !errors.As(err, &permanent) || !strings.Contains(err.Error(), "20 records expired from ") || permanent.Hint() == "" {
			t.Errorf("got %v, want a PermanentError with a hint and the 20 records", err)
		}
	}
}

func TestARebuildRefusesAtOnceWhatItCouldNotDo(t *testing.T) {
	p := newPipeline(t, 1)
	p.process(0)
	role := fmt.Sprintf("webcheck_rebuild_%d", time.Now().UnixNano())
	p.exec("CREATE ROLE " + role)
	t.Cleanup(func() {
		for _, sql := range []string{"DROP OWNED BY ", "DROP ROLE "} {
			if _, err := p.pool.Exec(context.Background(), sql+role); err != nil {
				t.Error(err)
			}
		}
	})
	as := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET ROLE "+role)
			return err
		}
	})
	p.exec("GRANT SELECT ON webcheck_migrations TO " + role)
	refused := func(pool *pgxpool.Pool, want string) {
		t.Helper()
		r, err := NewRebuilder(t.Context(), p.rebuildConfig(func(c *RebuildConfig) { c.Pool = pool }))
		if err == nil {
			defer r.Close()
			_, err = r.Run(t.Context(), false)
		}
		var permanent *PermanentError
		if !errors.As(err, &permanent) || !strings.Contains(err.Error(), want) || permanent.Hint() == "" {
			t.Errorf("got %v, want a PermanentError with a hint and %q", err, want)
		}
	}
	refused(as, "belong to ")
	p.exec("CREATE VIEW mine AS SELECT * FROM incidents")
	refused(p.pool, "depend view mine, which would stay with the old ones")
	p.exec("DROP VIEW mine; CREATE SCHEMA public_rebuild")
	refused(p.pool, `a schema "public_rebuild" that no rebuild has made`)
	p.exec("DROP SCHEMA public_rebuild")
	first := p.rebuilder(nil)
	if _, err := first.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused(p.pool, "another process rebuilds")
	p.close(first)
	p.rebuild(false, true, nil)
	refused(p.pool, "still has the tables that the last rebuild replaced")
	p.exec("INSERT INTO webcheck_migrations (version_id, is_applied) VALUES (99999, true)")
	refused(p.pool, "is at migration 99999")
}

func TestARebuildWorksAsTheOwnerOfTheTables(t *testing.T) {
	p := newPipeline(t, 1)
	p.produce(1, newEvents(10)...)
	p.process(10)
	role := fmt.Sprintf("webcheck_owner_%d", time.Now().UnixNano())
	p.exec("CREATE ROLE " + role)
	for _, kind := range []string{"TABLE", "VIEW"} {
		for _, name := range query(t, p.pool, fmt.Sprintf(`
SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND CASE '%s' WHEN 'VIEW' THEN relkind = 'v' ELSE relkind IN ('r', 'p') END`, kind)) {
			p.exec(fmt.Sprintf("ALTER %s %s OWNER TO %s", kind, name, role))
		}
	}
	for _, name := range query(t, p.pool, "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace") {
		p.exec(fmt.Sprintf("ALTER FUNCTION %s OWNER TO %s", name, role))
	}
	database := pgx.Identifier{query(t, p.pool, "SELECT current_database()::text")[0]}.Sanitize()
	p.exec(fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s; GRANT CREATE, USAGE ON SCHEMA public TO %s", database, role, role))
	p.rebuild(false, true, nil)
	owners := query(t, p.pool, "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'")
	if diff := cmp.Diff([]string{role}, owners); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	r := p.rebuilder(nil)
	if _, err := r.Discard(t.Context()); err != nil {
		t.Error(err)
	}
	r.Close()
	p.exec("REASSIGN OWNED BY " + role + " TO CURRENT_USER")
	p.exec("DROP OWNED BY " + role)
	p.exec("DROP ROLE " + role)
}
