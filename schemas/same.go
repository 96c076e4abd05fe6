package schemas

import (
	"bytes"
	"encoding/json"
)

// SameSchema says whether two texts are one schema to a registry: they differ in white space, in the order of the keys in a
// JSON object, and in how characters are escaped, and in nothing else.
func SameSchema(a, b string) bool {
	if a == b {
		return true
	}
	x, y := canonical(a), canonical(b)
	return x != nil && bytes.Equal(x, y)
}

// canonical is the JSON text in one form; nil for no JSON.
func canonical(text string) []byte {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return out
}
