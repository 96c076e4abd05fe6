package prober

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// spoolFile is the database in the spool's directory, and spoolLock what tells two probers apart; the latter stays when the
	// former is exchanged.
	spoolFile = "spool.db"
	spoolLock = "lock"
	// spoolFormat is raised when an older build could not read what a newer one writes.
	spoolFormat = "1"
	// shrinkBytes is how large an empty spool's file may stay; bbolt uses a file's pages again but never gives them back.
	shrinkBytes = 16 << 20
)

var (
	spoolAbout  = []byte("about")  // bucket: format, count
	spoolEvents = []byte("events") // bucket: a number that grows → checksum, length of the key, key, value
	formatKey   = []byte("format")
	countKey    = []byte("count")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// spooled is an event as it lies in the spool: a record's key and value, which are sent as they are, whatever schema they have.
type spooled struct {
	seq        uint64 // its place in the order of arrival, from 1
	key, value []byte
}

// spool is a queue of events on disk. It is bbolt because that is one file, commits with fsync, survives kill -9 and a full
// disk at any moment by copying pages before it writes them, and is kept. One goroutine uses it.
type spool struct {
	dir  string
	lock interface{ Unlock() error }
	db   *bbolt.DB // nil after a fault, until the next use
	// What the file holds.
	records int
	bytes   int64 // of values
	// fault replaces commits in tests.
	fault func() error
}

func (s *spool) path() string { return filepath.Join(s.dir, spoolFile) }

// apply appends events, gives each its number, and removes those of other numbers, in one transaction. It returns after the
// fsync. After an error the file holds what it held before, or, when only the last fsync failed, perhaps the new state.
func (s *spool) apply(add []*spooled, remove []uint64) error {
	if err := s.reopen(); err != nil {
		return err
	}
	records, bytes := s.records, s.bytes
	err := guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			events := tx.Bucket(spoolEvents)
			events.FillPercent = 1 // numbers only grow
			for _, seq := range remove {
				key := seqKey(seq)
				if e, err := parseSpooled(key, events.Get(key)); err == nil {
					records, bytes = records-1, bytes-int64(len(e.value))
				}
				if err := events.Delete(key); err != nil {
					return err
				}
			}
			for _, e := range add {
				seq, err := events.NextSequence()
				if err != nil {
					return err
				}
				e.seq = seq
				records, bytes = records+1, bytes+int64(len(e.value))
				if err := events.Put(seqKey(seq), e.append(nil)); err != nil {
					return err
				}
			}
			if err := tx.Bucket(spoolAbout).Put(countKey, countAt(tx, records)); err != nil {
				return err
			}
			if s.fault != nil {
				return s.fault()
			}
			return nil
		})
	})
	if err != nil {
		s.abandon(err)
		return fmt.Errorf("writing the spool %q: %w", s.dir, withoutFile(err))
	}
	s.records, s.bytes = records, bytes
	return nil
}

// read returns events after the number after, in order: at most limit, and at most maxBytes of values unless the first is
// larger. Nothing in what it returns belongs to the file.
func (s *spool) read(after uint64, limit int, maxBytes int) ([]spooled, error) {
	if _, err := os.Stat(s.path()); errors.Is(err, fs.ErrNotExist) && s.db == nil {
		return nil, nil // a full disk has no room for a new one
	}
	if err := s.reopen(); err != nil {
		return nil, err
	}
	var events []spooled
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			cursor := tx.Bucket(spoolEvents).Cursor()
			for key, value := cursor.Seek(seqKey(after + 1)); key != nil && len(events) < limit; key, value = cursor.Next() {
				e, err := parseSpooled(key, append([]byte(nil), value...))
				if err != nil {
					return err
				}
				if maxBytes -= len(e.value); maxBytes < 0 && len(events) > 0 {
					return nil
				}
				events = append(events, e)
			}
			return nil
		})
	})
	if err != nil {
		s.abandon(err)
		return nil, fmt.Errorf("reading the spool %q: %w", s.dir, withoutFile(err))
	}
	return events, nil
}

// reset forgets what the file holds, all of which must be in Kafka; a large file, and one that cannot be written, is
// exchanged for a new one.
func (s *spool) reset() error {
	if err := s.reopen(); err != nil {
		return err
	}
	info, err := os.Stat(s.path())
	if err == nil && s.records == 0 && info.Size() <= shrinkBytes {
		return nil
	}
	s.abandon(nil)
	if err := os.Remove(s.path()); err != nil {
		return fmt.Errorf("emptying the spool %q: %w", s.dir, withoutFile(err))
	}
	s.records, s.bytes = 0, 0
	return s.reopen()
}

// close gives the spool up to the next prober.
func (s *spool) close() error {
	s.abandon(nil)
	if err := s.lock.Unlock(); err != nil {
		return fmt.Errorf("closing the spool %q: %w", s.dir, err)
	}
	return nil
}

// abandon closes the file after cause; nil is no fault. One whose pages panicked may hold bbolt's locks for ever, and is left
// to the end of the process.
func (s *spool) abandon(cause error) {
	if s.db != nil && !errors.Is(cause, errDamaged) {
		_ = s.db.Close() // every transaction has ended, so that nothing is left to be written
	}
	s.db = nil
}

// setAside renames the file, which is damaged, and returns its new name. Nobody deletes it.
func (s *spool) setAside() (string, error) {
	s.abandon(errDamaged)
	aside := s.path() + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000000")
	if err := os.Rename(s.path(), aside); err != nil {
		return "", fmt.Errorf("setting the damaged spool %q aside: %w", s.dir, withoutFile(err))
	}
	s.records, s.bytes = 0, 0
	return aside, nil
}

// countAt is what the file says of the number of its events. It holds for the file as tx leaves or finds it: an older build, which
// does not know of it, may have written since.
func countAt(tx *bbolt.Tx, records int) []byte { return fmt.Appendf(nil, "%d@%d", records, tx.ID()) }

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// append writes e as it lies under its number.
func (e *spooled) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(len(e.key)))
	dst = append(append(dst, e.key...), e.value...)
	binary.BigEndian.PutUint32(dst[at:], checksum(seqKey(e.seq), dst[at+4:]))
	return dst
}

func parseSpooled(key, data []byte) (spooled, error) {
	if len(key) != 8 || len(data) < 5 || binary.BigEndian.Uint32(data) != checksum(key, data[4:]) {
		return spooled{}, fmt.Errorf("%w: event %x has another checksum", errDamaged, key)
	}
	length, n := binary.Uvarint(data[4:])
	rest := data[4+max(n, 0):]
	if n <= 0 || length > uint64(len(rest)) {
		return spooled{}, fmt.Errorf("%w: event %x has a key without an end", errDamaged, key)
	}
	return spooled{seq: binary.BigEndian.Uint64(key), key: rest[:length:length], value: rest[length:]}, nil
}

func checksum(key, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, data)
}
