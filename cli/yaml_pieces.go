package cli

import (
	"bytes"
	"errors"
	"regexp"
	"runtime"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"golang.org/x/sync/errgroup"

	"webcheck/prober"
)

const (
	// piecedFrom is the size from which a file is read in pieces: the parser takes half a second and 100 MiB for each megabyte.
	piecedFrom = 256 << 10
	// pieceBytes is the least size of a piece: the time that the parser takes for a byte grows with it, and so does the memory.
	pieceBytes = 4 << 10
)

// piece is some items of a file's list of targets.
type piece struct {
	text  []byte
	items int
}

var targetsLine = regexp.MustCompile(`(?m)^targets:[ \t]*(?:#.*)?\r?$`)

// cutTargets cuts the items of the list of targets out of a file, in pieces of at least so many bytes. What is left has its lines
// where they were. It finds nothing in a file that is not laid out as usual, with a list in a block: such a file is read as a whole.
func cutTargets(text []byte, least int) (left []byte, pieces []piece) {
	found := targetsLine.FindIndex(text)
	if found == nil {
		return text, nil
	}
	start := min(found[1]+1, len(text))
	end, indent := start, -1
	var now piece
	for line := range bytes.Lines(text[start:]) {
		content := bytes.TrimLeft(line, " ")
		depth, bare := len(line)-len(content), bytes.TrimSpace(content)
		if len(bare) > 0 && bare[0] != '#' {
			isItem := bytes.HasPrefix(content, []byte("- ")) || len(bare) == 1 && bare[0] == '-'
			if indent < 0 && isItem {
				indent = depth
			}
			if indent < 0 || depth < indent || depth == indent && !isItem {
				break
			}
			if depth == indent {
				if len(now.text) >= least {
					pieces = append(pieces, now)
					now = piece{}
				}
				now.items++
			}
		}
		end += len(line)
		now.text = text[end-len(now.text)-len(line) : end]
	}
	if indent < 0 {
		return text, nil
	}
	pieces = append(pieces, now)
	left = append(left, text[:start]...)
	if end < len(text) {
		left = append(left, bytes.Repeat([]byte{'\n'}, bytes.Count(text[start:end], []byte{'\n'}))...)
	}
	return append(left, text[end:]...), pieces
}

// readPieces reads the targets of all pieces, or finds that there is a fault: then the file has to be read as a whole, for nobody can
// say what a piece of it means.
func readPieces(pieces []piece) (targets []prober.Target, ok bool) {
	read := make([][]prober.Target, len(pieces))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n, p := range pieces {
		group.Go(func() error {
			var err error
			read[n], err = p.read()
			return err
		})
	}
	if group.Wait() != nil {
		return nil, false
	}
	taken := make(map[string]bool)
	for _, some := range read {
		for _, t := range some {
			if taken[t.ID] {
				return nil, false
			}
			taken[t.ID] = true
		}
		targets = append(targets, some...)
	}
	return targets, true
}

// read reads the targets of one piece.
func (p piece) read() ([]prober.Target, error) {
	if unreadable(p.text) != "" {
		return nil, errWhole
	}
	parsed, err := parser.ParseBytes(p.text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	list, is := (*ast.SequenceNode)(nil), false
	if len(parsed.Docs) == 1 {
		list, is = parsed.Docs[0].Body.(*ast.SequenceNode)
	}
	if !is || len(list.Values) != p.items {
		return nil, errWhole
	}
	d := &document{targets: list.Values}
	targets, faults := readTargets(d)
	if len(faults) > 0 {
		return nil, errWhole
	}
	return targets, nil
}

// errWhole says that a file has to be read as a whole.
var errWhole = errors.New("not to be read in pieces")
