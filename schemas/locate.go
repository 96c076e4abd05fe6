package schemas

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Locate returns where in a JSON text the value is that an RFC 6901 pointer points at: the line, and the column in
// characters, from 1; 0, 0 when it points at nothing, or the text is no JSON up to there. Of a key that an object has twice
// the last counts, as it does to who parses it. "/" is the whole, as Avro Java writes it, besides "".
func Locate(text, pointer string) (line, column int) {
	p := newPlaces(text)
	found, whole := p.find(pointer)
	if !whole {
		return 0, 0
	}
	return position(text, found.offset)
}

// places is where the values of a JSON text begin.
type places struct {
	text string
	root *jsonPlace // nil when there is none
}

// jsonPlace is where a value begins, in bytes, and what is inside it.
type jsonPlace struct {
	offset  int
	members map[string]*jsonPlace
	items   []*jsonPlace
}

// newPlaces finds the places of text. In one that is no JSON, or nested more than any schema, those up to there.
func newPlaces(text string) places {
	s := &placeScanner{text: text, tokens: json.NewDecoder(strings.NewReader(text))}
	s.tokens.UseNumber()
	root, _ := s.value(0)
	return places{text: text, root: root}
}

// find returns the deepest place on the way that pointer tells, or nil, and whether that is the end of the way.
func (p places) find(pointer string) (*jsonPlace, bool) {
	at := p.root
	if pointer == "" || pointer == "/" || at == nil {
		return at, at != nil
	}
	tokens := strings.Split(pointer, "/")
	if tokens[0] != "" {
		return at, false
	}
	for _, token := range tokens[1:] {
		next := at.step(token)
		if next == nil {
			return at, false
		}
		at = next
	}
	return at, true
}

// step returns the value inside that one token of a pointer names, or nil.
func (p *jsonPlace) step(token string) *jsonPlace {
	if p.members != nil {
		return p.members[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
	}
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || i >= len(p.items) || strconv.Itoa(i) != token {
		return nil
	}
	return p.items[i]
}

// nearest returns the position of the deepest place on the way that pointer tells; 0, 0 in a text without any.
func (p places) nearest(pointer string) (line, column int) {
	found, _ := p.find(pointer)
	if found == nil {
		return 0, 0
	}
	return position(p.text, found.offset)
}

// position returns the line and the column in characters, from 1, of a byte of text.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

var (
	errTooDeep = errors.New("nested too deep")
	errNoKey   = errors.New("a key is no text")
)

// placeScanner reads the places off a text's tokens.
type placeScanner struct {
	text   string
	tokens *json.Decoder
}

// value reads one value, which is nested depth deep. After an error it returns what it had.
func (s *placeScanner) value(depth int) (*jsonPlace, error) {
	p := &jsonPlace{offset: s.next()}
	token, err := s.tokens.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return p, errTooDeep
	}
	switch token {
	case json.Delim('{'):
		p.members = make(map[string]*jsonPlace)
		return p, s.members(p, depth)
	case json.Delim('['):
		return p, s.items(p, depth)
	}
	return p, nil
}

func (s *placeScanner) members(p *jsonPlace, depth int) error {
	for s.tokens.More() {
		key, err := s.tokens.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errNoKey
		}
		member, err := s.value(depth + 1)
		if member != nil {
			p.members[name] = member
		}
		if err != nil {
			return err
		}
	}
	_, err := s.tokens.Token()
	return err
}

func (s *placeScanner) items(p *jsonPlace, depth int) error {
	for s.tokens.More() {
		item, err := s.value(depth + 1)
		if item != nil {
			p.items = append(p.items, item)
		}
		if err != nil {
			return err
		}
	}
	_, err := s.tokens.Token()
	return err
}

// next is the offset at which the next value begins: after the last token, and what is between values.
func (s *placeScanner) next() int {
	offset := int(s.tokens.InputOffset())
	return offset + len(s.text[offset:]) - len(strings.TrimLeft(s.text[offset:], " \t\r\n,:"))
}
