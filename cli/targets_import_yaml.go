package cli

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"webcheck/prober"
)

// importer reads a file of another program, leniently: anchors and merge keys are followed, and what it does not take over is noted.
type importer struct {
	d       *document // its faults are the notes
	root    ast.Node  // nil for an empty file
	anchors map[string]ast.Node
	targets []prober.Target
	taken   map[string]bool // ids
}

// place is where something stands in the file: its token, and its path for a person.
type place struct {
	at    *token.Token
	field string
}

func (p place) in(at *token.Token, key string) place {
	if p.field == "" {
		return place{at, key}
	}
	return place{at, p.field + "." + key}
}

func (p place) item(node ast.Node, n int) place {
	return place{startOf(node), fmt.Sprintf("%s[%d]", p.field, n)}
}

// newImporter parses text; what is wrong with it as YAML is in the document's faults.
func newImporter(name string, text []byte) *importer {
	i := &importer{d: &document{file: name}, anchors: make(map[string]ast.Node), taken: make(map[string]bool)}
	if problem := unreadable(text); problem != "" {
		i.d.faults = append(i.d.faults, Fault{Where: name, Message: problem})
		return i
	}
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		i.d.syntaxFault(err)
		return i
	}
	for _, doc := range parsed.Docs {
		if doc.Body != nil && i.root == nil {
			i.root = doc.Body
			ast.Walk(anchorFinder(i.anchors), doc.Body)
		}
	}
	return i
}

// anchorFinder collects the nodes that aliases stand for.
type anchorFinder map[string]ast.Node

// Visit looks at one node.
func (f anchorFinder) Visit(node ast.Node) ast.Visitor {
	if anchor, is := node.(*ast.AnchorNode); is {
		f[anchor.Name.GetToken().Value] = anchor.Value
	}
	return f
}

// isAnchored reports whether a value stands where it does only to be repeated.
func (i *importer) isAnchored(node ast.Node) bool {
	for _, anchored := range i.anchors {
		if node == anchored {
			return true
		}
	}
	return false
}

// note says what is not taken over.
func (i *importer) note(p place, message string, arguments ...any) {
	i.d.fault(p.at, p.field, message, arguments...)
}

func (i *importer) notTaken(p place) { i.note(p, "not taken over") }

// maxAliases is how many aliases may lead to one another: more is a loop.
const maxAliases = 10

// resolve returns the node that stands behind anchors, aliases and tags.
func (i *importer) resolve(node ast.Node) ast.Node {
	for range maxAliases {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			node = i.anchors[n.Value.GetToken().Value]
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
	return nil
}

// keys calls each for every key of the mapping at node, of which the first counts; those of a merge key come after its own.
func (i *importer) keys(p place, node ast.Node, each func(key string, at place, value ast.Node)) {
	i.mergedKeys(p, node, make(map[string]bool), maxAliases, each)
}

func (i *importer) mergedKeys(p place, node ast.Node, seen map[string]bool, depth int, each func(string, place, ast.Node)) {
	node = i.resolve(node)
	if node == nil || node.Type() == ast.NullType || depth == 0 {
		return
	}
	pairs, is := node.(ast.MapNode)
	if !is {
		i.note(p, "is %s, and should be keys with values", describe(node))
		return
	}
	var merged []ast.Node
	for entries := pairs.MapRange(); entries.Next(); {
		key := entries.Key().GetToken()
		switch {
		case entries.Key().IsMergeKey():
			merged = append(merged, i.list(entries.Value())...)
		case !seen[key.Value]:
			seen[key.Value] = true
			each(key.Value, p.in(key, key.Value), i.resolve(entries.Value()))
		}
	}
	for _, other := range merged {
		i.mergedKeys(p, other, seen, depth-1, each)
	}
}

// list returns the items of a list; one value is a list of itself, and nothing has none.
func (i *importer) list(node ast.Node) []ast.Node {
	switch node := i.resolve(node).(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		items := make([]ast.Node, 0, len(node.Values))
		for _, item := range node.Values {
			if item = i.resolve(item); item != nil {
				items = append(items, item)
			}
		}
		return items
	default:
		return []ast.Node{node}
	}
}

// text returns the text of a scalar; what is none is noted, and nothing.
func (i *importer) text(p place, node ast.Node) string {
	node = i.resolve(node)
	if node == nil || node.Type() == ast.NullType {
		return ""
	}
	return i.d.scalar(node, p.at, p.field)
}

// texts returns the texts of a list.
func (i *importer) texts(p place, node ast.Node) []string {
	var texts []string
	for n, item := range i.list(node) {
		texts = append(texts, i.text(p.item(item, n), item))
	}
	return texts
}

// pairs returns the keys and values of a mapping of texts, with their places, in the file's order.
func (i *importer) pairs(p place, node ast.Node) []pair {
	var all []pair
	i.keys(p, node, func(key string, at place, value ast.Node) { all = append(all, pair{at, key, i.text(at, value)}) })
	return all
}

type pair struct {
	place
	key, value string
}

// isTrue reads a switch; what is none is noted, and false.
func (i *importer) isTrue(p place, node ast.Node) bool {
	switch text := i.text(p, node); text {
	case "true", "True", "TRUE", "yes", "on":
		return true
	case "false", "False", "FALSE", "no", "off", "":
	default:
		i.note(p, "%q is neither true nor false", text)
	}
	return false
}

// duration reads a duration into d; what is none is noted, and leaves it.
func (i *importer) duration(p place, node ast.Node, d *time.Duration) {
	if text := i.text(p, node); text != "" {
		if err := readDuration(text, d); err != nil {
			i.note(p, "%s", err.Error())
		}
	}
}
