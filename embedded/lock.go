package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockFile   = "lock"
	holderFile = "holder.json"
)

// DirLock is the exclusive hold of a data directory. The kernel gives it up when the process ends, however it ends.
type DirLock struct {
	dir   string
	flock *flock.Flock
}

// HeldError says that another process has the data directory.
type HeldError struct {
	Dir     string    // the directory asked for
	PID     int       // the holder's process id; 0 when it left no readable note
	Since   time.Time // when it took the directory, UTC; zero when not known
	Command string    // what it was started as, without its arguments: these may carry secrets
}

// Error names the holder.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("locking %q: held by another process", e.Dir)
	}
	return fmt.Sprintf("locking %q: held by %s (process %d) since %s", e.Dir, e.Command, e.PID, e.Since.Format(time.RFC3339))
}

// Hint says how to go on.
func (e *HeldError) Hint() string {
	if e.PID == 0 {
		return "stop the process that uses the directory, or choose another data directory"
	}
	return fmt.Sprintf("stop process %d, or choose another data directory", e.PID)
}

type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Lock takes dir for this process, making it when it is not there: mode 0700, and 0711 for root, since PostgreSQL runs there
// as another user and has to pass through. It fails with [*HeldError] when another process has it, and with a hint when dir
// cannot be written or its disk is full.
func Lock(dir string) (*DirLock, error) {
	dir, err := makeDataDir(dir)
	if err != nil {
		return nil, err
	}
	l := &DirLock{dir: dir, flock: flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))}
	ok, err := l.flock.TryLock()
	if err != nil {
		return nil, explain(fmt.Errorf("locking %q: %w", dir, err))
	}
	if !ok {
		return nil, heldBy(dir)
	}
	command, err := os.Executable()
	if err != nil {
		command = "webcheck"
	}
	me := holder{PID: os.Getpid(), Command: filepath.Base(command), Since: time.Now().UTC().Truncate(time.Second)}
	if err := writeJSON(filepath.Join(dir, holderFile), me, 0o600); err != nil {
		return nil, errors.Join(err, l.flock.Unlock())
	}
	return l, nil
}

// Dir is the directory's absolute path.
func (l *DirLock) Dir() string { return l.dir }

// Unlock gives the directory up. The lock file stays: removing it would let two holders lock two files of one name.
func (l *DirLock) Unlock() error {
	if err := os.Remove(filepath.Join(l.dir, holderFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("unlocking %q: %w", l.dir, err), l.flock.Unlock())
	}
	if err := l.flock.Unlock(); err != nil {
		return fmt.Errorf("unlocking %q: %w", l.dir, err)
	}
	return nil
}

func makeDataDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("opening data directory %q: %w", dir, err)
	}
	// PostgreSQL's starter hands paths through a shell, in double quotes: these characters would not survive it.
	if strings.ContainsAny(abs, "\"$`\\\n") {
		return "", withHint("choose a data directory with plain letters, digits, dots and dashes",
			"opening data directory %q: a quote, dollar sign, backquote, backslash or line break in its name", abs)
	}
	if err := os.MkdirAll(abs, dirMode()); err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			return "", withHint("choose another data directory", "opening data directory %q: a file is in the way", abs)
		}
		return "", explain(fmt.Errorf("opening data directory %q: %w", abs, err))
	}
	return abs, checkOwner(abs)
}

// checkOwner keeps root out of a data directory of somebody else, who could not open afterwards what root leaves there.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return explain(fmt.Errorf("opening data directory %q: %w", dir, err))
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || !known || stat.Uid == 0 {
		return nil
	}
	return withHint("run as that user, or choose another data directory",
		"opening data directory %q: it belongs to user %d, who could not use any more what root leaves in it", dir, stat.Uid)
}

func dirMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// heldBy reads the holder's note. A note of a process that is no longer there is from an earlier life: the present holder
// has not written its own yet.
func heldBy(dir string) error {
	held := &HeldError{Dir: dir}
	data, err := os.ReadFile(filepath.Join(dir, holderFile))
	if err != nil {
		return held
	}
	var h holder
	if json.Unmarshal(data, &h) != nil || !alive(h.PID) {
		return held
	}
	held.PID, held.Since, held.Command = h.PID, h.Since, h.Command
	return held
}

// alive reports whether a process has this id; one that belongs to somebody else counts.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
