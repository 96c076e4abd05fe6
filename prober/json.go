package prober

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// jsonReader reads the JSON of definitions. A prober reads a million of them at its start, and encoding/json takes three times
// as long, takes keys in any case and the last of two; this one takes each key once and as it is. What it needs no more of,
// numbers with a fraction and null, it does not read. Errors go on after the name of what has them.
type jsonReader struct {
	text string
	at   int
}

// maxKeys is more than any object of a definition may have; who looks a key up among those before it must not do so for ever.
const maxKeys = 64

// peek skips white space and returns the next byte; 0 at the end.
func (r *jsonReader) peek() byte {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// take skips the next byte where it is c.
func (r *jsonReader) take(c byte) bool {
	if r.peek() != c || r.at == len(r.text) {
		return false
	}
	r.at++
	return true
}

func (r *jsonReader) atEnd() bool  { return r.peek() == 0 && r.at == len(r.text) }
func (r *jsonReader) isText() bool { return r.peek() == '"' }

// object calls each for every key, when its value is next.
func (r *jsonReader) object(each func(key string) error) error {
	if !r.take('{') {
		return errors.New("is no object")
	}
	if r.take('}') {
		return nil
	}
	var few [32]string // on the stack
	seen := few[:0]
	for {
		var key string
		if err := r.readText(&key); err != nil {
			return fmt.Errorf("has a key that %w", err)
		}
		if slices.Contains(seen, key) {
			return fmt.Errorf("has %q twice", key)
		}
		if len(seen) == maxKeys {
			return fmt.Errorf("has more than %d keys", maxKeys)
		}
		seen = append(seen, key)
		if !r.take(':') {
			return fmt.Errorf("has no colon behind %q", key)
		}
		if err := each(key); err != nil {
			return err
		}
		switch {
		case r.take('}'):
			return nil
		case !r.take(','):
			return fmt.Errorf("does not go on behind %q", key)
		}
	}
}

// list calls each for every item, when it is next.
func (r *jsonReader) list(each func() error) error {
	if !r.take('[') {
		return errors.New("is no list")
	}
	if r.take(']') {
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		switch {
		case r.take(']'):
			return nil
		case !r.take(','):
			return errors.New("is a list that does not go on")
		}
	}
}

// keepText reads a string that outlives the definition, of which it holds no part.
func (r *jsonReader) keepText(into *string) error {
	err := r.readText(into)
	*into = strings.Clone(*into)
	return err
}

// readText reads a string, which may be a part of the definition's memory.
func (r *jsonReader) readText(into *string) error {
	if !r.take('"') {
		return errors.New("is no text")
	}
	begin, escaped := r.at, false
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			*into = r.text[begin:r.at]
			r.at++
			if escaped {
				return r.unescape(r.text[begin-1:r.at], into)
			}
			if !utf8.ValidString(*into) {
				return errors.New("is not valid UTF-8")
			}
			return nil
		case c == '\\':
			escaped = true
			r.at++
		case c < ' ':
			return errors.New("holds a control character")
		}
	}
	return errors.New("is a text without an end")
}

// unescape reads a text that has escapes, which few have.
func (r *jsonReader) unescape(quoted string, into *string) error {
	if !utf8.ValidString(quoted) || json.Unmarshal([]byte(quoted), into) != nil {
		return errors.New("is no text")
	}
	return nil
}

// readNumber reads a whole number.
func (r *jsonReader) readNumber(into *int) error {
	r.peek()
	begin := r.at
	for r.at < len(r.text) && (r.text[r.at] == '-' || '0' <= r.text[r.at] && r.text[r.at] <= '9') {
		r.at++
	}
	text := r.text[begin:r.at]
	if digits := strings.TrimPrefix(text, "-"); len(digits) > 1 && digits[0] == '0' {
		return fmt.Errorf("is %q, which is no whole number", text)
	}
	return number(text, into)
}

// readSwitch reads true or false.
func (r *jsonReader) readSwitch(into *bool) error {
	r.peek()
	for _, value := range []bool{true, false} {
		word := fmt.Sprint(value)
		if strings.HasPrefix(r.text[r.at:], word) {
			r.at += len(word)
			*into = value
			return nil
		}
	}
	return errors.New("is neither true nor false")
}
