package prober

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"webcheck/embedded/testservices/seed"
)

// openTestSpool opens the spool in dir, which must not be damaged, and closes it at the test's end.
func openTestSpool(t testing.TB, dir string) *spool {
	t.Helper()
	s, err := openSpool(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

// someEvents are n events whose values have size bytes.
func someEvents(from, n, size int) []*spooled {
	var events []*spooled
	for i := from; i < from+n; i++ {
		events = append(events, &spooled{key: []byte("home"), value: fmt.Appendf(nil, "%0*d", size, i)})
	}
	return events
}

// values are those of everything in s, in order.
func values(t testing.TB, s *spool) []string {
	t.Helper()
	var all []string
	for after := uint64(0); ; {
		events, err := s.read(after, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return all
		}
		for _, e := range events {
			all = append(all, string(e.value))
			after = e.seq
		}
	}
}

// TestSpoolIsAQueueThatLasts appends, removes and reopens at random, beside a list in memory.
func TestSpoolIsAQueueThatLasts(t *testing.T) {
	random, dir := seed.Random(t), t.TempDir()
	s := openTestSpool(t, dir)
	var model []spooled
	for n := 0; n < 2000; {
		var remove []uint64
		for i := len(model) - 1; i >= 0; i-- {
			if random.IntN(4) == 0 {
				remove = append(remove, model[i].seq)
				model = append(model[:i], model[i+1:]...)
			}
		}
		add := someEvents(n, random.IntN(60), 1+random.IntN(600))
		n += len(add) + 1
		s.fault = nil
		if random.IntN(5) == 0 {
			s.fault = func() error { return syscall.ENOSPC }
			if err := s.apply(add, nil); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v", err)
			}
			s.fault = nil
		}
		if err := s.apply(add, append(remove, 1<<40)); err != nil {
			t.Fatal(err)
		}
		for _, e := range add {
			model = append(model, *e)
		}
		if random.IntN(4) == 0 {
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			s = openTestSpool(t, dir)
		}
		checkSpool(t, s, model)
	}
}

func checkSpool(t *testing.T, s *spool, model []spooled) {
	t.Helper()
	var want []string
	var bytes int64
	for _, e := range model {
		want = append(want, string(e.value))
		bytes += int64(len(e.value))
	}
	if diff := cmp.Diff(want, values(t, s)); diff != "" || s.records != len(model) || s.bytes != bytes {
		t.Fatalf("%d records with %d bytes, want %d with %d; values:\n%s", s.records, s.bytes, len(model), bytes, diff)
	}
}

func TestReadEndsAtItsBounds(t *testing.T) {
	s := openTestSpool(t, t.TempDir())
	if err := s.apply(someEvents(0, 10, 100), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ limit, bytes, want int }{{3, 1 << 20, 3}, {100, 250, 2}, {100, 1, 1}, {100, 1 << 20, 10}} {
		if events, err := s.read(0, c.limit, c.bytes); err != nil || len(events) != c.want {
			t.Errorf("at most %d with %d bytes: %d, %v, want %d", c.limit, c.bytes, len(events), err, c.want)
		}
	}
}

func TestEmptySpoolGivesALargeFileBack(t *testing.T) {
	s := openTestSpool(t, t.TempDir())
	for n := range 10 {
		if err := s.apply(someEvents(n*1000, 1000, 4000), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.reset(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.path())
	if err != nil || info.Size() > 1<<20 || s.records != 0 || s.bytes != 0 {
		t.Errorf("%v bytes, %v, %d records", info.Size(), err, s.records)
	}
	if err := s.apply(someEvents(0, 1, 10), nil); err != nil || len(values(t, s)) != 1 {
		t.Errorf("after it: %v", err)
	}
}

func TestSpoolThatCannotBeUsedIsSaidInOneSentence(t *testing.T) {
	held := t.TempDir()
	openTestSpool(t, held)
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	s := openTestSpool(t, newer)
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(spoolAbout).Put(formatKey, []byte("2")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		held:                          `: another prober has it`,
		inTheWay:                      `: not a directory`,
		filepath.Join(inTheWay, "in"): `: not a directory`,
		newer:                         `: it is of format "2", and this build knows "1"`,
	} {
		_, err := openSpool(dir, slog.New(slog.DiscardHandler))
		var fault *SpoolError
		if !errors.As(err, &fault) || err.Error() != fmt.Sprintf("opening the spool %q%s", dir, want) || fault.Hint() == "" {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestDamagedSpoolIsSetAsideAndNeverDeleted changes, cuts or overwrites a part of the file: what can be read afterwards is
// what was written, and otherwise the whole file lies beside a new one.
func TestDamagedSpoolIsSetAsideAndNeverDeleted(t *testing.T) {
	if underRace {
		t.Skip("bbolt itself races while it panics at a damaged page, which is what the spool recovers from; it runs without the detector, on the real services")
	}
	random, asides := seed.Random(t), 0
	runs := seed.Runs(t, 60)
	for range runs {
		whole := damage(t, 5, func(data []byte) []byte {
			switch at := random.IntN(len(data)); random.IntN(4) {
			case 0:
				data = data[:at]
			case 1:
				data[at] ^= 1 << random.IntN(8)
			case 2:
				for i := at; i < min(at+1+random.IntN(9000), len(data)); i++ {
					data[i] = byte(random.Uint32())
				}
			case 3:
				clear(data[at:min(at+4096, len(data))])
			}
			return data
		})
		if !whole {
			asides++
		}
	}
	t.Logf("%d of %d damaged files were set aside", asides, runs)
}

// damage changes the file of a spool that holds so many commits of 50 events, and reports whether the spool still holds what it held.
func damage(t *testing.T, commits int, change func(data []byte) []byte) bool {
	t.Helper()
	dir := t.TempDir()
	s := openTestSpool(t, dir)
	for n := range commits {
		if err := s.apply(someEvents(n*50, 50, 300), nil); err != nil {
			t.Fatal(err)
		}
	}
	want := values(t, s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	data = change(data)
	if err := os.WriteFile(s.path(), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return checkDamaged(t, dir, data, want)
}

// checkDamaged opens a spool whose file has become data, and reports whether it still holds what it held.
func checkDamaged(t *testing.T, dir string, data []byte, want []string) bool {
	t.Helper()
	var log strings.Builder
	s, err := openSpool(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	got := values(t, s)
	asides, err := filepath.Glob(s.path() + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.apply(someEvents(0, 1, 10), nil); err != nil {
		t.Fatalf("it takes nothing any more: %v", err)
	}
	if len(data) == 0 {
		return len(asides) == 0
	}
	if len(asides) == 0 {
		// bbolt has two pages that say where everything begins: without the newer one it is as it was one commit ago.
		if len(got) < len(want)-50 || cmp.Diff(want[:len(got)], got) != "" {
			t.Errorf("%d of %d events are there, and nothing was set aside", len(got), len(want))
		}
		return true
	}
	kept, err := os.ReadFile(asides[0])
	if err != nil || string(kept) != string(data) || len(got) > 0 || !strings.Contains(log.String(), "the spool is damaged") {
		t.Errorf("set aside: %v, %d bytes of %d, %d events; logged %s", err, len(kept), len(data), len(got), log.String())
	}
	return false
}

// TestSpoolWhosePagesSayOtherNumbersIsSetAside changes the header of every page that has events, which no checksum covers.
func TestSpoolWhosePagesSayOtherNumbersIsSetAside(t *testing.T) {
	const leaf = 2 // a page begins with its id, flags, count and overflow
	for name, change := range map[string]func(header []byte){
		"a longer page":  func(header []byte) { header[15] |= 0x40 },
		"an event fewer": func(header []byte) { header[10]-- },
	} {
		t.Run(name, func(t *testing.T) {
			whole := damage(t, 1, func(data []byte) []byte {
				for page := range slices.Chunk(data, os.Getpagesize()) {
					if page[8] == leaf && page[10] > 2 { // the root's has two buckets
						change(page)
					}
				}
				return data
			})
			if whole {
				t.Error("nothing was set aside")
			}
		})
	}
}

// TestSpoolThatAnOlderBuildHasWrittenSinceIsFine removes an event as a build does that keeps no count.
func TestSpoolThatAnOlderBuildHasWrittenSinceIsFine(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir)
	if err := s.apply(someEvents(0, 5, 10), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(spoolEvents).Delete(seqKey(1)) }); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s = openTestSpool(t, dir); s.records != 4 || len(values(t, s)) != 4 {
		t.Errorf("%d events are there, want 4", s.records)
	}
}

// smallDisk is a file system of its own with so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk is for root; the tests of this package run as root in CI")
	}
	dir := t.TempDir()
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

// TestFullDiskNeverDamagesTheSpool fills a disk, with files of others coming and going, until nothing goes in any more, and
// takes everything out again.
func TestFullDiskNeverDamagesTheSpool(t *testing.T) {
	random, dir := seed.Random(t), smallDisk(t, 1<<20)
	s := openTestSpool(t, dir)
	other := filepath.Join(dir, "other")
	var model []spooled
	refused := 0
	for n := 0; n < 8000; n += 40 {
		switch random.IntN(6) {
		case 0:
			_ = os.WriteFile(other, make([]byte, random.IntN(700_000)), 0o600) // as much of it as finds room
		case 1:
			_ = os.Remove(other)
		case 2, 3:
			take := min(len(model), random.IntN(200))
			var remove []uint64
			for _, e := range model[:take] {
				remove = append(remove, e.seq)
			}
			if s.apply(nil, remove) == nil {
				model = model[take:]
			}
		}
		add := someEvents(n, 40, 1+random.IntN(800))
		if err := s.apply(add, nil); err != nil {
			refused++
		} else {
			for _, e := range add {
				model = append(model, *e)
			}
		}
		if random.IntN(10) == 0 {
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			s = openTestSpool(t, dir)
		}
		checkSpool(t, s, model)
	}
	for n := 0; refused == 0 && n < 1<<20; n += 40 {
		if s.apply(someEvents(n, 40, 800), nil) != nil {
			refused++
		}
	}
	if asides, _ := filepath.Glob(s.path() + ".damaged-*"); len(asides) > 0 || refused == 0 {
		t.Errorf("%d commits were refused, and %v set aside", refused, asides)
	}
	t.Logf("%d commits found no room", refused)
	if err := s.reset(); err != nil || len(values(t, s)) > 0 {
		t.Errorf("emptying it: %v", err)
	}
}
