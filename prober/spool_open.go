package prober

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// errDamaged is in the chain of every error that says that the file is not what was written.
var errDamaged = errors.New("the file is damaged")

// SpoolError is why a spool cannot be used.
type SpoolError struct {
	// Dir is the spool's directory.
	Dir  string
	Err  error
	hint string
}

// Error names the directory and the cause.
func (e *SpoolError) Error() string { return fmt.Sprintf("opening the spool %q: %v", e.Dir, e.Err) }

// Unwrap returns the cause.
func (e *SpoolError) Unwrap() error { return e.Err }

// Hint says what a person can do.
func (e *SpoolError) Hint() string { return e.hint }

// openSpool takes the spool in dir for this process, making it when it is not there, and reads all of it once. The error is a
// [*SpoolError]: held by another prober, not readable, or written by a newer build. A damaged file is set aside and said to
// logger, and the spool begins anew.
func openSpool(dir string, logger *slog.Logger) (*spool, error) {
	fault := func(err error, hint string) (*spool, error) { return nil, &SpoolError{dir, withoutFile(err), hint} }
	const writable = "make it a directory that this user may write to, or give another prober.spool.dir"
	// What is above may become the data directory of "webcheck up", which PostgreSQL's user passes through.
	if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o711), os.MkdirAll(dir, 0o700)); err != nil {
		return fault(err, writable)
	}
	lock := flock.New(filepath.Join(dir, spoolLock), flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	switch {
	case err != nil:
		return fault(err, writable)
	case !taken:
		return fault(errors.New("another prober has it"), "stop that prober, or give each its own prober.spool.dir")
	}
	s := &spool{dir: dir, lock: lock}
	err = s.reopen()
	if errors.Is(err, errDamaged) {
		var aside string
		cause := err
		if aside, err = s.setAside(); err == nil {
			logger.Error("the spool is damaged; its file is set aside, and the events in it are not sent", "file", aside, "err", cause)
			err = s.reopen()
		}
	}
	if err == nil {
		return s, nil
	}
	_ = lock.Unlock() // err says more
	var known *SpoolError
	switch {
	case errors.As(err, &known):
		return nil, known
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault(err, "free some space on that disk, or give another prober.spool.dir")
	}
	return fault(err, writable)
}

// reopen opens the file after a fault, or for the first time: all of it is read before bbolt may write, because bbolt trusts
// what it finds.
func (s *spool) reopen() error {
	if s.db != nil {
		return nil
	}
	info, err := os.Stat(s.path())
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || info.Size() == 0:
		s.records, s.bytes = 0, 0
	default:
		if err := s.verify(); err != nil {
			return err
		}
	}
	return s.guarded(&bbolt.Options{NoFreelistSync: true}, func(db *bbolt.DB) error {
		s.db = db
		if db.View(hasFormat) == nil { // so that a full disk is no hindrance
			return nil
		}
		return db.Update(func(tx *bbolt.Tx) error {
			if _, err := tx.CreateBucketIfNotExists(spoolEvents); err != nil {
				return err
			}
			about, err := tx.CreateBucketIfNotExists(spoolAbout)
			if err != nil {
				return err
			}
			return about.Put(formatKey, []byte(spoolFormat))
		})
	})
}

var errNoFormat = errors.New("it has no format")

// hasFormat reports a file that a process made and was killed before it wrote anything.
func hasFormat(tx *bbolt.Tx) error {
	if tx.Bucket(spoolAbout) == nil {
		return errNoFormat
	}
	return nil
}

// verify reads every page and every event of the file and counts.
func (s *spool) verify() error {
	err := s.guarded(&bbolt.Options{ReadOnly: true}, func(db *bbolt.DB) error {
		defer func() { _ = db.Close() }()
		return db.View(func(tx *bbolt.Tx) error {
			if info, err := os.Stat(s.path()); err == nil && info.Size() < tx.Size() {
				return fmt.Errorf("%w: it has %d of %d bytes", errDamaged, info.Size(), tx.Size())
			}
			if hasFormat(tx) != nil {
				s.records, s.bytes = 0, 0
				return nil
			}
			if format := tx.Bucket(spoolAbout).Get(formatKey); string(format) != spoolFormat {
				return &SpoolError{s.dir, fmt.Errorf("it is of format %q, and this build knows %q", format, spoolFormat),
					"use the build that wrote it until it is empty, or give another prober.spool.dir"}
			}
			return s.count(tx)
		})
	})
	var path *fs.PathError
	var number syscall.Errno
	var known *SpoolError
	if err == nil || errors.Is(err, errDamaged) || errors.Is(err, bolterrors.ErrTimeout) || errors.As(err, &path) || errors.As(err, &number) || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err) // whatever bbolt has to say about the contents
}

// count reads every event, and holds what it found against what the file says of itself.
func (s *spool) count(tx *bbolt.Tx) error {
	events := tx.Bucket(spoolEvents)
	var records int
	var bytes int64
	var last uint64
	if events == nil {
		return fmt.Errorf("%w: it has no place for events", errDamaged)
	}
	err := events.ForEach(func(key, data []byte) error {
		e, err := parseSpooled(key, data)
		if err == nil && e.seq <= last {
			err = fmt.Errorf("%w: event %d comes after %d", errDamaged, e.seq, last)
		}
		last = e.seq
		records, bytes = records+1, bytes+int64(len(e.value))
		return err
	})
	if err == nil {
		err = checkTotals(tx, records)
	}
	if err == nil {
		s.records, s.bytes = records, bytes
	}
	return err
}

// checkTotals refuses what reading the events does not show: pages that say that they are longer than the file, over which bbolt
// counts in memory for minutes when it opens to write, and pages that have lost events at their end.
func checkTotals(tx *bbolt.Tx, records int) error {
	is := tx.Cursor().Bucket().Stats() // of all buckets
	used, has := is.BranchPageN+is.BranchOverflowN+is.LeafPageN+is.LeafOverflowN, tx.Size()/int64(tx.DB().Info().PageSize)
	if int64(used) > has {
		return fmt.Errorf("%w: its events lie in %d pages, and it has %d", errDamaged, used, has)
	}
	said := string(tx.Bucket(spoolAbout).Get(countKey))
	if count, at, _ := strings.Cut(said, "@"); at == fmt.Sprint(tx.ID()) && said != string(countAt(tx, records)) {
		return fmt.Errorf("%w: it has %d of %s events", errDamaged, records, count)
	}
	return nil
}

// guarded opens the file and does something with it; a panic of bbolt becomes errDamaged.
func (s *spool) guarded(options *bbolt.Options, do func(*bbolt.DB) error) error {
	options.Timeout, options.FreelistType, options.NoStatistics = time.Second, bbolt.FreelistMapType, true
	err := guard(func() error {
		db, err := bbolt.Open(s.path(), 0o600, options)
		if err != nil {
			return err
		}
		return do(db)
	})
	if err != nil {
		s.abandon(err)
	}
	return err
}

// guard turns a panic of bbolt, and the fault of a page that the disk does not give, into errDamaged.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", errDamaged, cause)
		}
	}()
	return do()
}

// withoutFile is the cause of an error of the file system, where a sentence around it has the name already.
func withoutFile(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
