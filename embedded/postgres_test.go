package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"webcheck/embedded/testservices/port"
)

func startTestPostgres(t *testing.T, cfg PostgresConfig) *Postgres {
	t.Helper()
	begun := time.Now()
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err, hintOf(err))
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("PostgreSQL %s ready after %v", p.Version(), time.Since(begun).Round(time.Millisecond))
	return p
}

// ask runs one statement and returns its one value as text.
func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var answer string
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestPostgresKeepsRowsOverARestart(t *testing.T) {
	dir := dataDir(t)
	port.Keep(t, filepath.Join(dir, "postgres.port"))
	p := startTestPostgres(t, PostgresConfig{Dir: dir})
	url := p.URL()
	ask(t, url, "CREATE TABLE rows (n int)")
	ask(t, url, "INSERT INTO rows VALUES (42)")
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "password_encryption": "scram-sha-256",
	} {
		if got := ask(t, p.SuperuserURL(), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := ask(t, url, "SELECT current_user || ' ' || current_setting('is_superuser')"); got != "webcheck off" {
		t.Errorf("user and whether a superuser: %q, want the database's owner alone", got)
	}
	if got := ask(t, url, "SELECT current_database()"); got != postgresDatabase {
		t.Errorf("database %q", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if left := processesIn(filepath.Join(dir, "postgres", "cluster")); len(left) > 0 {
		t.Fatalf("processes %v are left", left)
	}
	p = startTestPostgres(t, PostgresConfig{Dir: dir})
	if p.URL() != url {
		t.Error("the URL changed over a restart")
	}
	if got := ask(t, url, "SELECT n::text FROM rows"); got != "42" {
		t.Errorf("the row is %q", got)
	}
}

func TestPasswordIsPrivateAndNeeded(t *testing.T) {
	dir := dataDir(t)
	p := startTestPostgres(t, PostgresConfig{Dir: dir})
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	var passwords []string
	for _, file := range []string{"postgres.password", "webcheck.password"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("the file %s: %v %v, want mode 600", file, info, err)
		}
		password, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || len(password) < 20 {
			t.Fatalf("the file %s holds %d bytes: %v", file, len(password), err)
		}
		passwords = append(passwords, strings.TrimSpace(string(password)))
	}
	shows := func(text []byte) bool {
		return strings.Contains(string(text), passwords[0]) || strings.Contains(string(text), passwords[1])
	}
	var looked int
	for _, pid := range append(processesIn(filepath.Join(dir, "postgres", "cluster")), p.child.cmd.Process.Pid) {
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil || len(data) == 0 { // a worker of PostgreSQL that has ended meanwhile
				continue
			}
			looked++
			if shows(data) {
				t.Errorf("process %d: %s shows the password", pid, file)
			}
		}
	}
	if looked < 4 {
		t.Errorf("looked into %d files, want those of the keeper and the server at least", looked)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "postgres", "log", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatal("no log", err)
	}
	for _, log := range logs {
		if data, err := os.ReadFile(log); err != nil || shows(data) {
			t.Errorf("%s shows the password, or %v", log, err)
		}
	}
	for _, user := range []string{postgresUser, postgresOwner} {
		u.User = url.UserPassword(user, "guess")
		if _, err := pgx.Connect(t.Context(), u.String()); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("a guessed password for %s: %v", user, err)
		}
	}
	if got := ask(t, p.SuperuserURL(), "SELECT string_agg(auth_method, ',') FROM pg_hba_file_rules"); got != "scram-sha-256" {
		t.Errorf("rules %q", got)
	}
}

func TestCommittedRowsSurviveTheKillOfEverything(t *testing.T) {
	dir := dataDir(t)
	cluster := filepath.Join(dir, "postgres", "cluster")
	up := play(t, "postgres", dir)
	ask(t, up.said, "CREATE TABLE rows (n int)")
	for round := range 2 {
		ask(t, up.said, fmt.Sprintf("INSERT INTO rows VALUES (%d)", round))
		keeper := childOf(t, up.cmd.Process.Pid)
		up.kill()
		for _, pid := range append(processesIn(cluster), keeper) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		up = play(t, "postgres", dir)
		if got := ask(t, up.said, "SELECT count(*)::text FROM rows"); got != strconv.Itoa(round+1) {
			t.Errorf("%s rows, want %d", got, round+1)
		}
	}
	up.kill()
	awaitStopped(t, cluster)
}

func TestServerStopsWhenItsParentIsKilled(t *testing.T) {
	dir := dataDir(t)
	up := play(t, "postgres", dir)
	up.kill()
	cluster := filepath.Join(dir, "postgres", "cluster")
	awaitStopped(t, cluster)
	if _, err := os.Stat(filepath.Join(cluster, "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not stopped in good order: %v", err)
	}
}

func TestServerLeftOverByAKillIsReplaced(t *testing.T) {
	dir := dataDir(t)
	cluster := filepath.Join(dir, "postgres", "cluster")
	up := play(t, "postgres", dir)
	old, _ := postmaster(cluster)
	_ = syscall.Kill(childOf(t, up.cmd.Process.Pid), syscall.SIGKILL) // the keeper cannot stop it now
	up.kill()
	if now, running := postmaster(cluster); !running || now != old {
		t.Fatalf("the server %d did not outlive its keeper", old)
	}
	startTestPostgres(t, PostgresConfig{Dir: dir})
	if now, running := postmaster(cluster); !running || now == old {
		t.Errorf("server %d, was %d", now, old)
	}
}

// The id in a stale postmaster.pid belongs to somebody else by now: this test's own process.
func TestReusedProcessIDIsNeitherFearedNorStopped(t *testing.T) {
	dir := dataDir(t)
	p := startTestPostgres(t, PostgresConfig{Dir: dir})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "postgres", "cluster", "postmaster.pid")
	bystander := exec.Command("sleep", "60")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	if err := os.WriteFile(stale, fmt.Appendf(nil, "%d\n/nowhere\n", bystander.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	startTestPostgres(t, PostgresConfig{Dir: dir})
	if !alive(bystander.Process.Pid) {
		t.Error("a bystander was stopped")
	}
}

func TestServerThatGoesByItselfIsNoticed(t *testing.T) {
	dir := dataDir(t)
	p, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := postmaster(filepath.Join(dir, "postgres", "cluster"))
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "not running any more") {
		t.Errorf("closing: %v", err)
	}
}

func TestUnfinishedClusterIsMadeAnewAndAnUnknownOneLeftAlone(t *testing.T) {
	dir := dataDir(t)
	p := startTestPostgres(t, PostgresConfig{Dir: dir})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "postgres")
	version := filepath.Join(home, "cluster", "PG_VERSION")
	kept, err := os.ReadFile(version)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(version); err != nil {
		t.Fatal(err)
	}
	_, err = StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	wantFault(t, err, "PG_VERSION", "from a copy")
	if _, err := os.Stat(filepath.Join(home, "cluster", "base")); err != nil {
		t.Fatal("the cluster was touched:", err)
	}
	if err := os.WriteFile(version, []byte("11\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	wantFault(t, err, "made by PostgreSQL 11", "install PostgreSQL 11")
	if machine := newestInstalled(); machine != "" {
		if err := os.WriteFile(version, []byte("11\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = StartPostgres(t.Context(), PostgresConfig{Dir: dir, BinariesPath: machine})
		wantFault(t, err, "of PostgreSQL 11: \""+machine+"\" is", "same major version")
	}
	if err := os.WriteFile(version, kept, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "unfinished"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p = startTestPostgres(t, PostgresConfig{Dir: dir})
	if got := ask(t, p.URL(), "SELECT 'whole'"); got != "whole" {
		t.Error(got)
	}
}

func TestMachinesPostgresServesWhenNoneCanBeFetched(t *testing.T) {
	dir, cache := dataDir(t), dataDir(t)
	var told []string
	cfg := PostgresConfig{Dir: dir, CacheDir: cache, RepositoryURL: "http://127.0.0.1:1", Progress: func(s string) { told = append(told, s) }}
	if newestInstalled() == "" {
		_, err := StartPostgres(t.Context(), cfg)
		wantFault(t, err, "none is installed on this machine", "make Maven Central reachable")
		return
	}
	p := startTestPostgres(t, cfg)
	ask(t, p.URL(), "CREATE TABLE rows (n int)")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "using this machine's PostgreSQL") }) {
		t.Errorf("told %q", told)
	}
	// Maven Central is reachable again, but the cluster is the machine's.
	again := startTestPostgres(t, PostgresConfig{Dir: dir})
	if again.Version() != p.Version() || ask(t, again.URL(), "SELECT count(*)::text FROM rows") != "0" {
		t.Errorf("restarted as %s, was %s", again.Version(), p.Version())
	}
}

func TestBothWaysToAPostgresAreNamedWhenThereIsNone(t *testing.T) {
	k := &keeper{order: order{Dir: t.TempDir()}}
	_, err := k.machines(99, errors.New("fetching PostgreSQL 99 from Maven Central: no route to host"))
	wantFault(t, err, "no route to host; and none is installed", "make Maven Central reachable (HTTPS_PROXY is honoured), or install PostgreSQL 99")
	_, err = StartPostgres(t.Context(), PostgresConfig{Dir: dataDir(t), BinariesPath: "/usr"})
	wantFault(t, err, `using PostgreSQL in "/usr"`, "bin/initdb")
}

func TestTwoStartsShareOneDownload(t *testing.T) {
	requests, repository := mavenFromCache(t)
	cache := dataDir(t)
	var mu sync.Mutex
	var told []string
	var wg sync.WaitGroup
	for range 2 {
		dir := dataDir(t)
		wg.Go(func() {
			p, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir, CacheDir: cache, RepositoryURL: repository, Progress: func(s string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, s)
			}})
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
	if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "fetching PostgreSQL 18.3 from http://127") }) {
		t.Errorf("told %q", told)
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	dir := dataDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := StartPostgres(ctx, PostgresConfig{Dir: dir, Progress: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if left := processesIn(filepath.Join(dir, "postgres", "cluster")); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	startTestPostgres(t, PostgresConfig{Dir: dir})
}

func TestFullDiskIsOneSentence(t *testing.T) {
	dir := smallDisk(t, 64<<20)
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	wantFault(t, err, "MiB needed", "free some space")
	k := &keeper{order: order{Dir: dir}}
	err = k.cause(errors.New("unable to init database using 'initdb': exit status 1\nThe files belonging to ...\n"+
		`initdb: error: could not write to file "pg_wal/xlogtemp.99": No space left on device`), &binaries{})
	wantFault(t, err, "no space left on the disk of", "free some space")
	err = k.cause(errors.New("could not start postgres using pg_ctl:\nwaiting for server to start....\n"+
		"2026-01-01 LOG:  starting\n2026-01-01 FATAL:  could not load locale\n stopped waiting"), &binaries{version: "18.3"})
	wantFault(t, err, "PostgreSQL 18.3 says: could not load locale", "see ")
}
