package cli

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaRegisterCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "register",
		Usage: "register this build's schemas, if they may follow those that are there",
		Description: "Registers each file's own text; one that is there already stays as it is, so it may be run again. What \"webcheck schema check\" refuses " +
			"is not registered, nor anything else then, and it ends with 100. A subject that is new gets a level of its own.\n\n" +
			"Examples:\n  webcheck schema register --registry-url http://registry:8081\n  webcheck schema register --dry-run --subject webcheck.checks-value",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would be registered", DisableDefaultText: true},
			subjectFlag("register"), levelFlag("of a subject that is new (default: " + string(offlineLevel) + ")"),
		}, schemaSections),
		Before: noArguments, Action: p.registerSchemas,
	}
}

func (p *program) registerSchemas(c *urfave.Context) error {
	level, err := readLevel(c)
	if err != nil {
		return err
	}
	if level == "" {
		level = offlineLevel
	}
	judged, err := p.judged(c)
	if err != nil {
		return err
	}
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	before, levels, err := registered(c.Context, s.registry, judged)
	if err != nil {
		return err
	}
	v, err := judge(judged, before, func(subject string) schemas.Level {
		if len(before[subject]) == 0 {
			return level
		}
		return levels[subject]
	})
	if err != nil {
		return err
	}
	out := newPrinter(p.Stdout, p.Env)
	if len(v.findings) > 0 {
		if err := out.verdict(v, formatText); err != nil {
			return err
		}
		return v.err()
	}
	for _, one := range judged {
		if err := p.registerSchema(c.Context, s.registry, one, level, c.Bool("dry-run"), out); err != nil {
			return err
		}
	}
	return nil
}

// registerSchema registers one schema and prints what came of it.
func (p *program) registerSchema(ctx context.Context, registry *schemas.Registry, s judgedSchema, level schemas.Level, dry bool, out *printer) error {
	schema, err := schemas.ParseSchema(s.subject, s.text)
	if err != nil {
		return err
	}
	if dry {
		return p.tryRegister(ctx, registry, schema, out)
	}
	done, err := registry.RegisterAt(ctx, schema, level)
	if refusal, is := errors.AsType[*schemas.IncompatibleError](err); is {
		// Somebody was faster, or the registry has a rule of its own.
		for _, message := range refusal.Messages {
			out.violation(schemaFinding{File: s.file, Rule: "refused by the registry", Message: message})
		}
		return errIncompatible
	}
	if err != nil {
		return err
	}
	news := "was there"
	if done.New {
		news = "new"
	}
	if done.FirstOfSubject {
		news += fmt.Sprintf(", the first of its subject, which is at %s now", level)
	}
	out.registered(s.subject, done.Version, done.ID, news)
	return nil
}

// tryRegister says what registering would do.
func (p *program) tryRegister(ctx context.Context, registry *schemas.Registry, schema *schemas.Schema, out *printer) error {
	id, err := registry.LookUp(ctx, schema)
	if errors.Is(err, schemas.ErrNotRegistered) {
		out.printf("%-27s  would be registered", printable(schema.Subject))
		return nil
	}
	if err != nil {
		return err
	}
	versions, err := registry.Versions(ctx, schema.Subject, false)
	if err != nil {
		return err
	}
	out.registered(schema.Subject, numberOf(versions, id), id, "was there")
	return nil
}

// numberOf is the last of the versions that has this id; 0 when none has.
func numberOf(versions []schemas.Version, id int) int {
	number := 0
	for _, v := range versions {
		if v.ID == id {
			number = v.Number
		}
	}
	return number
}

// registered writes where a schema is.
func (p *printer) registered(subject string, version, id int, news string) {
	p.printf("%-27s  version %d  id %d  %s", printable(subject), version, id, news)
}
