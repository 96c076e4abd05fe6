package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"webcheck/prober"
)

// readFields reads a definition's canonical JSON: texts, switches, json.Number, lists, and maps of them.
func readFields(definition string) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(definition)))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("reading a definition: %w", err)
	}
	return fields, nil
}

// field is one line of a definition: "rules.down" and "2 of 3".
type field struct{ name, text string }

// flatFields are the lines of a definition, in the order of the configuration file; keys that this build does not know come last.
func flatFields(fields map[string]any) []field {
	var all []field
	for _, key := range orderedKeys(fields, targetKeys) {
		inner, is := fields[key].(map[string]any)
		if !is {
			all = append(all, field{key, valueText(key, fields[key])})
			continue
		}
		for _, name := range orderedKeys(inner, innerKeys) {
			all = append(all, field{key + "." + name, valueText(name, inner[name])})
		}
	}
	return all
}

// innerKeys are those of a key that has keys, in the order of the example file.
var innerKeys = append(slices.Clone(ruleKeys), "user", "password")

// orderedKeys are the keys of fields, first those of order, then the others by their letters.
func orderedKeys(fields map[string]any, order []string) []string {
	place := func(key string) int {
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	return slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// durationKeys are the keys whose text is a duration.
var durationKeys = []string{"interval", "timeout", "max_latency", "retry_gap"}

// valueText is a value as a person writes it into the file.
func valueText(key string, value any) string {
	switch value := value.(type) {
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ", ")
	case string:
		if slices.Contains(durationKeys, key) {
			return shortDuration(value)
		}
		if count, window, is := strings.Cut(value, " in "); is && key == "flapping" {
			return count + " in " + shortDuration(window)
		}
		return value
	}
	return fmt.Sprint(value)
}

// shortDuration writes Go's "1m0s" as "1m"; what is no duration stays.
func shortDuration(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	return formatDuration(d)
}

// withoutDefaults leaves out of fields what a target of the file has that does not say it.
func withoutDefaults(fields map[string]any) map[string]any {
	usual, err := readFields(prober.NewTarget("", "").Definition())
	if err != nil {
		return fields // never: it is our own
	}
	if interval, err := time.ParseDuration(fmt.Sprint(fields["interval"])); err == nil {
		usual["timeout"] = prober.DefaultTimeoutFor(interval).String()
	}
	left := make(map[string]any)
	for key, value := range fields {
		inner, is := value.(map[string]any)
		if defaults, has := usual[key].(map[string]any); is && has {
			inner = maps.Clone(inner)
			maps.DeleteFunc(inner, func(name string, value any) bool { return valueText(name, value) == valueText(name, defaults[name]) })
			value = inner
		}
		if is && len(inner) == 0 || !is && usual[key] != nil && valueText(key, value) == valueText(key, usual[key]) {
			continue
		}
		left[key] = value
	}
	return left
}

// changedFields says in what two definitions differ: "interval: 1m -> 30s".
func changedFields(old, now map[string]any) []string {
	texts := func(fields map[string]any) map[string]string {
		byName := make(map[string]string)
		for _, f := range flatFields(fields) {
			byName[f.name] = f.text
		}
		return byName
	}
	before, after := texts(old), texts(now)
	var lines []string
	say := func(name string) {
		text := func(fields map[string]string) string {
			if value, is := fields[name]; is {
				return shortened(printable(value), maxFieldWidth)
			}
			return "(none)"
		}
		if from, to := text(before), text(after); before[name] != after[name] || from != to {
			lines = append(lines, printable(name)+": "+from+" -> "+to)
		}
	}
	for _, f := range flatFields(now) {
		say(f.name)
	}
	for _, f := range flatFields(old) {
		if _, is := after[f.name]; !is {
			say(f.name)
		}
	}
	return lines
}

// maxFieldWidth keeps a body or an expression on a few lines; "show" has all of it.
const maxFieldWidth = 200
