package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	urfave "github.com/urfave/cli/v2"

	"webcheck/processor"
)

// replayRules says what the rules of a file would have made of the checks that are stored, and writes nothing.
func (p *program) replayRules(c *urfave.Context) error {
	question, err := rulesQuestion(c, time.Now())
	if err != nil {
		return err
	}
	line := p.showProgress()
	defer line.clear()
	s, err := p.loadAndReach(c, need{postgres: true})
	if err != nil {
		return err
	}
	defer s.close()
	out := newPrinter(p.Stdout, p.Env)
	report := &rulesReport{file: c.String("rules"), asked: len(question.Rules), list: []processor.WhatIfTarget{}}
	tally, err := processor.WhatIf(c.Context, s.pool, question, func(t processor.WhatIfTarget) {
		report.add(t, c.Bool("json"))
		line.show(time.Now(), fmt.Sprintf("%d of %s", report.targets, count(report.asked, "target")))
		if t.Differs() && !c.Bool("json") {
			line.clear()
			out.whatIf(t)
		}
	})
	line.clear()
	if err != nil {
		return err
	}
	report.unchecked = tally.Unchecked
	if !c.IsSet("target") {
		report.others = tally.Others
	}
	if c.Bool("json") {
		return out.json(report.json())
	}
	out.whatIfs(report)
	return nil
}

// rulesQuestion reads the flags and the file of a question about other rules.
func rulesQuestion(c *urfave.Context, now time.Time) (q processor.WhatIfQuestion, err error) {
	for _, other := range slices.Concat([]string{"partition", "dry-run", "resume", "abandon", "reposition", "rebuild"}, rebuildFlags) {
		if c.IsSet(other) {
			return q, usageError{fmt.Errorf("--%s does not go with --rules", other)}
		}
	}
	if q.From, err = slotBound(c, "from", "start", now); err != nil {
		return q, err
	}
	if q.To, err = slotBound(c, "to", "end", now); err != nil {
		return q, err
	}
	if c.IsSet("from") && c.IsSet("to") && !q.To.IsZero() && !q.From.Before(q.To) {
		return q, usageError{fmt.Errorf("there is nothing between --from %s and --to %s", c.String("from"), c.String("to"))}
	}
	file := c.String("rules")
	if q.Rules, err = readRulesFile(file); err != nil {
		return q, err
	}
	if !c.IsSet("target") {
		return q, nil
	}
	id := c.String("target")
	rules, found := q.Rules[id]
	if !found {
		ids := slices.Sorted(maps.Keys(q.Rules))
		return q, usageError{fmt.Errorf("--target: %q is no target of %s%s", id, file, didYouMean(id, ids))}
	}
	q.Rules = map[string]processor.Rules{id: rules}
	return q, nil
}

// slotBound reads a moment of slots; the word that stands for no bound gives the zero time.
func slotBound(c *urfave.Context, name, none string, now time.Time) (time.Time, error) {
	text := c.String(name)
	if !c.IsSet(name) || text == none {
		return time.Time{}, nil
	}
	bound, err := parseBound(text, now)
	if err != nil || bound.at == nil || bound.at.Before(time.UnixMilli(1)) {
		return time.Time{}, usageError{fmt.Errorf("--%s: %q is neither %s, a time (2026-11-25T08:00:00Z), a date (2026-11-25) nor how long ago (2h, 3d), as --rules takes them", name, text, none)}
	}
	return *bound.at, nil
}

// readRulesFile reads the rules of each target of a configuration file. All of the file has to be known; what its settings and its
// targets say besides rules is not used. The error is a *ConfigError with every fault, or a usage error.
func readRulesFile(file string) (map[string]processor.Rules, error) {
	text, err := readBounded(file, maxConfigBytes)
	if err != nil {
		return nil, usageError{fmt.Errorf("reading the rules %q: %w", file, withoutPath(err))}
	}
	doc := readDocument(file, text)
	faults := doc.faults
	targets, targetFaults := readTargets(doc)
	if faults = append(faults, targetFaults...); len(faults) > 0 {
		sortFaults(faults)
		for i := range faults {
			if slices.Contains(append(slices.Clone(ruleKeys), "rules"), faults[i].Field) {
				faults[i].Hint = rulesShape
			}
		}
		return nil, &ConfigError{faults}
	}
	if len(targets) == 0 {
		return nil, usageError{withHint(fmt.Errorf("there is no target in %q", file), rulesShape)}
	}
	rules := make(map[string]processor.Rules, len(targets))
	for _, t := range targets {
		rules[t.ID] = processor.Rules(t.Rules)
	}
	return rules, nil
}

// rulesShape is the hint for a file whose rules are not those of a target.
const rulesShape = `rules belong to a target, as in webcheck.yaml: "targets: [{id: login, url: https://example.com, rules: {down: 3 of 5}}]"`
