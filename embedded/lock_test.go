package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSecondHolderIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := dataDir(t)
	first := play(t, "lock", dir)
	_, err := Lock(dir)
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	if held.PID != first.cmd.Process.Pid || held.Command == "" || time.Since(held.Since) > time.Minute || held.Dir != dir {
		t.Errorf("got %+v, want process %d, just now", held, first.cmd.Process.Pid)
	}
	wantFault(t, err, "held by ", "stop process ")
}

func TestKillingTheHolderFreesTheDirectory(t *testing.T) {
	dir := dataDir(t)
	play(t, "lock", dir).kill()
	l, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestNoteOfAnEarlierLifeIsNotBlamed(t *testing.T) {
	dir := dataDir(t)
	dead := play(t, "lock", dir)
	note, err := os.ReadFile(filepath.Join(dir, holderFile))
	if err != nil {
		t.Fatal(err)
	}
	dead.kill()
	play(t, "lock", dir)
	if err := os.WriteFile(filepath.Join(dir, holderFile), note, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != 0 {
		t.Fatalf("got %v, want an unknown holder", err)
	}
}

func TestLockMakesAPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != dirMode() || l.Dir() != dir {
		t.Errorf("%s has mode %o, want %o", l.Dir(), info.Mode().Perm(), dirMode())
	}
}

func TestLockSaysWhyItCannot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Lock(filepath.Join(file, "data"))
	wantFault(t, err, "a file is in the way", "another data directory")
	_, err = Lock(filepath.Join(t.TempDir(), "a$b"))
	wantFault(t, err, "dollar sign", "plain letters")
}

func TestLockOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	fill(t, dir, 0)
	_, err := Lock(dir)
	wantFault(t, err, "no space left on device", "free some space")
}

func TestRootLeavesADirectoryOfAnotherUserAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user cannot open such a directory in the first place")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, -1); err != nil {
		t.Fatal(err)
	}
	lock, err := Lock(dir)
	if err == nil {
		_ = lock.Unlock()
	}
	if err == nil || !strings.Contains(err.Error(), "belongs to user 65534") || hintOf(err) == "" {
		t.Errorf("got %v, want whose directory it is, with a hint", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
