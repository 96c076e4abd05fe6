package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// offlineLevel is the level of a comparison without a registry, and that which a new subject gets: events are kept, and a rolling
// upgrade has readers of both sides.
const offlineLevel = schemas.LevelFullTransitive

func (p *program) schemaCheckCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "check",
		Usage: "say whether the schemas may follow those that came before",
		Description: "Compares with every version that the registry has, at the subject's level; with --against no service is touched. Also holds the schemas " +
			"against webcheck's profile, and against the Go and SQL of this build. Lists every violation with its place. Ends with 0 when there is none, with 1 " +
			"when it could not check, and with 100 when there is one.\n\n" +
			"Examples:\n  webcheck schema check\n  webcheck schema check --against git:main --schemas schemas/events --format github\n" +
			"  webcheck schema check --against webcheck-1.1.json --against webcheck-1.2.json --level BACKWARD_TRANSITIVE",
		Flags: flags([]urfave.Flag{
			againstFlag(), levelFlag("instead of the subject's own; with --against instead of " + string(offlineLevel)), schemasFlag(),
			&urfave.StringFlag{Name: "format", Usage: "print violations as `FORMAT`: " + orList(checkFormats()), DefaultText: formatText},
			subjectFlag("check"),
		}, schemaSections),
		Before: noArguments, Action: p.checkSchemas,
	}
}

func (p *program) checkSchemas(c *urfave.Context) error {
	format := c.String("format")
	if !c.IsSet("format") {
		format = formatText
	} else if !slices.Contains(checkFormats(), format) {
		return usageError{fmt.Errorf("--format: %q is none of %s%s", format, strings.Join(checkFormats(), ", "), didYouMean(format, checkFormats()))}
	}
	level, err := readLevel(c)
	if err != nil {
		return err
	}
	judged, err := p.judged(c)
	if err != nil {
		return err
	}
	var before earlierSchemas
	levels := make(map[string]schemas.Level)
	if c.IsSet("against") {
		if level == "" {
			level = offlineLevel
		}
		before, err = readSources(c)
	} else {
		var registry *schemas.Registry
		if registry, err = p.reachRegistry(c); err == nil {
			before, levels, err = registered(c.Context, registry, judged)
		}
	}
	if err != nil {
		return err
	}
	v, err := judge(judged, before, func(subject string) schemas.Level {
		if level != "" {
			return level
		}
		return levels[subject]
	})
	if err != nil {
		return err
	}
	if err := newPrinter(p.Stdout, p.Env).verdict(v, format); err != nil {
		return err
	}
	return v.err()
}

// registered reads what the registry has before these schemas: every version that is not deleted, and the level of each subject. One
// that is not there yet will get offlineLevel.
func registered(ctx context.Context, registry *schemas.Registry, judged []judgedSchema) (earlierSchemas, map[string]schemas.Level, error) {
	before, err := registeredVersions(ctx, registry, judged)
	if err != nil {
		return nil, nil, err
	}
	levels := make(map[string]schemas.Level)
	for _, s := range judged {
		if levels[s.subject] = offlineLevel; len(before[s.subject]) == 0 {
			continue
		}
		if levels[s.subject], _, err = registry.Level(ctx, s.subject); err != nil {
			return nil, nil, err
		}
	}
	return before, levels, nil
}

func registeredVersions(ctx context.Context, registry *schemas.Registry, judged []judgedSchema) (earlierSchemas, error) {
	before := make(earlierSchemas)
	for _, s := range judged {
		versions, err := registry.Versions(ctx, s.subject, false)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			before[s.subject] = append(before[s.subject], schemas.Older{Name: fmt.Sprintf("version %d", v.Number), Text: v.Text})
		}
	}
	return before, nil
}

// verdict is what a check found.
type verdict struct {
	judged   []judgedSchema
	findings []schemaFinding // in the order of judged, and of their lines
	levels   map[string]schemas.Level
	older    int      // schemas that were compared with
	without  []string // subjects that have none of these
}

// schemaFinding is one violation, as JSON too.
type schemaFinding struct {
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Column  int          `json:"column"`
	Subject string       `json:"subject"`
	Field   string       `json:"field,omitempty"`
	Rule    string       `json:"rule"`
	Side    schemas.Side `json:"side,omitempty"`
	Against string       `json:"against,omitempty"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
}

// judge holds each schema against those before it, the profile, and the Go and SQL of this build.
func judge(judged []judgedSchema, before earlierSchemas, levelOf func(subject string) schemas.Level) (*verdict, error) {
	v := &verdict{judged: judged, levels: make(map[string]schemas.Level)}
	v.older, v.without = before.of(judged)
	for _, s := range judged {
		v.levels[s.subject] = levelOf(s.subject)
		found, err := schemas.Review(v.levels[s.subject], s.subject, s.text, before[s.subject])
		if err != nil {
			return nil, fmt.Errorf("checking %s: %w", s.file, err)
		}
		for _, f := range withDrift(found, drift(s)) {
			v.findings = append(v.findings, schemaFinding{s.file, f.Line, f.Column, s.subject, f.Field, f.Rule, f.Side, f.Against, f.Message, f.Hint})
		}
	}
	return v, nil
}

// withDrift adds what Go and SQL would have to follow, in the order of lines. A field that is to be written otherwise is not to be
// followed yet.
func withDrift(found, drifted []schemas.Finding) []schemas.Finding {
	unsettled := make(map[string]bool)
	for _, f := range found {
		unsettled[f.Field] = unsettled[f.Field] || f.Rule != schemas.RuleFieldWithoutDoc
	}
	for _, f := range drifted {
		if !unsettled[f.Field] {
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b schemas.Finding) int { return cmp.Compare(a.Line, b.Line) })
	return found
}

// of are the findings of one subject.
func (v *verdict) of(subject string) []schemaFinding {
	var all []schemaFinding
	for _, f := range v.findings {
		if f.Subject == subject {
			all = append(all, f)
		}
	}
	return all
}

// err is how a check with this verdict ends.
func (v *verdict) err() error {
	if len(v.findings) > 0 {
		return errIncompatible
	}
	return nil
}

// String says how many violations there are, and what was compared.
func (v *verdict) String() string {
	faulty := 0
	for _, s := range v.judged {
		if len(v.of(s.subject)) > 0 {
			faulty++
		}
	}
	text := fmt.Sprintf("no violations in %s", count(len(v.judged), "schema"))
	if faulty > 0 {
		text = fmt.Sprintf("%s in %d of %s", count(len(v.findings), "violation"), faulty, count(len(v.judged), "schema"))
	}
	var levels []string
	for _, s := range v.judged {
		if level := string(v.levels[s.subject]); !slices.Contains(levels, level) {
			levels = append(levels, level)
		}
	}
	text += fmt.Sprintf(", compared with %s at %s", count(v.older, "earlier one"), strings.Join(levels, ", "))
	if len(v.without) > 0 {
		text += "; with none for " + strings.Join(v.without, ", ")
	}
	return text
}
