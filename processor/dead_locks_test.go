package processor

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"webcheck/gen/db"
)

func TestARetryWaitsForAPublisherThatHoldsTheLetter(t *testing.T) {
	p := newPipeline(t, 1)
	p.bury(0, newEvents(3)...)
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if locked, err := db.New().LockUnpublishedDeadLetters(t.Context(), tx, 2); err != nil || len(locked) != 2 {
		t.Fatalf("locking as a publisher: %d letters, %v", len(locked), err)
	}
	done := p.retryMeanwhile(p.pool)
	p.awaitLock(done)
	mark := []db.MarkDeadLettersParams{{Topic: p.topic, RecordOffset: 0, Published: true}}
	db.New().MarkDeadLetters(t.Context(), tx, mark).Exec(func(_ int, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sum := <-done; sum != (Retried{Applied: 3}) {
		t.Errorf("got %+v, want three applied", sum)
	}
	if rows, letters := p.letterStates(); len(rows) != 3 || len(letters) != 0 {
		t.Errorf("%d rows and %d letters, want 3 and 0", len(rows), len(letters))
	}
}

// retryMeanwhile retries all letters in a goroutine.
func (p *pipeline) retryMeanwhile(pool *pgxpool.Pool) <-chan Retried {
	p.t.Helper()
	done, registry := make(chan Retried, 1), p.schemas()
	go func() {
		sum, err := RetryDeadLetters(p.t.Context(), RetryConfig{Topic: p.topic, Registry: registry, Pool: pool}, LetterFilter{})
		if err != nil {
			p.t.Error(err)
		}
		done <- sum
	}()
	return done
}

// awaitLock waits until somebody waits for a lock in the database; done is a retry's that must not end before.
func (p *pipeline) awaitLock(done <-chan Retried) {
	p.t.Helper()
	ticker, timeout := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer ticker.Stop()
	for len(query(p.t, p.pool, "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")) == 0 {
		select {
		case <-ticker.C:
		case sum := <-done:
			p.t.Fatalf("it did not wait: %+v", sum)
		case <-timeout:
			p.t.Fatal("it does not get as far as the lock")
		}
	}
}

func TestARetryThatMeetsOthersInADeadlockTriesAgain(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(1)
	p.bury(0, events...)
	writeAll(t, p.pool, newEvents(2)[1:], func() int { return 1 }) // makes the day's partition
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := db.New().CopyChecks(t.Context(), tx, []db.CopyChecksParams{row(events[0])}); err != nil {
		t.Fatal(err)
	}
	// PostgreSQL looks for a deadlock once in a wait, so the retry's look must come after both wait.
	late := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.RuntimeParams["deadlock_timeout"] = "4s" })
	done := p.retryMeanwhile(late) // locks the letter and waits for the row
	p.awaitLock(done)
	for _, statement := range []string{"SET LOCAL deadlock_timeout = '1h'", "SELECT FROM dead_letters FOR UPDATE"} { // so the retry finds it
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sum := <-done; sum != (Retried{Applied: 1}) {
		t.Errorf("got %+v, want one applied", sum)
	}
	if rows, letters := p.letterStates(); len(rows) != 2 || len(letters) != 0 {
		t.Errorf("%d rows and %d letters, want 2 and 0", len(rows), len(letters))
	}
}

func TestABatchThatMeetsOthersInADeadlockIsWrittenAfterThemAndIsNoTrouble(t *testing.T) {
	p := newPipeline(t, 1)
	events := newEvents(4)
	for i := range events {
		events[i] = newEvent(fmt.Sprintf("target-%d", i%2), i)
	}
	p.produce(1, events[:2]...)
	// It looks for a deadlock when both wait.
	late := p.poolLike(func(cfg *pgxpool.Config) { cfg.ConnConfig.RuntimeParams["deadlock_timeout"] = "4s" })
	r := p.start(func(c *Config) { c.Pool = late })
	r.await(2)
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	lock := "SELECT FROM target_states WHERE target_id = $1 FOR UPDATE"
	for _, statement := range []string{"SET LOCAL deadlock_timeout = '1h'", strings.Replace(lock, "$1", "'target-1'", 1)} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	p.produce(1, events[2:]...) // locks target-0 and waits for target-1
	p.awaitLock(nil)
	if _, err := tx.Exec(t.Context(), lock, "target-0"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.await(4)
	r.finish()
	if troubles := p.logs.with("WARN"); len(troubles) > 0 {
		t.Errorf("said %q", troubles)
	}
	p.checkInvariants(events, 0)
}
