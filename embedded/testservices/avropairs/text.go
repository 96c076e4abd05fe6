package avropairs

import (
	"maps"
	"slices"
	"strings"
)

// writer puts types into what is marshalled. A name that is defined already is a reference to that type: so a record's name
// inside itself is a recursion, and the same name elsewhere stands for the first type of that name.
type writer struct {
	defined map[string]*node // by full name
	named   map[string]bool  // the names that the schema's types have, without namespaces
}

// node returns n as it is marshalled, inside namespace.
func (w *writer) node(n *node, namespace string) any {
	switch n.kind {
	case "union":
		return w.union(n, namespace)
	case "array":
		return map[string]any{"type": "array", "items": w.node(n.of[0], namespace)}
	case "map":
		return map[string]any{"type": "map", "values": w.node(n.of[0], namespace)}
	case "record", "enum", "fixed":
		return w.definition(n, namespace)
	}
	if n.logical != "" {
		return map[string]any{"type": n.kind, "logicalType": n.logical}
	}
	return n.kind
}

// flat returns the branches of a union and of those in it, which may not be there as such.
func (n *node) flat() []*node {
	var branches []*node
	for _, b := range n.of {
		if b.kind == "union" {
			branches = append(branches, b.flat()...)
			continue
		}
		branches = append(branches, b)
	}
	return branches
}

// union leaves out branches that came to be the same type, and forgets what they defined.
func (w *writer) union(n *node, namespace string) any {
	var branches []any
	var have []string
	for _, b := range n.flat() {
		before := maps.Clone(w.defined)
		branch := w.node(b, namespace)
		what, isName := branch.(string)
		if !isName {
			what = b.kind
			if b.name != "" {
				what = fullName(b, namespace)
			}
		}
		if slices.Contains(have, what) {
			w.defined = before
			continue
		}
		branches, have = append(branches, branch), append(have, what)
	}
	return branches
}

func fullName(n *node, namespace string) string {
	if n.namespace != "" {
		namespace = n.namespace
	}
	return strings.TrimPrefix(namespace+"."+n.name, ".")
}

func (w *writer) definition(n *node, namespace string) any {
	full := fullName(n, namespace)
	if n.namespace != "" {
		namespace = n.namespace
	}
	if first, ok := w.defined[full]; ok && first.kind == n.kind {
		return full
	} else if ok {
		return "int" // a name of another kind of type is taken
	}
	w.defined[full] = n
	text := map[string]any{"type": n.kind, "name": n.name}
	if namespace != "" {
		text["namespace"] = namespace
	}
	// Libraries differ over an alias that another type has for a name.
	taken := func(alias string) bool { return w.named[alias[strings.LastIndexByte(alias, '.')+1:]] }
	if aliases := slices.DeleteFunc(slices.Clone(n.aliases), taken); len(aliases) > 0 {
		text["aliases"] = aliases
	}
	switch n.kind {
	case "enum":
		text["symbols"] = n.symbols
		if n.symbol != "" {
			text["default"] = n.symbol
		}
	case "fixed":
		text["size"] = n.size
	case "record":
		fields := make([]any, 0, len(n.fields))
		for _, f := range n.fields {
			fields = append(fields, w.field(f, namespace))
		}
		text["fields"] = fields
	}
	return text
}

func (w *writer) field(f *field, namespace string) any {
	text := map[string]any{"name": f.name, "type": w.node(f.typ, namespace)}
	if len(f.aliases) > 0 {
		text["aliases"] = f.aliases
	}
	if f.hasDefault {
		if value, ok := w.value(f.typ, namespace); ok {
			text["default"] = value
		}
	}
	return text
}

// value returns a default for a type; not for records, which may be recursive, nor for a name that stands for another type.
func (w *writer) value(n *node, namespace string) (any, bool) {
	switch n.kind {
	case "null":
		return nil, true
	case "boolean":
		return true, true
	case "int", "long":
		return 7, true
	case "float", "double":
		return 1.5, true
	case "bytes", "string":
		return "", true
	case "array":
		return []any{}, true
	case "map":
		return map[string]any{}, true
	case "union":
		return w.value(n.flat()[0], namespace)
	}
	if w.defined[fullName(n, namespace)] != n {
		return nil, false
	}
	switch n.kind {
	case "enum":
		return n.symbols[0], true
	case "fixed":
		return strings.Repeat("x", n.size), true
	}
	return nil, false
}
