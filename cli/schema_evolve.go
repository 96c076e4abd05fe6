package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/cli/evolve"
)

// changeFlags are the changes that there are, one of which a call makes.
var changeFlags = []string{"add-field", "remove-field", "rename-field", "add-symbol"}

func (p *program) schemaEvolveCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "evolve",
		Usage: "write a change of an event into a checkout of webcheck, for you to review",
		Description: "Writes all of the change: the .avsc, a migration, the SQL that names the columns, generated code, a sample for the corpus and a line of " +
			"schemas/CHANGELOG.md; says what is left for you, and in which order to deploy it. It makes one change a call, in the working directory's checkout, and " +
			"refuses one that \"webcheck schema check\" would refuse. When anything fails nothing is written. To undo it: git checkout . && git clean -fd\n\n" +
			"Types: " + strings.Join(evolve.Types(), ", ") + "\n\n" +
			"Examples:\n  webcheck schema evolve --add-field redirects:int --doc \"How many redirects were followed.\"\n" +
			"  webcheck schema evolve --rename-field http_version:protocol\n  webcheck schema evolve --add-symbol Failure.quota",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "add-field", Usage: "add a field that may be null: `NAME:TYPE`"},
			&urfave.StringFlag{Name: "remove-field", Usage: "remove the field `NAME`"},
			&urfave.StringFlag{Name: "rename-field", Usage: "rename a field by an alias: `OLD:NEW`"},
			&urfave.StringFlag{Name: "add-symbol", Usage: "add a symbol to an enum: `ENUM.SYMBOL`"},
			&urfave.StringFlag{Name: "doc", Usage: "what the new field is, as a `SENTENCE` for people"},
			&urfave.StringFlag{Name: "event", Usage: "change `EVENT`: CheckCompleted, TargetDefined or TargetTransitioned", DefaultText: "CheckCompleted; that with the enum"},
		},
		Before: noArguments, Action: p.evolveSchema,
	}
}

func (p *program) evolveSchema(c *urfave.Context) error {
	change, err := readChange(c)
	if err != nil {
		return err
	}
	root, err := checkoutRoot(c)
	if err != nil {
		return err
	}
	if change.Kind == evolve.AddField && !c.IsSet("doc") && isTerminal(p.Stdin) {
		if change.Doc, err = p.answer(fmt.Sprintf("What is %s, in which unit, and when is it null? ", change.Name), "nothing is changed", ""); err != nil {
			return err
		}
	}
	plan, err := evolve.New(os.DirFS(root), change)
	if refused, is := errors.AsType[*evolve.ReviewError](err); is {
		out := newPrinter(p.Stdout, p.Env)
		for _, f := range refused.Findings {
			out.violation(schemaFinding{refused.File, f.Line, f.Column, refused.Subject, f.Field, f.Rule, f.Side, f.Against, f.Message, f.Hint})
		}
		return errIncompatible
	}
	if err != nil {
		return err
	}
	if err := checkClean(c.Context, plan); err != nil {
		return err
	}
	w, err := newWorkshop(c.Context, root, plan)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.make(c.Context); err != nil {
		return withHint(fmt.Errorf("nothing is changed: %w", err), "the checkout has to build before it is changed: make generate && go build ./...")
	}
	if err := w.deliver(); err != nil {
		return err
	}
	newPrinter(p.Stdout, p.Env).evolved(plan)
	return nil
}

// evolved writes what was done, what is left and how to deploy it.
func (p *printer) evolved(plan *evolve.Plan) {
	for line := range strings.Lines(plan.Text()) {
		p.printf("%s", printable(strings.TrimSuffix(line, "\n")))
	}
}

// readChange reads which change is wanted.
func readChange(c *urfave.Context) (evolve.Change, error) {
	var given []string
	for _, name := range changeFlags {
		if c.IsSet(name) {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		return evolve.Change{}, usageError{withHint(fmt.Errorf("one of --%s is needed, not %d of them", strings.Join(changeFlags, ", --"), len(given)),
			"make one change, review and commit it, then the next")}
	}
	kind := evolve.Kind(slices.Index(changeFlags, given[0]))
	forms := []struct{ separator, form string }{{":", "NAME:TYPE"}, {"", "NAME"}, {":", "OLD:NEW"}, {".", "ENUM.SYMBOL"}}
	name, to := c.String(given[0]), ""
	if separator := forms[kind].separator; separator != "" {
		name, to, _ = strings.Cut(name, separator)
	}
	change := evolve.Change{Kind: kind, Event: strings.TrimPrefix(c.String("event"), "webcheck."), Name: name, To: to, Doc: c.String("doc")}
	if kind == evolve.AddField {
		change.Type, change.To = to, ""
	}
	if name == "" || to == "" && forms[kind].separator != "" {
		return change, usageError{fmt.Errorf("--%s: %q is not %s", given[0], c.String(given[0]), forms[kind].form)}
	}
	if c.IsSet("doc") && kind != evolve.AddField {
		return change, usageError{fmt.Errorf("--doc is for --add-field alone")}
	}
	if change.Event == "" && kind != evolve.AddSymbol {
		change.Event = "CheckCompleted"
	}
	return change, nil
}

// checkoutRoot finds the checkout of webcheck that the working directory is in.
func checkoutRoot(c *urfave.Context) (string, error) {
	const hint = "change into a git checkout of webcheck's sources"
	out, err := git(c.Context, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", withHint(errors.New("the working directory is in no git checkout"), hint)
	}
	root := strings.TrimSuffix(string(out), "\n")
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.HasPrefix(string(module), "module webcheck\n") {
		return "", withHint(fmt.Errorf("%q is no checkout of webcheck", root), hint)
	}
	return root, nil
}
