package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ticksPerSecond is the unit of CPU times in /proc, the same on every Linux that Go runs on (USER_HZ).
const ticksPerSecond = 100

// seen is what a look into the database finds.
type seen struct {
	rows    int64 // of checks
	bytes   int64 // of checks and their indexes on disk
	written int64 // row versions that were written or deleted, and have no row to show for it
	cpu     *float64
}

// look counts in the tables of a stage, when its connections have gone, for a server process tells what it did at its end
// at the latest.
func (b *bench) look(ctx context.Context, stage benchStage) (at seen, err error) {
	schema := b.names.Tables
	if stage.store == storePlain {
		schema = b.names.Plain
	}
	if stage.store == storeNothing {
		return at, nil
	}
	if err := b.awaitDisconnected(ctx, schema); err != nil {
		return at, err
	}
	at.cpu = b.postgres.seconds()
	if err := b.s.pool.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{schema, "checks"}.Sanitize()).Scan(&at.rows); err != nil {
		return at, fmt.Errorf("counting rows: %w", err)
	}
	// Offsets move with each batch, by their nature. The numbers are those of transactions that were rolled back, too.
	err = b.s.pool.QueryRow(ctx, `
		SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
			coalesce(sum(pg_total_relation_size(relid)) FILTER (WHERE relname LIKE 'checks%'), 0)::bigint
		FROM pg_stat_all_tables WHERE schemaname = $1 AND relname <> 'offsets'`, schema).Scan(&at.written, &at.bytes)
	if err != nil {
		return at, fmt.Errorf("reading statistics: %w", err)
	}
	return at, nil
}

// awaitDisconnected waits until the processes of a stage, whose connections are named for its schema, have left the server.
func (b *bench) awaitDisconnected(ctx context.Context, schema string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var left int
		err := b.s.pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", schema).Scan(&left)
		if err != nil {
			return fmt.Errorf("looking for connections: %w", err)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// rewind sets the offsets back to the start, and leaves the tables as they are.
func (b *bench) rewind(ctx context.Context) error {
	return b.exec(ctx, "DELETE FROM %s", pgx.Identifier{b.names.Tables, "offsets"})
}

// describe finds out what is measured on.
func (b *bench) describe(ctx context.Context) error {
	b.result = newBenchResult(b.p.config, b.options)
	b.result.PostgresEmbedded, b.result.KafkaEmbedded = b.endpoints.Postgres != "", len(b.endpoints.Kafka) > 0
	err := b.s.pool.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('shared_buffers')`).
		Scan(&b.result.PostgresVersion, &b.result.Fsync, &b.result.SynchronousCommit, &b.result.SharedBuffers)
	if err != nil {
		return fmt.Errorf("asking PostgreSQL for its settings: %w", err)
	}
	b.postgres, err = b.findPostgres(ctx)
	return err
}

// postgresCPU tells what a PostgreSQL on this machine has used of its cores. The zero value knows of none.
type postgresCPU struct{ postmaster int }

// findPostgres looks in /proc for the server's processes. They are the server's when the process that serves us says so:
// in its title is the port that we came from.
func (b *bench) findPostgres(ctx context.Context) (postgresCPU, error) {
	var pid, port int
	var title string
	conn, err := b.s.pool.Acquire(ctx)
	if err != nil {
		return postgresCPU{}, fmt.Errorf("asking PostgreSQL for its process: %w", err)
	}
	defer conn.Release()
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid(), coalesce(inet_client_port(), 0)").Scan(&pid, &port); err != nil {
		return postgresCPU{}, fmt.Errorf("asking PostgreSQL for its process: %w", err)
	}
	if text, err := os.ReadFile(procFile(pid, "cmdline")); err == nil {
		title = string(text)
	}
	if port == 0 || !strings.HasPrefix(title, "postgres: ") || !strings.Contains(title, fmt.Sprintf("(%d)", port)) {
		return postgresCPU{}, nil
	}
	stat, _ := readStat(pid)
	return postgresCPU{stat.parent}, nil
}

// seconds adds up the times of the server's first process, of its children, and of those that have ended; nil when there is
// nothing to be known. One that ends meanwhile would count twice or not at all, so it looks until none did.
func (c postgresCPU) seconds() *float64 {
	for {
		own, known := readStat(c.postmaster)
		if c.postmaster == 0 || !known {
			return nil
		}
		ticks := own.ticks + own.endedTicks
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range processes {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			if stat, known := readStat(pid); known && stat.parent == c.postmaster {
				ticks += stat.ticks
			}
		}
		if after, _ := readStat(c.postmaster); after.endedTicks == own.endedTicks {
			return new(float64(ticks) / ticksPerSecond)
		}
	}
}

// processStat is a part of /proc/PID/stat (proc_pid_stat(5)).
type processStat struct {
	parent     int
	ticks      int64 // user and system
	endedTicks int64 // of children that have ended
}

func readStat(pid int) (stat processStat, known bool) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat, false
	}
	// The second field is a name in brackets, with anything in it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat, false
	}
	number := func(field int) int64 { // as the manual counts them
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	return processStat{int(number(4)), number(14) + number(15), number(16) + number(17)}, true
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }
