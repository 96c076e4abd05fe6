package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writeTargets writes definitions as a file that they are read from again, each without what is the default.
func writeTargets(out io.Writer, definitions []map[string]any) error {
	if len(definitions) == 0 {
		_, err := io.WriteString(out, "targets: []\n")
		return err
	}
	var b strings.Builder
	b.WriteString("targets:\n")
	for _, fields := range definitions {
		writeItem(&b, withoutDefaults(fields))
		if b.Len() > maxHeldYAML {
			if _, err := io.WriteString(out, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// maxHeldYAML is how much text is held until it is written.
const maxHeldYAML = 64 << 10

// writeItem writes one target as an item of the list, its keys in the order of the example file.
func writeItem(b *strings.Builder, fields map[string]any) {
	start := "  - "
	for _, key := range orderedKeys(fields, targetKeys) {
		inner, is := fields[key].(map[string]any)
		if !is {
			fmt.Fprintf(b, "%s%s: %s\n", start, yamlText(key), yamlValue(key, fields[key]))
		} else {
			fmt.Fprintf(b, "%s%s:\n", start, yamlText(key))
			for _, name := range orderedKeys(inner, innerKeys) {
				fmt.Fprintf(b, "      %s: %s\n", yamlText(name), yamlValue(name, inner[name]))
			}
		}
		start = "    "
	}
}

// yamlValue writes a value that is no mapping.
func yamlValue(key string, value any) string {
	switch value := value.(type) {
	case json.Number, bool:
		return fmt.Sprint(value)
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			if parts[i] = fmt.Sprint(part); !statusRange.MatchString(parts[i]) { // a code is read as what it looks like
				parts[i] = yamlText(parts[i])
			}
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return yamlText(valueText(key, value))
}

// plainText are texts that stand without quotes and are read as texts, whatever version of YAML reads them: words, URLs, references, counts,
// durations and ranges.
var plainText = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|[a-z]+://[A-Za-z0-9_./%+=?&~:@-]*[A-Za-z0-9_/%+=?&~-]|(?:env:|file:/)[A-Za-z0-9_./-]+|\d+ (?:of|in) [a-z0-9.]+|\d+(?:\.\d+)?[a-z]+|\d{3}-\d{3})$`)

// notPlain are words that some version of YAML reads as something else.
var notPlain = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"}

// yamlText writes a text plainly where that is safe, else in double quotes.
func yamlText(text string) string {
	if plainText.MatchString(text) && !slices.Contains(notPlain, strings.ToLower(text)) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == ' ' || unicode.IsPrint(r) && r != utf8.RuneError:
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
