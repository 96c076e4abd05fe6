package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// childVariable in the environment makes this program PostgreSQL's keeper. See [ChildMain].
const childVariable = "WEBCHECK_POSTGRES_CHILD"

// stopTimeout is how long PostgreSQL may take to stop in good order; its own default for pg_ctl.
const stopTimeout = 60 * time.Second

// order is the first line to the child: what to run. It goes through a pipe since arguments and environments are readable by
// others.
type order struct {
	Dir           string `json:"dir"`
	CacheDir      string `json:"cache_dir"`
	Version       string `json:"version"`
	BinariesPath  string `json:"binaries_path"`
	RepositoryURL string `json:"repository_url"`
	Port          int    `json:"port"` // of the last life; 0: none
	Password      string `json:"password"`
}

// report is a line from the child.
type report struct {
	Progress string `json:"progress,omitempty"`
	Port     int    `json:"port,omitempty"` // set: PostgreSQL is ready
	Version  string `json:"version,omitempty"`
	Error    string `json:"error,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// child is the parent's end of PostgreSQL's keeper.
type child struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	log     *slog.Logger
	port    int
	version string
	stderr  tail
	ready   chan report   // one: the first report that is no progress
	done    chan struct{} // closed when the child is gone
	err     error         // why; read after done
	once    sync.Once
	closing chan struct{}
}

func startChild(ctx context.Context, o order, id serverID, progress func(string), log *slog.Logger) (*child, error) {
	cmd, err := id.command(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	c := &child{cmd: cmd, log: log, ready: make(chan report, 1), done: make(chan struct{}), closing: make(chan struct{})}
	cmd.Env = childEnvironment(o.Dir)
	cmd.Stderr = &c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL as user %s: %w", id.name, err)
	}
	c.stdin = stdin
	go c.listen(stdout, progress)
	if err := json.NewEncoder(stdin).Encode(o); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), c.close())
	}
	return c, c.await(ctx)
}

// await returns when PostgreSQL is ready or will not be.
func (c *child) await(ctx context.Context) error {
	select {
	case r := <-c.ready:
		if r.Port != 0 {
			c.port, c.version = r.Port, r.Version
			c.log.Info("postgresql is ready", "version", c.version, "port", c.port)
			return nil
		}
		_ = c.close() // it has said what is wrong and is leaving
		return &hinted{err: fmt.Errorf("starting PostgreSQL: %s", r.Error), hint: r.Hint}
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("starting PostgreSQL: %w", ctx.Err()), c.close())
	case <-c.done:
		return fmt.Errorf("starting PostgreSQL: its keeper ended: %w", c.err)
	}
}

// listen hears the child until it is gone.
func (c *child) listen(stdout io.Reader, progress func(string)) {
	defer close(c.done)
	lines := bufio.NewScanner(stdout)
	var last string
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue
		}
		if r.Progress != "" {
			if progress != nil {
				progress(r.Progress)
			}
			continue
		}
		if r.Error != "" {
			last = r.Error
		}
		select {
		case c.ready <- r:
		default:
		}
	}
	err := c.cmd.Wait()
	select {
	case <-c.closing:
		if last != "" {
			c.err = errors.New(last)
		}
		return
	default:
	}
	if last == "" {
		last = strings.TrimSpace(c.stderr.String())
	}
	c.err = errors.New(orElse(last, fmt.Sprint(err)))
}

// close tells the child to stop by closing its standard input, which also happens when this process is killed.
func (c *child) close() error {
	c.once.Do(func() {
		close(c.closing)
		_ = c.stdin.Close()
	})
	timeout := time.NewTimer(stopTimeout + 10*time.Second)
	defer timeout.Stop()
	select {
	case <-c.done:
		return c.err
	case <-timeout.C:
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("stopping PostgreSQL: not gone after %s", stopTimeout)
	}
}

// childEnvironment is what the child and PostgreSQL see: not what this process was started with, which may hold secrets, but for
// what a download needs.
func childEnvironment(dir string) []string {
	env := []string{
		childVariable + "=1", "LC_ALL=C", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "PGCTLTIMEOUT=600",
		"TMPDIR=" + filepath.Join(dir, "log"),
	}
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOCOVERDIR",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// tail keeps the last bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - tailBytes; extra > 0 {
		t.buf.Next(extra)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
