package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// keywords are the keys of a schema, or of a field, that have a meaning.
var keywords = []string{"type", "name", "namespace", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default", "order"}

// checkSpelling refuses a keyword in capitals. The library takes "Default" for "default"; Avro Java passes it over as
// something of the schema's own, and would then refuse, or read otherwise, what was let through here.
func checkSpelling(text []byte) error {
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		return err
	}
	return misspelled(schema)
}

// misspelled looks at a type or a field, and at what is inside it; not at defaults, nor at what has no meaning in Avro.
func misspelled(schema any) error {
	switch s := schema.(type) {
	case []any:
		for _, inner := range s {
			if err := misspelled(inner); err != nil {
				return err
			}
		}
	case map[string]any:
		for key := range s {
			at := slices.IndexFunc(keywords, func(k string) bool { return strings.EqualFold(k, key) })
			if at < 0 {
				continue
			}
			if _, right := s[keywords[at]]; !right {
				return fmt.Errorf("the key %q is %q in Avro", key, keywords[at])
			}
		}
		for _, key := range []string{"type", "fields", "items", "values"} {
			if err := misspelled(s[key]); err != nil {
				return err
			}
		}
	}
	return nil
}
