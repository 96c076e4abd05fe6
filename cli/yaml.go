package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// document is what a configuration file says, each value still as text and with its place.
type document struct {
	file    string
	values  map[string]located // by the setting's path
	targets []ast.Node
	pieces  []piece // of the list of targets, where the file is long; then targets is empty
	whole   []byte
	faults  []Fault
	bad     map[string]bool // paths of settings that are there, but unreadable
}

// located is a value as text and its place as file:line:column.
type located struct{ text, where string }

// readDocument reads the text of a configuration file. It never fails: what it does not understand is in faults.
func readDocument(file string, text []byte) *document {
	d := &document{file: file, values: make(map[string]located), bad: make(map[string]bool)}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // editors on Windows begin a file with it
	if len(text) < piecedFrom {
		d.read(text)
		return d
	}
	left, pieces := cutTargets(text, pieceBytes)
	d.read(left)
	if len(d.faults) > 0 && len(pieces) > 0 {
		return readWhole(file, text)
	}
	d.pieces, d.whole = pieces, text
	return d
}

// readWhole is readDocument at once, however long the file is.
func readWhole(file string, text []byte) *document {
	d := &document{file: file, values: make(map[string]located), bad: make(map[string]bool)}
	d.read(text)
	return d
}

// read reads a file's text.
func (d *document) read(text []byte) {
	if problem := unreadable(text); problem != "" {
		d.faults = append(d.faults, Fault{Where: d.file, Message: problem})
		return
	}
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntaxFault(err)
		return
	}
	if len(parsed.Docs) > 1 && parsed.Docs[1].Body != nil {
		d.fault(startOf(parsed.Docs[1].Body), "", "a second document; one file is one configuration")
	}
	if len(parsed.Docs) > 0 && parsed.Docs[0].Body != nil {
		d.section(parsed.Docs[0].Body, "")
	}
}

// maxBrackets is how many brackets may stand open at once. The settings need three; the parser's time grows with the square.
const maxBrackets = 100

// unreadable says why the parser is not even asked; empty when it is.
func unreadable(text []byte) string {
	if !utf8.Valid(text) {
		return "is not UTF-8 text"
	}
	open := 0
	for line := range bytes.Lines(text) {
		// A line that begins with a word or a dash is outside of all brackets, save those that a text holds.
		if begin := bytes.TrimLeft(line, " "); len(begin) > 0 && !bytes.ContainsAny(begin[:1], "[]{}") {
			open = 0
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open--
			}
			if open > maxBrackets {
				return fmt.Sprintf("has more than %d brackets open at once", maxBrackets)
			}
		}
	}
	return ""
}

func (d *document) syntaxFault(err error) {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		d.fault(syntax.GetToken(), "", "%s", syntax.GetMessage())
		return
	}
	d.faults = append(d.faults, Fault{Where: d.file, Message: "reading YAML: " + err.Error()})
}

func (d *document) fault(at *token.Token, field, message string, arguments ...any) {
	d.faults = append(d.faults, Fault{Where: d.where(at), Field: field, Message: fmt.Sprintf(message, arguments...)})
}

func (d *document) where(at *token.Token) string {
	if at == nil || at.Position == nil {
		return d.file
	}
	return fmt.Sprintf("%s:%d:%d", d.file, at.Position.Line, at.Position.Column)
}

// section reads the mapping at node, whose keys are the next parts of the settings' paths that begin with prefix.
func (d *document) section(node ast.Node, prefix string) {
	known := keysUnder(prefix)
	d.mapping(node, strings.TrimSuffix(prefix, "."), known, func(key string, at *token.Token, value ast.Node) {
		path := prefix + key
		switch {
		case path == "targets":
			d.targetList(value)
		case slices.ContainsFunc(Settings(), func(s Setting) bool { return s.Path == path }):
			d.value(value, at, path)
		default:
			d.section(value, path+".")
		}
	})
}

// keysUnder returns the keys a file may have in the section with this prefix.
func keysUnder(prefix string) []string {
	var keys []string
	for _, s := range Settings() {
		if rest, found := strings.CutPrefix(s.Path, prefix); found {
			key, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if prefix == "" {
		keys = append(keys, "targets")
	}
	return keys
}

// mapping calls each for every key of node that is known and not there twice; known nil knows all keys. An empty value, as
// a section has whose keys are all commented out, is an empty mapping.
func (d *document) mapping(node ast.Node, field string, known []string, each func(key string, at *token.Token, value ast.Node)) {
	if node.Type() == ast.NullType {
		return
	}
	pairs, is := node.(ast.MapNode)
	if !is || describe(node) != "keys with values" {
		d.fault(startOf(node), field, "is %s, and should be keys with values", describe(node))
		return
	}
	first := make(map[string]*token.Token)
	for entries := pairs.MapRange(); entries.Next(); {
		at := entries.Key().GetToken()
		key := at.Value
		path := strings.TrimPrefix(field+"."+key, ".")
		before, twice := first[key]
		switch {
		case entries.Key().IsMergeKey():
			d.fault(at, field, "merge keys are not read; write the keys out")
		case known != nil && !slices.Contains(known, key):
			d.fault(at, path, "is no setting%s", didYouMean(key, known))
		case twice:
			d.fault(at, path, "is there twice; first on line %d", before.Position.Line)
		default:
			first[key] = at
			each(key, at, entries.Value())
		}
	}
}

// value stores the scalar or the list of scalars at node under path.
func (d *document) value(node ast.Node, at *token.Token, path string) {
	before := len(d.faults)
	text := ""
	if list, is := node.(*ast.SequenceNode); is {
		text = strings.Join(d.listOf(list, path), ",")
	} else {
		text = d.scalar(node, at, path)
	}
	if len(d.faults) > before {
		d.bad[path] = true
		return
	}
	d.values[path] = located{text, d.where(startOf(node))}
}

// listOf returns the texts of a list of scalars, where the setting is a list.
func (d *document) listOf(list *ast.SequenceNode, path string) []string {
	isList := false
	for _, s := range Settings() {
		if _, is := s.field(new(Config)).(*[]string); is && s.Path == path {
			isList = true
		}
	}
	if !isList {
		d.fault(startOf(list), path, "is a list, and should be one value")
		return nil
	}
	texts := make([]string, len(list.Values))
	for i, item := range list.Values {
		texts[i] = d.scalar(item, startOf(item), fmt.Sprintf("%s[%d]", path, i))
	}
	return texts
}

// scalar returns the text of a scalar; at is the place of its key, where the value is missing.
func (d *document) scalar(node ast.Node, at *token.Token, field string) string {
	switch node := node.(type) {
	case *ast.NullNode:
		d.fault(at, field, "has no value")
		return ""
	case *ast.StringNode:
		return node.Value
	case *ast.LiteralNode:
		return node.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value
	}
	d.fault(startOf(node), field, "is %s, and should be one value", describe(node))
	return ""
}

// startOf returns the token where a person sees node begin; a mapping's own token is the colon after its first key.
func startOf(node ast.Node) *token.Token {
	switch node := node.(type) {
	case *ast.MappingNode:
		if !node.IsFlowStyle && len(node.Values) > 0 {
			return node.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return node.Key.GetToken()
	}
	return node.GetToken()
}

// describe names what stands at node, for a sentence.
func describe(node ast.Node) string {
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys with values"
	case ast.SequenceType:
		return "a list"
	case ast.AnchorType:
		return "an anchor (&), which is not read here"
	case ast.AliasType:
		return "an alias (*), which is not read here"
	case ast.TagType:
		return "a tag (!), which is not read here"
	case ast.NullType:
		return "nothing"
	}
	return "one value"
}

// targetList keeps the nodes of the list of targets.
func (d *document) targetList(node ast.Node) {
	switch node := node.(type) {
	case *ast.NullNode:
	case *ast.SequenceNode:
		d.targets = node.Values
	default:
		d.fault(startOf(node), "targets", "is %s, and should be a list", describe(node))
	}
}

// sortFaults puts faults of files first, in the order of the lines, so that a person mends from the top.
func sortFaults(faults []Fault) {
	place := func(f Fault) (line, column int) {
		parts := strings.Split(f.Where, ":")
		if len(parts) >= 3 {
			_, _ = fmt.Sscan(parts[len(parts)-2], &line)
			_, _ = fmt.Sscan(parts[len(parts)-1], &column)
		}
		return line, column
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		lineA, columnA := place(a)
		lineB, columnB := place(b)
		return cmp.Or(cmp.Compare(lineA, lineB), cmp.Compare(columnA, columnB), strings.Compare(a.Where, b.Where), strings.Compare(a.Field, b.Field))
	})
}
