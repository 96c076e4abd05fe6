package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// serverID is the user that PostgreSQL runs as. PostgreSQL refuses to run as root, so root hands it to somebody else.
type serverID struct {
	name     string
	uid, gid int
	other    bool // somebody other than this process's user
}

// serverUser is this process's own user; for root, the owner of the cluster when there is one (its files must stay readable),
// else postgres, else nobody.
func serverUser(home string) (serverID, error) {
	if os.Geteuid() != 0 {
		return serverID{name: "this user", uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	if info, err := os.Stat(filepath.Join(home, "cluster")); err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && st.Uid != 0 {
			return serverID{name: userName(int(st.Uid)), uid: int(st.Uid), gid: int(st.Gid), other: true}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.Atoi(u.Uid)
			gid, gidErr := strconv.Atoi(u.Gid)
			if uidErr == nil && gidErr == nil && uid != 0 {
				return serverID{name: name, uid: uid, gid: gid, other: true}, nil
			}
		}
	}
	return serverID{}, withHint(`make a user named "postgres", or run webcheck as an ordinary user`,
		"finding a user for PostgreSQL, which refuses to run as root: no user postgres or nobody here")
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// prepare makes dir the server user's own and checks that it can get there.
func (id serverID) prepare(dir string) error {
	if err := id.canPass(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explain(fmt.Errorf("making %q: %w", dir, err))
	}
	if !id.other {
		return nil
	}
	if err := os.Lchown(dir, id.uid, id.gid); err != nil {
		return fmt.Errorf("giving %q to %s: %w", dir, id.name, err)
	}
	return nil
}

// canPass checks each directory on the way to dir for the server user's right to pass through.
func (id serverID) canPass(dir string) error {
	if !id.other {
		return nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return explain(fmt.Errorf("opening %q: %w", dir, err))
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return explain(fmt.Errorf("opening %q: %w", at, err))
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !id.mayPass(st, info.Mode()) {
			way := fmt.Sprintf("choose a data directory outside %q, such as /var/lib/webcheck, or run webcheck as an ordinary user", at)
			if at == real {
				way = fmt.Sprintf("chmod o+x %q, or run webcheck as an ordinary user", at)
			}
			return withHint(way,
				"running PostgreSQL as user %s, since it refuses to run as root: that user may not enter %q", id.name, at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func (id serverID) mayPass(st *syscall.Stat_t, mode os.FileMode) bool {
	switch {
	case int(st.Uid) == id.uid:
		return mode&0o100 != 0
	case int(st.Gid) == id.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// cacheDir is where the server user keeps fetched binaries. Below a directory shared by several users each has its own: what
// one user could change must not be run by another.
func cacheDir(dir string, id serverID) (string, error) {
	if dir == "" && id.other {
		dir = "/var/cache/webcheck"
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", withHint("name a cache directory", "finding the user's cache directory: %w", err)
		}
		dir = filepath.Join(base, "webcheck")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", explain(fmt.Errorf("making cache %q: %w", dir, err))
	}
	own := filepath.Join(dir, "postgresql-"+strconv.Itoa(id.uid))
	if err := id.prepare(own); err != nil {
		return "", err
	}
	info, err := os.Lstat(own)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != id.uid || info.Mode().Perm()&0o022 != 0 {
		return "", withHint("remove it, or name another cache directory", "using cache %q: not a directory of user %s alone", own, id.name)
	}
	return own, nil
}

// command re-runs this program as the child. On Linux it is named by /proc/self/exe, which the kernel opens without walking
// the path: "go run" and "go test" build below a directory that only root may enter.
func (id serverID) command(dir string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if runtime.GOOS == "linux" {
		path = "/proc/self/exe"
	}
	if id.other {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
		if runtime.GOOS != "linux" || info.Mode()&0o001 == 0 {
			if path, err = id.copyProgram(path, dir); err != nil {
				return nil, err
			}
		}
	}
	cmd := exec.Command(path)
	cmd.Dir = "/"
	// A session of its own: Ctrl-C in a terminal is for the parent, which then stops the child in its turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if id.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id.uid), Gid: uint32(id.gid)}
	}
	return cmd, nil
}

// copyProgram puts a copy of this program where the server user can run it.
func (id serverID) copyProgram(path, dir string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("copying this program: %w", err)
	}
	to := filepath.Join(dir, "program")
	if err := writeFile(to, data, 0o755); err != nil {
		return "", err
	}
	if err := os.Lchown(to, id.uid, id.gid); err != nil {
		return "", errors.Join(fmt.Errorf("copying this program: %w", err), os.Remove(to))
	}
	return to, nil
}
