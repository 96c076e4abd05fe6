package avropairs

import (
	"math/rand/v2"
	"slices"
)

// change changes one thing somewhere in a schema.
func change(random *rand.Rand, schema *node) {
	var all []*node
	schema.walk(func(n *node) { all = append(all, n) })
	n := one(random, all)
	switch n.kind {
	case "record":
		if seldom(random) {
			rename(random, n)
			return
		}
		changeFields(random, n)
	case "enum":
		changeEnum(random, n)
	case "fixed":
		if random.IntN(2) == 0 {
			rename(random, n)
			return
		}
		n.size = 1 + random.IntN(3)
	case "union":
		if i := random.IntN(len(n.of)); len(n.of) > 1 && random.IntN(2) == 0 {
			n.of = slices.Delete(n.of, i, i+1)
			return
		}
		n.branch(typ(random, 2))
	case "array", "map":
		if seldom(random) {
			n.kind = one(random, []string{"array", "map"})
			return
		}
		n.of[0] = typ(random, 2)
	default:
		changePrimitive(random, n)
	}
}

// changePrimitive makes another primitive of n, or a union with null.
func changePrimitive(random *rand.Rand, n *node) {
	was := *n
	switch {
	case was.kind != "null" && random.IntN(3) == 0:
		*n = node{kind: "union", of: []*node{{kind: "null"}, &was}}
	default:
		*n = node{kind: one(random, primitives)}
	}
}

// rename gives a named type another name, or an alias, or both so that they fit.
func rename(random *rand.Rand, n *node) {
	switch random.IntN(4) {
	case 0:
		n.name = one(random, typeNames)
	case 1:
		n.aliases = append(n.aliases, n.name)
		n.name = one(random, typeNames)
	case 2:
		n.namespace = one(random, []string{"", "n", "m"})
	default:
		n.aliases = append(n.aliases, one(random, []string{"n.", "m.", ""})+one(random, typeNames))
	}
}

func changeEnum(random *rand.Rand, n *node) {
	switch random.IntN(5) {
	case 0:
		rename(random, n)
	case 1:
		n.symbol = ""
	case 2:
		n.symbol = one(random, n.symbols)
	case 3:
		if s := one(random, symbols); !slices.Contains(n.symbols, s) {
			n.symbols = append(n.symbols, s)
		}
	default:
		n.symbols = some(random, 1, symbols)
		if !slices.Contains(n.symbols, n.symbol) {
			n.symbol = ""
		}
	}
}

func changeFields(random *rand.Rand, n *node) {
	i := random.IntN(len(n.fields))
	f := n.fields[i]
	free := func() (string, bool) {
		name := one(random, fieldNames)
		return name, !slices.ContainsFunc(n.fields, func(f *field) bool { return f.name == name })
	}
	switch random.IntN(7) {
	case 0:
		if len(n.fields) > 1 {
			n.fields = slices.Delete(n.fields, i, i+1)
		}
	case 1:
		if name, ok := free(); ok {
			n.fields = slices.Insert(n.fields, i, newField(random, name, 2))
		}
	case 2:
		if name, ok := free(); ok {
			f.aliases = append(f.aliases, f.name)
			f.name = name
		}
	case 3:
		if name, ok := free(); ok {
			f.name = name
		}
	case 4:
		f.hasDefault = !f.hasDefault
	case 5:
		f.typ = typ(random, 2)
	default:
		random.Shuffle(len(n.fields), func(i, j int) { n.fields[i], n.fields[j] = n.fields[j], n.fields[i] })
	}
}
