package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// oldestMajor is the oldest PostgreSQL of a machine that is taken for a new cluster: MERGE came with 15.
const oldestMajor = 15

// binaries is a PostgreSQL that can run a cluster.
type binaries struct {
	path         string // has bin/initdb
	version      string // for people, "18.3"
	fetchVersion string // for the library: it deletes a cluster whose PG_VERSION does not begin this
	release      func()
}

func majorOf(version string) int {
	first, _, _ := strings.Cut(version, ".")
	major, _ := strconv.Atoi(first)
	return major
}

// binaries finds what can run a cluster of this major version, 0 meaning a new one: those asked for; else fetched ones; else
// those of the machine.
func (k *keeper) binaries(major int) (binaries, error) {
	if k.BinariesPath != "" {
		b, err := installed(k.BinariesPath)
		if err == nil && major != 0 && majorOf(b.version) != major {
			err = withHint("name a PostgreSQL of the same major version, or dump and restore",
				"running cluster %q of PostgreSQL %d: %q is PostgreSQL %s", k.cluster(), major, k.BinariesPath, b.version)
		}
		return b, err
	}
	wanted := majorOf(k.Version)
	if major != 0 && major != wanted {
		return k.machines(major, nil)
	}
	b, err := k.fetched()
	if err != nil && !isFull(err) {
		return k.machines(major, err)
	}
	return b, err
}

// machines is the newest PostgreSQL of this machine that fits. fetchErr says why none was fetched.
func (k *keeper) machines(major int, fetchErr error) (binaries, error) {
	var best binaries
	for _, path := range installations() {
		b, err := installed(path)
		if err != nil {
			continue
		}
		m := majorOf(b.version)
		if m == major || major == 0 && m >= oldestMajor && m > majorOf(best.version) {
			best = b
		}
	}
	switch {
	case best.path != "":
		if fetchErr != nil {
			k.progress("getting PostgreSQL: %v", fetchErr)
		}
		k.progress("using this machine's PostgreSQL %s in %s", best.version, best.path)
		return best, nil
	case fetchErr == nil:
		return binaries{}, withHint(fmt.Sprintf("install PostgreSQL %d, or dump and restore", major),
			"running cluster %q: it was made by PostgreSQL %d, and there is none on this machine", k.cluster(), major)
	}
	return binaries{}, withHint(
		fmt.Sprintf("make Maven Central reachable (HTTPS_PROXY is honoured), or install PostgreSQL %s or newer, or name a running one", wantedText(major)),
		"getting PostgreSQL: %w; and none is installed on this machine", fetchErr)
}

func wantedText(major int) string { return strconv.Itoa(max(major, oldestMajor)) }

// installations are where a PostgreSQL may be: in the PATH, and where Debian puts it.
func installations() []string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*")
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Base(filepath.Dir(real)) == "bin" {
			found = append(found, filepath.Dir(filepath.Dir(real)))
		}
	}
	return slices.Compact(found)
}

// installed asks the PostgreSQL in path for its version.
func installed(path string) (binaries, error) {
	for _, name := range []string{"initdb", "pg_ctl"} {
		if _, err := exec.LookPath(filepath.Join(path, "bin", name)); err != nil {
			return binaries{}, withHint("name a directory with bin/initdb and bin/pg_ctl in it", "using PostgreSQL in %q: %w", path, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(path, "bin", "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("asking PostgreSQL in %q for its version: %w", path, err)
	}
	_, text, _ := strings.Cut(string(out), "(PostgreSQL) ")
	fields := strings.Fields(text)
	if len(fields) == 0 || majorOf(fields[0]) < 10 {
		return binaries{}, fmt.Errorf("asking PostgreSQL in %q for its version: it says %q", path, out)
	}
	return binaries{path: path, version: fields[0], fetchVersion: fields[0], release: func() {}}, nil
}

// fetched is the PostgreSQL in the cache, which is filled when it is not there.
func (k *keeper) fetched() (binaries, error) {
	b := binaries{
		path:         filepath.Join(k.CacheDir, "postgresql-"+k.Version),
		version:      strings.TrimSuffix(k.Version, ".0"),
		fetchVersion: k.Version,
		release:      func() {},
	}
	whole := filepath.Join(b.path, "whole")
	if _, err := os.Stat(whole); err == nil {
		return b, nil
	}
	// One process fills the cache, the others wait.
	lock := flock.New(filepath.Join(k.CacheDir, "lock"), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return b, fmt.Errorf("locking cache %q: %w", k.CacheDir, err)
	}
	defer lock.Close()
	if _, err := os.Stat(whole); err == nil {
		return b, nil
	}
	torn, _ := filepath.Glob(filepath.Join(k.CacheDir, "fetching-*"))
	temp, _ := filepath.Glob(filepath.Join(k.CacheDir, "temp_*"))
	for _, left := range append(append(torn, temp...), b.path) { // by a life that was killed
		if err := os.RemoveAll(left); err != nil {
			return b, err
		}
	}
	if err := k.fetch(b); err != nil {
		return b, err
	}
	return b, writeFile(whole, nil, 0o644)
}

// fetch lets the library fetch and unpack. It has no call for that alone: its start is given a cluster directory that holds
// nothing but a version, so that it ends after unpacking, in a server that does not come up.
func (k *keeper) fetch(b binaries) error {
	scratch, err := os.MkdirTemp(k.CacheDir, "fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	nothing := filepath.Join(scratch, "nothing")
	if err := os.Mkdir(nothing, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(nothing, "PG_VERSION"), []byte(strconv.Itoa(majorOf(k.Version))+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort(0)
	if err != nil {
		return err
	}
	c := k.config(b).Port(uint32(port)).DataPath(nothing).RuntimePath(filepath.Join(scratch, "run"))
	stop := k.tellFetching(b)
	err = embeddedpostgres.NewDatabase(c).Start()
	stop()
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		if _, statErr := os.Stat(filepath.Join(b.path, "bin", name)); statErr != nil {
			return k.fetchFailed(b, err)
		}
	}
	if err != nil && !strings.Contains(err.Error(), "could not start postgres") {
		return k.fetchFailed(b, err)
	}
	return nil
}

// fetchFailed removes what may be broken, so that the next attempt begins anew.
func (k *keeper) fetchFailed(b binaries, err error) error {
	archives, _ := filepath.Glob(filepath.Join(k.CacheDir, "embedded-postgres-binaries-*-"+k.Version+".txz"))
	for _, a := range append(archives, b.path) {
		_ = os.RemoveAll(a)
	}
	if err == nil {
		err = errors.New("the archive is incomplete")
	}
	if isFull(err) {
		return withHint(hintSpace, "no space left on the disk of %q", k.CacheDir)
	}
	return fmt.Errorf("fetching PostgreSQL %s from %s: %w", b.version, orElse(k.RepositoryURL, "Maven Central"), err)
}

// tellFetching reports once a second until the function it returns is called.
func (k *keeper) tellFetching(b binaries) (stop func()) {
	from := orElse(k.RepositoryURL, "Maven Central")
	begun := time.Now()
	k.progress("fetching PostgreSQL %s from %s (about 15 MB)", b.version, from)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-tick.C:
				doing := "fetching PostgreSQL " + b.version + " from " + from + " (about 15 MB)"
				if found, _ := filepath.Glob(filepath.Join(k.CacheDir, "embedded-postgres-binaries-*-"+k.Version+".txz")); len(found) > 0 {
					doing = "unpacking PostgreSQL " + b.version
				}
				k.progress("%s, %d s", doing, int(now.Sub(begun).Seconds()))
			}
		}
	}()
	return func() { close(quit); <-done }
}
