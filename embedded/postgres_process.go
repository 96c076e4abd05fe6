package embedded

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// fastStop is how long a server of an earlier life may take to stop in good order before it is made to.
	fastStop = 30 * time.Second
	pollStop = 20 * time.Millisecond
)

// postmaster is the process id in the cluster's postmaster.pid, and whether that process is really the server of this cluster:
// ids are used again, and a kill leaves the file behind.
func postmaster(cluster string) (pid int, running bool) {
	data, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(data), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(first))
	if err != nil || !alive(pid) {
		return 0, false
	}
	return pid, !onProc() || worksIn(pid, cluster)
}

// onProc reports whether this system tells what processes do, as Linux does.
func onProc() bool {
	_, err := os.Stat("/proc/self/cwd")
	return err == nil
}

// worksIn reports whether a process is PostgreSQL and its working directory is the cluster's, as it is for every server process.
func worksIn(pid int, cluster string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	at, err := os.Stat(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	own, err := os.Stat(cluster)
	if err != nil || !os.SameFile(at, own) || strings.HasSuffix(cwd, " (deleted)") {
		return false
	}
	comm, err := os.ReadFile(filepath.Join(proc, "comm"))
	return err == nil && bytes.HasPrefix(comm, []byte("postgres"))
}

// processesIn are the server processes of this cluster: the postmaster, or what a kill of it left over.
func processesIn(cluster string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && worksIn(pid, cluster) {
			found = append(found, pid)
		}
	}
	return found
}

// stopRounds is more than the servers that an initdb starts.
const stopRounds = 10

// stopProcesses ends the server of an earlier life in this cluster, in good order if it can, and removes the mark of one that
// is gone. It touches no process that it has not seen to be PostgreSQL in this very directory.
func stopProcesses(cluster string) error {
	if !onProc() {
		return nil // PostgreSQL's own check of postmaster.pid stands
	}
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, fastStop / 6}, {syscall.SIGKILL, fastStop / 6}}
	// An initdb that was cut off starts one server after the other: none now does not mean none a moment later.
	for range stopRounds {
		for _, step := range steps {
			pids := processesIn(cluster)
			if len(pids) == 0 {
				break
			}
			if pid, running := postmaster(cluster); running {
				pids = []int{pid} // it stops the others
			}
			for _, pid := range pids {
				_ = syscall.Kill(pid, step.signal)
			}
			awaitNone(cluster, step.wait)
		}
		if len(processesIn(cluster)) == 0 {
			break
		}
	}
	if left := processesIn(cluster); len(left) > 0 {
		return withHint(fmt.Sprintf("stop process %d", left[0]), "stopping the PostgreSQL that still runs in %q: it does not end", cluster)
	}
	// PostgreSQL would take any process with the same id for its predecessor.
	if err := os.Remove(filepath.Join(cluster, "postmaster.pid")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func awaitNone(cluster string, limit time.Duration) {
	tick := time.NewTicker(pollStop)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end) && len(processesIn(cluster)) > 0; {
		<-tick.C
	}
}
