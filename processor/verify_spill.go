package processor

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
)

// sighting is an event seen in the log: what is needed to tell whether its row is right.
type sighting struct {
	id        [16]byte
	content   uint64 // hash of all fields
	startedUs int64
	offset    int64
	partition int32
	missed    bool
	waiting   bool // at or behind the stored offset: no row has to be there
}

const (
	sightingBytes = 44
	// spillChunk is what is written at once: a page of the disk, of whole sightings.
	spillChunk = 4096 / sightingBytes * sightingBytes
	// The bits of a sighting beside its partition, which is never negative.
	missedBit  = 1 << 31
	waitingBit = 1 << 30
)

// spill keeps sightings in a temporary file, by the hours of their ids. Nothing of it stays behind, however the process ends.
type spill struct {
	file *os.File
	size int64
	hour map[int64]*spilled
}

// spilled is what there is of an hour.
type spilled struct {
	chunks []int64 // where in the file
	last   []byte  // not in the file yet
}

func newSpill() (*spill, error) {
	file, err := os.CreateTemp("", "webcheck-verify-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary file: %w", err)
	}
	// An open file lives on without its name; where that can't be, close removes it.
	_ = os.Remove(file.Name())
	return &spill{file: file, hour: make(map[int64]*spilled)}, nil
}

func (s *spill) close() {
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}

// idMs is the moment in an event's id.
func idMs(id [16]byte) int64 { return int64(binary.BigEndian.Uint64(id[:]) >> 16) }

func (s *spill) add(seen *sighting) error {
	hour := idMs(seen.id) / hourMs
	to := s.hour[hour]
	if to == nil {
		to = &spilled{last: make([]byte, 0, spillChunk)}
		s.hour[hour] = to
	}
	to.last = seen.append(to.last)
	if len(to.last) < spillChunk {
		return nil
	}
	if _, err := s.file.WriteAt(to.last, s.size); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	to.chunks, to.last = append(to.chunks, s.size), to.last[:0]
	s.size += spillChunk
	return nil
}

// hours lists the hours since 1970 of which there is something.
func (s *spill) hours() []int64 { return slices.Sorted(maps.Keys(s.hour)) }

// load gives the sightings of an hour in the order of their ids, and those of one id with the first to be kept first.
func (s *spill) load(hour int64) ([]sighting, error) {
	from := s.hour[hour]
	all := make([]sighting, 0, (len(from.chunks)*spillChunk+len(from.last))/sightingBytes)
	chunk := make([]byte, spillChunk)
	for _, at := range from.chunks {
		if _, err := s.file.ReadAt(chunk, at); err != nil {
			return nil, fmt.Errorf("reading a temporary file: %w", err)
		}
		all = appendSightings(all, chunk)
	}
	all = appendSightings(all, from.last)
	slices.SortFunc(all, func(a, b sighting) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), compareRank(&a, &b), cmp.Compare(a.content, b.content), cmp.Compare(a.offset, b.offset))
	})
	return all, nil
}

// compareRank orders events of one id as check_precedes does, as far as sightings tell.
func compareRank(a, b *sighting) int {
	if a.missed != b.missed {
		if a.missed {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.startedUs, b.startedUs)
}

func (s *sighting) append(dst []byte) []byte {
	dst = append(dst, s.id[:]...)
	dst = binary.BigEndian.AppendUint64(dst, s.content)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.startedUs))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.offset))
	bits := uint32(s.partition)
	if s.missed {
		bits |= missedBit
	}
	if s.waiting {
		bits |= waitingBit
	}
	return binary.BigEndian.AppendUint32(dst, bits)
}

func appendSightings(dst []sighting, from []byte) []sighting {
	for ; len(from) > 0; from = from[sightingBytes:] {
		bits := binary.BigEndian.Uint32(from[40:])
		dst = append(dst, sighting{
			id: [16]byte(from[:16]), content: binary.BigEndian.Uint64(from[16:]), startedUs: int64(binary.BigEndian.Uint64(from[24:])),
			offset: int64(binary.BigEndian.Uint64(from[32:])), partition: int32(bits &^ (missedBit | waitingBit)),
			missed: bits&missedBit != 0, waiting: bits&waitingBit != 0,
		})
	}
	return dst
}
