package prober

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"webcheck/schemas"
)

const (
	maxFailureTextBytes    = schemas.MaxFailureTextBytes
	maxAssertionValueBytes = schemas.MaxAssertionValueBytes
)

// clean makes of any bytes a text that a terminal, Avro and PostgreSQL take: valid UTF-8 on one line, without NUL and other
// control characters, of at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.Is(unicode.Cf, r): // direction overrides and their like make a line lie
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
	return cut(strings.TrimSpace(text), limit)
}

// cut shortens text to limit bytes between two characters; an ellipsis says so.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// without takes what must not be told out of a text, where a target may have echoed it.
func without(text string, hidden []string) string {
	for _, h := range hidden {
		if h != "" {
			text = strings.ReplaceAll(text, h, "…")
		}
	}
	return text
}
