package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

func (p *program) schemaShowCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "show",
		Usage:     "print a schema as it is registered",
		ArgsUsage: "SUBJECT[/VERSION] | ID",
		Description: "Without a version it is the latest; the id is that in an event's header. Versions that are deleted softly are found too.\n\n" +
			"Examples:\n  webcheck schema show webcheck.checks-value\n  webcheck schema show webcheck.checks-value/1 | jq .fields[].name\n  webcheck schema show 7",
		Flags: flags([]urfave.Flag{
			&urfave.BoolFlag{Name: "build", Usage: "print this build's schema for SUBJECT, without a registry", DisableDefaultText: true},
		}, schemaSections),
		Action: p.showSchema,
	}
}

func (p *program) showSchema(c *urfave.Context) error {
	if c.NArg() != 1 {
		return usageError{withHint(errors.New("one subject or id is needed"), `"webcheck schema list" lists the subjects`)}
	}
	wanted := c.Args().First()
	if c.Bool("build") {
		n := slices.IndexFunc(builtSchemas(), func(s *schemas.Schema) bool { return s.Subject == wanted })
		if n < 0 {
			return usageError{fmt.Errorf("this build has no schema for %q%s; it has %s", wanted, didYouMean(wanted, ownSubjects()), strings.Join(ownSubjects(), ", "))}
		}
		return p.writeSchema(builtSchemas()[n].Text)
	}
	subject, number, err := parseVersion(wanted)
	if err != nil {
		return err
	}
	s, err := p.loadAndReach(c, need{registry: true})
	if err != nil {
		return err
	}
	text, err := "", error(nil)
	if subject == "" {
		text, err = textByID(c.Context, s.client, number)
	} else {
		text, err = versionText(c.Context, s.registry, subject, number)
	}
	if err != nil {
		return err
	}
	return p.writeSchema(text)
}

// parseVersion reads a subject, with a version or with 0 for the latest, or an id without a subject.
func parseVersion(text string) (subject string, number int, err error) {
	if id, err := strconv.Atoi(text); err == nil && id > 0 {
		return "", id, nil
	}
	subject, version, found := text, "", false
	if slash := strings.LastIndexByte(text, '/'); slash >= 0 {
		subject, version, found = text[:slash], text[slash+1:], true
	}
	if found && version != "latest" {
		number, err = strconv.Atoi(version)
	}
	if err != nil || number < 0 || subject == "" || found && number == 0 && version != "latest" {
		return "", 0, usageError{fmt.Errorf("%q is neither a subject with a version nor an id (examples: webcheck.checks-value/3, 7)", text)}
	}
	return subject, number, nil
}

// textByID is the text with an id, under whatever subject.
func textByID(ctx context.Context, client *sr.Client, id int) (string, error) {
	found, err := client.SchemaByID(sr.WithParams(ctx, sr.ShowDeleted), id)
	if isNotFound(err) {
		return "", withHint(fmt.Errorf("the registry has no schema with id %d", id), `"webcheck schema history SUBJECT" lists those of a subject`)
	}
	if err != nil {
		return "", fmt.Errorf("fetching schema %d: %w", id, err)
	}
	return found.Schema, nil
}

// versionText is the text of a version; 0 is the latest that is not deleted.
func versionText(ctx context.Context, registry *schemas.Registry, subject string, number int) (string, error) {
	versions, err := registry.Versions(ctx, subject, number > 0)
	switch {
	case err != nil:
		return "", err
	case len(versions) == 0:
		return "", noSubjectError(subject)
	case number == 0:
		return versions[len(versions)-1].Text, nil
	}
	var numbers []int
	for _, v := range versions {
		if v.Number == number {
			return v.Text, nil
		}
		numbers = append(numbers, v.Number)
	}
	return "", fmt.Errorf("there is no version %d of %s: it has %s", number, subject, versionsText(numbers))
}

// writeSchema writes a text for another program just as it is, and for a person so that it cannot steer the terminal.
func (p *program) writeSchema(text string) error {
	if isTerminal(p.Stdout) {
		text = printableLines(text)
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := p.Stdout.Write([]byte(text))
	return err
}
