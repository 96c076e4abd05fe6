package schemas

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
)

// typeText is a type in a few words: "int", "null or string", "long timestamp-micros", "enum webcheck.Outcome". It looks into
// named types no further than their names and sizes, so it ends on recursive ones.
func typeText(schema avro.Schema) string {
	switch t := dereference(schema).(type) {
	case *avro.UnionSchema:
		branches := make([]string, len(t.Types()))
		for i, branch := range t.Types() {
			branches[i] = typeText(branch)
		}
		return strings.Join(branches, " or ")
	case *avro.ArraySchema:
		return "array of (" + typeText(t.Items()) + ")"
	case *avro.MapSchema:
		return "map of (" + typeText(t.Values()) + ")"
	case *avro.FixedSchema:
		return fmt.Sprintf("fixed %s of %d bytes", t.FullName(), t.Size()) + logicalText(t.Logical())
	case avro.NamedSchema:
		return string(t.Type()) + " " + t.FullName()
	case *avro.PrimitiveSchema:
		return string(t.Type()) + logicalText(t.Logical())
	default:
		return string(schema.Type())
	}
}

// logicalText is a logical type, with a space before it; empty when there is none.
func logicalText(logical avro.LogicalSchema) string {
	switch t := logical.(type) {
	case nil:
		return ""
	case *avro.DecimalLogicalSchema:
		return fmt.Sprintf(" decimal(%d,%d)", t.Precision(), t.Scale())
	default:
		return " " + string(t.Type())
	}
}

// movedFields returns the names in newer of the fields that are no more in the order of older: as few as explain it.
func movedFields(older, newer *avro.RecordSchema) map[string]bool {
	type kept struct {
		name string
		at   int
	}
	var all []kept
	for _, f := range newer.Fields() {
		if at := source(f, older); at >= 0 {
			all = append(all, kept{f.Name(), at})
		}
	}
	// The longest run of fields in the old order stays; best[i] is the longest that ends with the field i.
	best, previous, end := make([]int, len(all)), make([]int, len(all)), -1
	for i := range all {
		best[i], previous[i] = 1, -1
		for j := range i {
			if all[j].at < all[i].at && best[j]+1 > best[i] {
				best[i], previous[i] = best[j]+1, j
			}
		}
		if end < 0 || best[i] > best[end] {
			end = i
		}
	}
	stays := make(map[int]bool)
	for ; end >= 0; end = previous[end] {
		stays[end] = true
	}
	moved := make(map[string]bool)
	for i, k := range all {
		moved[k.name] = !stays[i]
	}
	return moved
}
