package processor

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestTheRightsThatSecurityNamesAreEnoughToProcess(t *testing.T) {
	p := newPipeline(t, 1)
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	role := fmt.Sprintf("webcheck_rights_%d", time.Now().UnixNano())
	statements := []string{"CREATE ROLE " + role}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "GRANT ") && !strings.Contains(line, " ON DATABASE ") {
			statements = append(statements, strings.ReplaceAll(strings.TrimSpace(line), "webcheck_process", role))
		}
	}
	if len(statements) < 4 {
		t.Fatalf("SECURITY.md has the grants %q, want those of the tables", statements[1:])
	}
	for _, s := range statements {
		if _, err := p.pool.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	t.Cleanup(func() {
		for _, s := range []string{"DROP OWNED BY ", "DROP ROLE "} {
			if _, err := p.pool.Exec(context.Background(), s+role); err != nil {
				t.Error(err)
			}
		}
	})
	pool := p.poolLike(func(cfg *pgxpool.Config) {
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET ROLE "+role)
			return err
		}
	})
	r := p.start(func(c *Config) { c.Pool = pool })
	events := recentEvents("site", up, down, down, up, up)
	for _, e := range append(events, events[0]) { // the last one goes through a merge
		p.produceAt(e.Slot, e)
		r.await(r.sum.Records + 1)
	}
	p.produceRecords(&kgo.Record{Topic: p.topic, Value: []byte("garbage")})
	r.await(len(events) + 2)
	p.readDead(1)
	p.readTransitions(3)
	partitions := newStore(pool).partitions
	if err := partitions.tidy(t.Context()); err != nil {
		t.Error(err)
	}
	r.finish()
	if said := p.logs.with("permission denied"); len(said) > 0 {
		t.Errorf("said %q", said)
	}
	p.checkInvariants(events, 1)
}
