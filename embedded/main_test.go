package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// roleVariable makes this test binary one of the roles instead of running tests: processes that a test kills.
const roleVariable = "WEBCHECK_TEST_ROLE"

// roles say what they have to say in one line, then wait for their input to end.
var roles = map[string]func(dir string) (string, error){
	"lock": func(dir string) (string, error) {
		_, err := Lock(dir)
		return "held", err
	},
	"broker": func(dir string) (string, error) {
		b, err := StartBroker(context.Background(), BrokerConfig{Dir: dir, ReserveBytes: 1 << 20})
		if err != nil {
			return "", err
		}
		return b.Addr(), nil
	},
	"registry": func(dir string) (string, error) {
		s, err := StartRegistry(context.Background(), RegistryConfig{Dir: dir})
		if err != nil {
			return "", err
		}
		return s.URL(), nil
	},
	"postgres": func(dir string) (string, error) {
		p, err := StartPostgres(context.Background(), PostgresConfig{Dir: dir})
		if err != nil {
			return "", err
		}
		return p.URL(), nil
	},
}

func TestMain(m *testing.M) {
	ChildMain()
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		said, err := role(os.Args[len(os.Args)-1])
		line := map[string]string{"said": said}
		if err != nil {
			line["error"] = err.Error()
		}
		_ = json.NewEncoder(os.Stdout).Encode(line)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// player is a process in a role.
type player struct {
	cmd  *exec.Cmd
	said string
	in   io.Closer
}

// play starts a role and waits for its line.
func play(t *testing.T, role, dir string) *player {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", dir)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &player{cmd: cmd, in: in}
	t.Cleanup(p.kill)
	var line struct{ Said, Error string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&line); err != nil {
		t.Fatalf("playing %s: %v", role, err)
	}
	if line.Error != "" {
		t.Fatalf("playing %s: %s", role, line.Error)
	}
	p.said = line.Said
	return p
}

// kill ends the process as kill -9 does, and waits for it to be gone.
func (p *player) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.in.Close()
}

// dataDir is an empty data directory that PostgreSQL's user can pass through.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, dirMode()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), dirMode()); err != nil { // the test's own, 0700
		t.Fatal(err)
	}
	return dir
}

// smallDisk is a file system of its own with so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk is for root; the tests of this package run as root in CI")
	}
	dir := dataDir(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0711", bytes)); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so many bytes free on dir's disk, and returns what frees the others again.
func fill(t *testing.T, dir string, leave int64) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	left, err := freeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, left-leave); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// hintOf is an error's hint, "" for none.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// wantFault checks an error's text and hint for what they must tell, and that it is one line.
func wantFault(t *testing.T, err error, text, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", text)
	}
	if !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want one line that says %q", err, text)
	}
	if !strings.Contains(hintOf(err), hint) || hintOf(err) == "" {
		t.Errorf("hint %q, want one that says %q", hintOf(err), hint)
	}
}
