package embedded

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"webcheck/schemas"
)

// line is one line of the registry's log. The sum tells a damaged line from a whole one: most damage to a schema's text would
// still be JSON.
type line struct {
	Sum    uint32          `json:"crc32c"` // of Change as it stands
	Change json.RawMessage `json:"change"`
}

func encodeLine(c change) ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(line{Sum: crc32.Checksum(raw, castagnoli), Change: raw})
	return append(text, '\n'), err
}

func decodeLine(text []byte) (c change, err error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return c, err
	}
	if crc32.Checksum(l.Change, castagnoli) != l.Sum {
		return c, errors.New("its checksum differs")
	}
	return c, json.Unmarshal(l.Change, &c)
}

// change is what one line does: exactly one of the fields is set.
type change struct {
	Register *registration `json:"register,omitempty"`
	Delete   *deletion     `json:"delete,omitempty"`
	Level    *levelChange  `json:"level,omitempty"`
	Mode     *modeChange   `json:"mode,omitempty"`
}

type registration struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      int    `json:"id"`
	Schema  string `json:"schema"`
}

type deletion struct {
	Subject   string `json:"subject"`
	Versions  []int  `json:"versions"`
	Permanent bool   `json:"permanent"`
}

// levelChange replaces what is configured for a subject; with nothing set it removes that.
type levelChange struct {
	Subject   string `json:"subject"`             // empty: the default for all subjects
	Level     string `json:"level"`               // empty: the default's
	Normalize *bool  `json:"normalize,omitempty"` // nil: not said
}

type modeChange struct {
	Subject string `json:"subject"`         // empty: all subjects without one of their own
	Mode    string `json:"mode"`            // empty: back to the default
	Clear   bool   `json:"clear,omitempty"` // removes what was deleted softly
}

// version is one registered schema under a subject.
type version struct {
	registration
	deleted bool // softly: still readable by its id, no longer compared with
}

// store is what the registry knows, folded from its log.
type store struct {
	mu       sync.Mutex
	path     string
	file     *os.File
	size     int64 // of the whole lines in file
	subjects map[string][]version
	used     map[string]int // highest version number a subject ever had: numbers are never used again
	texts    map[int]string // by id, for ever: messages written with an id outlive its deletion
	ids      map[string]int // by the schema's canonical text; the first where an import gave it more than one
	lastID   int
	levels   map[string]levelChange
	modes    map[string]string
}

const defaultLevel = "FULL_TRANSITIVE"

func openStore(path string) (_ *store, err error) {
	_, statErr := os.Stat(path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &store{
		path: path, file: file, subjects: map[string][]version{}, used: map[string]int{},
		texts: map[int]string{}, ids: map[string]int{}, levels: map[string]levelChange{}, modes: map[string]string{},
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if errors.Is(statErr, os.ErrNotExist) {
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	return s, s.load()
}

// load folds the log. Only its last line may be torn, and only when nothing ends it: that one was never answered.
func (s *store) load() error {
	r := bufio.NewReader(s.file)
	for n := 1; ; n++ {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading %q: %w", s.path, err)
		}
		c, err := decodeLine(text)
		if err == nil {
			err = s.apply(c)
		}
		if err != nil {
			return withHint("put the file back from a copy; the registry does not guess what was in it",
				"reading %q: line %d is damaged: %w", s.path, n, err)
		}
		s.size += int64(len(text))
	}
	return s.cut()
}

// cut drops what lies behind the last whole line.
func (s *store) cut() error {
	if err := s.file.Truncate(s.size); err != nil {
		return fmt.Errorf("cutting %q: %w", s.path, err)
	}
	if _, err := s.file.Seek(s.size, io.SeekStart); err != nil {
		return fmt.Errorf("cutting %q: %w", s.path, err)
	}
	return nil
}

// commit writes c down, synced, and applies it. The caller holds mu. After an error nothing has changed.
func (s *store) commit(c change) error {
	text, err := encodeLine(c)
	if err != nil {
		return err
	}
	if _, err = s.file.Write(text); err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(explain(fmt.Errorf("writing %q: %w", s.path, err)), s.cut())
	}
	s.size += int64(len(text))
	return s.apply(c)
}

func (s *store) apply(c change) error {
	switch {
	case c.Register != nil:
		return s.applyRegistration(*c.Register)
	case c.Delete != nil:
		return s.applyDeletion(*c.Delete)
	case c.Level != nil && c.Level.Level == "" && c.Level.Normalize == nil:
		delete(s.levels, c.Level.Subject)
		return nil
	case c.Level != nil:
		s.levels[c.Level.Subject] = *c.Level
		return nil
	case c.Mode != nil:
		s.applyMode(*c.Mode)
		return nil
	}
	return errors.New("says nothing")
}

func (s *store) applyRegistration(r registration) error {
	if r.ID < 1 || r.Version < 1 || r.Subject == "" || r.Schema == "" {
		return errors.New("incomplete registration")
	}
	if text, ok := s.texts[r.ID]; ok && text != r.Schema {
		return fmt.Errorf("id %d has two schemas", r.ID)
	}
	s.texts[r.ID] = r.Schema
	if canonical := schemas.Canonical(r.Schema); s.ids[canonical] == 0 {
		s.ids[canonical] = r.ID
	}
	s.lastID = max(s.lastID, r.ID)
	s.used[r.Subject] = max(s.used[r.Subject], r.Version)
	versions := s.subjects[r.Subject]
	if i := slices.IndexFunc(versions, func(v version) bool { return v.Version == r.Version }); i >= 0 {
		versions[i].deleted = false
		return nil
	}
	// A schema that comes back takes the place of the version of it that was deleted softly, as Confluent has it.
	versions = slices.DeleteFunc(versions, func(v version) bool { return v.deleted && v.ID == r.ID && v.Version < r.Version })
	versions = append(versions, version{registration: r})
	slices.SortFunc(versions, func(a, b version) int { return a.Version - b.Version }) // an import may come in any order
	s.subjects[r.Subject] = versions
	return nil
}

func (s *store) applyMode(m modeChange) {
	if m.Mode == "" {
		delete(s.modes, m.Subject)
	} else {
		s.modes[m.Subject] = m.Mode
	}
	if !m.Clear {
		return
	}
	for name, versions := range s.subjects {
		if m.Subject != "" && m.Subject != name {
			continue
		}
		s.subjects[name] = slices.DeleteFunc(versions, func(v version) bool { return v.deleted })
		if len(s.subjects[name]) == 0 {
			delete(s.subjects, name)
			delete(s.used, name)
		}
	}
}

func (s *store) applyDeletion(d deletion) error {
	versions, ok := s.subjects[d.Subject]
	if !ok {
		return fmt.Errorf("deletion from unknown subject %q", d.Subject)
	}
	if d.Permanent {
		versions = slices.DeleteFunc(versions, func(v version) bool { return slices.Contains(d.Versions, v.Version) })
	}
	for i := range versions {
		if slices.Contains(d.Versions, versions[i].Version) {
			versions[i].deleted = true
		}
	}
	s.subjects[d.Subject] = versions
	if len(versions) == 0 {
		delete(s.subjects, d.Subject)
		delete(s.used, d.Subject)
		delete(s.levels, d.Subject)
		delete(s.modes, d.Subject)
	}
	return nil
}

// live is a subject's versions in order, without the deleted ones.
func (s *store) live(subject string) []version {
	return slices.DeleteFunc(slices.Clone(s.subjects[subject]), func(v version) bool { return v.deleted })
}

// config is what is configured for a subject, else for all of them.
func (s *store) config(subject string) levelChange {
	c, ok := s.levels[subject]
	if !ok {
		c = s.levels[""]
	}
	c.Level = cmp.Or(c.Level, s.levels[""].Level, defaultLevel)
	return c
}

// mode is what a subject allows.
func (s *store) mode(subject string) string {
	if s.modes[""] == modeReadOnlyOverride {
		return modeReadOnlyOverride
	}
	return cmp.Or(s.modes[subject], s.modes[""], modeReadWrite)
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}
