package embedded

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	// fetchTimeout bounds a download that stalls; 15 MB take seconds on most lines.
	fetchTimeout = 5 * time.Minute
	// watchInterval is how often the keeper looks whether PostgreSQL still runs: it is no child of anybody.
	watchInterval = time.Second
)

// ChildMain returns at once in a program that was started by a person. In one that was started by [StartPostgres] it keeps
// PostgreSQL until its parent closes the pipe or dies, then exits. It is the first statement of main, and of TestMain.
func ChildMain() {
	if os.Getenv(childVariable) == "" {
		return
	}
	syscall.Umask(0o077)
	http.DefaultClient.Timeout = fetchTimeout // the library fetches with this client
	os.Exit(keep(os.Stdin, os.Stdout))
}

// keeper runs PostgreSQL for a parent.
type keeper struct {
	order
	out    *json.Encoder
	server *embeddedpostgres.EmbeddedPostgres
	port   int
}

// keep reads the order, starts, and stops at the end of in.
func keep(stdin io.Reader, stdout io.Writer) int {
	in := bufio.NewReader(stdin)
	k := &keeper{out: json.NewEncoder(stdout)}
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &k.order)
	}
	if err != nil {
		return k.fail(fmt.Errorf("reading the order: %w", err))
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, in)
	}()
	started := make(chan error, 1)
	go func() { started <- k.start() }()
	select {
	case err = <-started:
	case <-gone:
		return k.abandon(started)
	}
	if err != nil {
		return k.fail(err)
	}
	return k.watch(gone)
}

// abandon ends a start whose parent has gone. What is half done is put right at the next start.
func (k *keeper) abandon(started <-chan error) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM) // this process is in the group, and stays for the next line
	_ = syscall.Kill(-syscall.Getpgrp(), syscall.SIGTERM)
	// An initdb that is told to end still removes what it made, and would remove it from under the next start.
	select {
	case <-started:
	case <-time.After(fastStop):
	}
	if err := stopProcesses(k.cluster()); err != nil {
		return k.fail(err)
	}
	return 1
}

// watch waits for the parent to go, or PostgreSQL.
func (k *keeper) watch(gone <-chan struct{}) int {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			if err := k.server.Stop(); err != nil {
				if len(processesIn(k.cluster())) > 0 || !onProc() {
					return k.fail(fmt.Errorf("stopping: %w", err))
				}
			}
			awaitNone(k.cluster(), fastStop) // it counts as stopped a moment before its last process has ended
			return 0
		case <-tick.C:
			if _, running := postmaster(k.cluster()); !running {
				return k.fail(errors.New("the server is not running any more"))
			}
		}
	}
}

func (k *keeper) cluster() string { return filepath.Join(k.Dir, "cluster") }
func (k *keeper) logs() string    { return filepath.Join(k.Dir, "log") }

// unfinished marks a cluster that was never handed to anybody, and only such a one may be deleted.
func (k *keeper) unfinished() string { return filepath.Join(k.Dir, "unfinished") }

func (k *keeper) tell(r report) { _ = k.out.Encode(r) }

func (k *keeper) progress(format string, args ...any) {
	k.tell(report{Progress: fmt.Sprintf(format, args...)})
}

func (k *keeper) fail(err error) int {
	r := report{Error: err.Error()}
	var hint interface{ Hint() string }
	if errors.As(explain(err), &hint) {
		r.Hint = hint.Hint()
	}
	k.tell(r)
	return 1
}

// start brings the cluster up from whatever state the last life left it in.
func (k *keeper) start() error {
	// The log of the last life is kept: it may say why that life ended.
	for _, dir := range []string{k.logs() + ".last", filepath.Join(k.Dir, "run")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Rename(k.logs(), k.logs()+".last"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(k.logs(), 0o700); err != nil {
		return err
	}
	if err := stopProcesses(k.cluster()); err != nil {
		return err
	}
	major, err := k.existing()
	if err != nil {
		return err
	}
	b, err := k.binaries(major)
	if err != nil {
		return err
	}
	defer b.release()
	if err := k.run(&b, major == 0); err != nil {
		return err
	}
	k.tell(report{Port: k.port, Version: b.version})
	return nil
}

// existing is the major version of the cluster that is there; 0: none, or the remains of one that was never finished, which
// are removed.
func (k *keeper) existing() (int, error) {
	_, err := os.Stat(k.unfinished())
	if err == nil {
		return 0, os.RemoveAll(k.cluster())
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	entries, err := os.ReadDir(k.cluster())
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(filepath.Join(k.cluster(), "PG_VERSION"))
	if err != nil {
		return 0, withHint("move the directory away, or put it back from a copy", "reading cluster %q: %w", k.cluster(), err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || major < 10 {
		return 0, withHint("move the directory away, or put it back from a copy", "reading cluster %q: PG_VERSION says %q", k.cluster(), data)
	}
	return major, nil
}

// run starts the server, at a free port. Another process may take the port in between: then once more, with another.
func (k *keeper) run(b *binaries, fresh bool) error {
	if fresh {
		if err := writeFile(k.unfinished(), nil, 0o600); err != nil {
			return err
		}
		k.progress("making a PostgreSQL %s database cluster", b.version)
	}
	var err error
	for range 3 {
		if k.port, err = freePort(k.Port); err != nil {
			return err
		}
		k.server = embeddedpostgres.NewDatabase(k.config(*b))
		if err = k.server.Start(); err == nil || !portTaken(err) {
			break
		}
	}
	if err != nil {
		return k.cause(err, b)
	}
	if !fresh {
		return nil
	}
	return k.finish()
}

// finish closes a new cluster to everything but passwords that are never sent, and declares it whole.
func (k *keeper) finish() error {
	const rules = "# Written by webcheck: this machine only, passwords never in the clear.\n" +
		"host all all 127.0.0.1/32 scram-sha-256\n"
	if err := writeFile(filepath.Join(k.cluster(), "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		return err
	}
	pid, running := postmaster(k.cluster())
	if !running {
		return errors.New("the server stopped right after its start")
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil { // reads the rules
		return fmt.Errorf("telling the server its rules: %w", err)
	}
	if err := os.Remove(k.unfinished()); err != nil {
		return err
	}
	return syncDir(k.Dir)
}

func (k *keeper) config(b binaries) embeddedpostgres.Config {
	c := embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.PostgresVersion(b.fetchVersion)).
		Port(uint32(k.port)).Username(postgresUser).Password(k.Password).Database(postgresDatabase).
		RuntimePath(filepath.Join(k.Dir, "run")).DataPath(k.cluster()).CachePath(k.CacheDir).BinariesPath(b.path).
		Locale("C").Encoding("UTF8").StartTimeout(time.Minute).Logger(io.Discard).
		StartParameters(map[string]string{
			"listen_addresses":        "127.0.0.1",
			"unix_socket_directories": "",
			"log_checkpoints":         "off", // a line every five minutes for nobody
		})
	if k.RepositoryURL != "" {
		c = c.BinaryRepositoryURL(k.RepositoryURL)
	}
	return c
}

func freePort(wanted int) (int, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return 0, fmt.Errorf("finding a free port: %w", err)
		}
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func portTaken(err error) bool {
	return strings.Contains(err.Error(), "already listening on port") || strings.Contains(err.Error(), "Address already in use")
}

// cause makes one sentence of what the library gives: the command, and everything PostgreSQL printed.
func (k *keeper) cause(err error, b *binaries) error {
	text := err.Error()
	switch {
	case isFull(err):
		return withHint(hintSpace, "no space left on the disk of %q", k.Dir)
	case strings.Contains(text, "timed out waiting for database"):
		return withHint(fmt.Sprintf("put the password back into %q", k.Dir+".password"),
			"the server runs but does not accept the password kept for it")
	}
	for _, line := range strings.Split(text, "\n") {
		for _, mark := range []string{"FATAL:", "PANIC:", "initdb: error:", "pg_ctl: error:", "error while loading shared libraries:"} {
			if _, said, ok := strings.Cut(line, mark); ok {
				return withHint(fmt.Sprintf("see %q", k.logs()), "PostgreSQL %s says: %s", b.version, strings.TrimSpace(said))
			}
		}
	}
	first, _, _ := strings.Cut(text, "\n")
	return withHint(fmt.Sprintf("see %q", k.logs()), "%s", strings.TrimSuffix(first, ":"))
}
