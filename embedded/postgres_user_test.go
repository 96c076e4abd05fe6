package embedded

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const nobody = 65534

// asOrdinaryUser runs the tests of these names in a process of user nobody, and reports whether it did: it does not when this
// process is no root's, where they can run as they are.
func asOrdinaryUser(t *testing.T, tests ...string) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	dir := dataDir(t)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// Kept from run to run, so that PostgreSQL is not fetched each time.
	cache := filepath.Join(os.TempDir(), "webcheck-test-cache-"+strconv.Itoa(nobody))
	if err := os.Mkdir(cache, 0o700); err == nil {
		if err := os.Chown(cache, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.count=1", "-test.run", "^("+strings.Join(tests, "|")+")$")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir, "XDG_CACHE_HOME=" + cache}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != len(tests) {
		t.Fatalf("%v\n%s", err, out)
	}
	return true
}

func TestPostgresRunsForAnOrdinaryUser(t *testing.T) {
	if !asOrdinaryUser(t, "TestPostgresKeepsRowsOverARestart", "TestServerLeftOverByAKillIsReplaced", "TestServerStopsWhenItsParentIsKilled") {
		TestPostgresKeepsRowsOverARestart(t)
	}
}

func TestLockOnAnUnwritableDirectory(t *testing.T) {
	if asOrdinaryUser(t, t.Name()) {
		return
	}
	dir := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := Lock(dir)
	wantFault(t, err, "permission denied", "may write to")
	_, err = Lock(filepath.Join(dir, "below"))
	wantFault(t, err, "permission denied", "may write to")
}

func TestRootIsToldWhichDirectoryItsServerMayNotEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root only")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	dir := filepath.Join(closed, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	wantFault(t, err, fmt.Sprintf("may not enter %q", dir), "chmod o+x")
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	_, err = StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	wantFault(t, err, fmt.Sprintf("may not enter %q", closed), fmt.Sprintf("outside %q", closed))
}

func TestProgramThatOthersMayNotRunIsCopied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root only")
	}
	dir := dataDir(t)
	id := serverID{name: "nobody", uid: nobody, gid: nobody, other: true}
	path, err := id.copyProgram("/proc/self/exe", dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o755 || info.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("copied as %v %v", info, err)
	}
}

// newestInstalled is a PostgreSQL on this machine, "" for none.
func newestInstalled() string {
	var best binaries
	for _, path := range installations() {
		if b, err := installed(path); err == nil && majorOf(b.version) >= max(oldestMajor, majorOf(best.version)) {
			best = b
		}
	}
	return best.path
}

// mavenFromCache is a Maven repository with the PostgreSQL that was fetched before, and counts what is fetched from it.
func mavenFromCache(t *testing.T) (*atomic.Int64, string) {
	t.Helper()
	startTestPostgres(t, PostgresConfig{Dir: dataDir(t)}) // fills the cache
	id, err := serverUser(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cache, err := cacheDir("", id)
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "*.txz"))
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing in %s: %v", cache, err)
	}
	archive, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("postgres-linux.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	requests := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		requests.Add(1)
		_, _ = w.Write(jar.Bytes())
	}))
	t.Cleanup(server.Close)
	return requests, server.URL
}

// childOf is the process that pid started.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

func awaitStopped(t *testing.T, cluster string) {
	t.Helper()
	awaitNone(cluster, 30*time.Second)
	if left := processesIn(cluster); len(left) > 0 {
		t.Fatalf("processes %v still run", left)
	}
}
