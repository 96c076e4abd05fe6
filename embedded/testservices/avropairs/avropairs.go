// Package avropairs makes random Avro schemas, and random changes of them, for tests that hold one judge of compatibility
// against another. It imports nothing of ours, so that every room's tests may use it.
//
// What it makes are whole schemas of any kind: records in records, unions, arrays, maps, enums, fixed, logical types, aliases,
// defaults, references and recursion. Each is legal to Avro Java 1.12 and to the Avro library of package schemas.
package avropairs

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
)

// Random returns the texts of two schemas: two that have nothing to do with one another, or, mostly, one and what became of
// it by up to four changes.
func Random(random *rand.Rand) (older, newer string) {
	was := record(random)
	now := record(random)
	if random.IntN(8) > 0 {
		now = was.clone()
		for range 1 + random.IntN(4) {
			change(random, now)
		}
	}
	return was.text(), now.text()
}

// names that types and fields have, few so that they meet.
var (
	typeNames  = []string{"R", "S", "T", "E", "F", "G"}
	fieldNames = []string{"a", "b", "c", "d", "e", "f"}
	symbols    = []string{"u", "v", "w", "x", "y", "z"}
	primitives = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
	logical    = map[string]string{"int": "date", "long": "timestamp-micros", "string": "uuid"}
)

// node is a type of a schema.
type node struct {
	kind      string // a primitive, "record", "enum", "fixed", "array", "map", "union"
	logical   string
	name      string // of a record, enum or fixed
	namespace string
	aliases   []string
	symbols   []string
	symbol    string // the enum's default
	size      int
	fields    []*field
	of        []*node // items, values, or branches
}

type field struct {
	name       string
	aliases    []string
	typ        *node
	hasDefault bool
}

// one returns one of all.
func one[T any](random *rand.Rand, all []T) T { return all[random.IntN(len(all))] }

// some returns between least and all of all, shuffled.
func some[T any](random *rand.Rand, least int, all []T) []T {
	shuffled := slices.Clone(all)
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:least+random.IntN(len(all)-least+1)]
}

func often(random *rand.Rand) bool  { return random.IntN(4) > 0 }
func seldom(random *rand.Rand) bool { return random.IntN(4) == 0 }

// record returns a random record named R, mostly.
func record(random *rand.Rand) *node {
	r := named(random, "record", 0)
	if often(random) {
		r.name = "R"
	}
	return r
}

// typ returns a random type, depth deep in a schema.
func typ(random *rand.Rand, depth int) *node {
	kinds := []string{"primitive", "primitive", "primitive", "enum", "fixed", "union", "union"}
	if depth < 3 {
		kinds = append(kinds, "record", "array", "map")
	}
	switch kind := one(random, kinds); kind {
	case "primitive":
		p := &node{kind: one(random, primitives)}
		if seldom(random) {
			p.logical = logical[p.kind]
		}
		return p
	case "union":
		return union(random, depth)
	case "array", "map":
		return &node{kind: kind, of: []*node{typ(random, depth+1)}}
	default:
		return named(random, kind, depth)
	}
}

// union returns a random union, half of them of null and one other type.
func union(random *rand.Rand, depth int) *node {
	u := &node{kind: "union"}
	if random.IntN(2) == 0 {
		u.of = append(u.of, &node{kind: "null"})
	}
	for range 1 + random.IntN(3) {
		u.branch(typ(random, depth+1))
	}
	if len(u.of) == 0 {
		u.of = append(u.of, &node{kind: "int"})
	}
	return u
}

// branch adds b unless the union may not have it besides what it has.
func (n *node) branch(b *node) {
	same := func(have *node) bool { return have.kind == b.kind && have.name == b.name }
	if b.kind != "union" && !slices.ContainsFunc(n.of, same) {
		n.of = append(n.of, b)
	}
}

// named returns a random record, enum or fixed.
func named(random *rand.Rand, kind string, depth int) *node {
	n := &node{kind: kind, name: one(random, typeNames)}
	if seldom(random) {
		n.namespace = one(random, []string{"n", "m"})
	}
	if seldom(random) {
		n.aliases = []string{one(random, typeNames)}
	}
	switch kind {
	case "enum":
		n.symbols = some(random, 1, symbols)
		if random.IntN(3) == 0 {
			n.symbol = one(random, n.symbols)
		}
	case "fixed":
		n.size = 1 + random.IntN(3)
	case "record":
		for _, name := range some(random, 1, fieldNames[:4]) {
			n.fields = append(n.fields, newField(random, name, depth+1))
		}
	}
	return n
}

func newField(random *rand.Rand, name string, depth int) *field {
	f := &field{name: name, typ: typ(random, depth), hasDefault: random.IntN(2) == 0}
	if random.IntN(16) == 0 {
		f.aliases = []string{one(random, fieldNames)}
	}
	return f
}

// clone returns a deep copy.
func (n *node) clone() *node {
	c := *n
	c.aliases, c.symbols = slices.Clone(n.aliases), slices.Clone(n.symbols)
	c.fields, c.of = nil, nil
	for _, f := range n.fields {
		c.fields = append(c.fields, &field{name: f.name, aliases: slices.Clone(f.aliases), typ: f.typ.clone(), hasDefault: f.hasDefault})
	}
	for _, inner := range n.of {
		c.of = append(c.of, inner.clone())
	}
	return &c
}

// walk calls f for every type in n.
func (n *node) walk(f func(*node)) {
	f(n)
	for _, field := range n.fields {
		field.typ.walk(f)
	}
	for _, inner := range n.of {
		inner.walk(f)
	}
}

// text is the schema in JSON.
func (n *node) text() string {
	w := &writer{defined: map[string]*node{}, named: map[string]bool{}}
	n.walk(func(n *node) { w.named[n.name] = true })
	text, err := json.Marshal(w.node(n, ""))
	if err != nil {
		panic(err)
	}
	return string(text)
}
