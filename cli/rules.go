package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// ruleKeys are the keys of a target's rules in the file, in the order of the example.
var ruleKeys = []string{"down", "up", "quorum", "flapping", "silent_after"}

// readRules reads the rules of a target; one that is not there keeps its default.
func (r *targetReader) readRules(field string, value ast.Node) {
	r.d.mapping(value, field, ruleKeys, func(key string, at *token.Token, value ast.Node) {
		before := len(r.d.faults)
		path := "rules." + key
		r.places[path] = startOf(value)
		if text := r.d.scalar(value, at, field+"."+key); len(r.d.faults) == before {
			if err := r.readRule(key, text); err != nil {
				r.d.fault(startOf(value), field+"."+key, "%s", err.Error())
			}
		}
		r.bad[path] = len(r.d.faults) > before
	})
}

// readRule leaves what is there where the text is no rule.
func (r *targetReader) readRule(key, text string) error {
	rules := &r.target.Rules
	switch key {
	case "down":
		return readCount(text, &rules.DownAfter, &rules.DownOf)
	case "up":
		return readCount(text, &rules.UpAfter, &rules.UpOf)
	case "quorum":
		if text == "majority" {
			rules.Quorum = 0
			return nil
		}
		if readNumber(text, &rules.Quorum) != nil {
			return fmt.Errorf("%q is neither majority nor a whole number", text)
		}
		return nil
	case "flapping":
		return readFlapping(text, &rules.FlapTransitions, &rules.FlapWindow)
	default:
		return readNumber(text, &rules.SilentAfter)
	}
}

func readNumber(text string, into *int) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	*into = n
	return nil
}

var countOf = regexp.MustCompile(`^(\d{1,9}) +of +(\d{1,9})$`)

// readCount reads "2 of 3".
func readCount(text string, after, of *int) error {
	found := countOf.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("%q is not a number of a number (example: 2 of 3)", text)
	}
	*after, _ = strconv.Atoi(found[1])
	*of, _ = strconv.Atoi(found[2])
	return nil
}

var countIn = regexp.MustCompile(`^(\d{1,9}) +in +(\S+)$`)

// readFlapping reads "5 in 1h".
func readFlapping(text string, transitions *int, window *time.Duration) error {
	found := countIn.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("%q is not a number in a duration (example: 5 in 1h)", text)
	}
	if err := readDuration(found[2], window); err != nil {
		return err
	}
	*transitions, _ = strconv.Atoi(found[1])
	return nil
}
