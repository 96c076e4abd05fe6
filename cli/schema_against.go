package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"webcheck/schemas"
)

// maxSourceFiles bounds how many files of a directory are looked at: whoever gives a root by mistake should not wait for its end.
const maxSourceFiles = 100_000

// earlierSchemas are the schemas that came before, by subject, oldest first.
type earlierSchemas map[string][]schemas.Older

// of counts the earlier schemas of these, and names the subjects that have none.
func (e earlierSchemas) of(subjects []judgedSchema) (count int, without []string) {
	for _, s := range subjects {
		count += len(e[s.subject])
		if len(e[s.subject]) == 0 {
			without = append(without, s.subject)
		}
	}
	return count, without
}

// readSources reads what each --against names. No service is touched.
func readSources(c *urfave.Context) (earlierSchemas, error) {
	all := make(earlierSchemas)
	for _, source := range c.StringSlice("against") {
		read, hint := readSchemaPath, `give a directory with .avsc files, a file of "webcheck schema export", or git:REVISION`
		revision, isGit := strings.CutPrefix(source, "git:")
		if isGit {
			if revision == "" || revision[0] == '-' {
				return nil, usageError{withHint(fmt.Errorf("--against: %q names no revision", source), "examples: git:main, git:v1.2.0, git:HEAD~3")}
			}
			read, hint = readRevision, "change into a checkout of webcheck with this revision, or give a directory with its .avsc files"
		}
		found, err := read(c.Context, strings.TrimPrefix(source, "git:"))
		if err != nil {
			err = fmt.Errorf("reading the schemas of %q: %w", source, withoutPath(err))
			if hintOf(err) == "" {
				err = withHint(err, hint)
			}
			return nil, err
		}
		for subject, older := range found {
			all[subject] = append(all[subject], older...)
		}
	}
	return all, nil
}

// readSchemaPath reads a directory or an export.
func readSchemaPath(_ context.Context, name string) (earlierSchemas, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return readSchemaTree(name)
	}
	text, err := readBounded(name, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	exported, err := parseExport(text)
	if err != nil {
		return nil, err
	}
	found := exported.earlier(filepath.Base(name))
	if !slices.ContainsFunc(ownSubjects(), func(subject string) bool { return len(found[subject]) > 0 }) {
		return nil, fmt.Errorf("it has no schema for %s", strings.Join(ownSubjects(), ", "))
	}
	return found, nil
}

// readSchemaTree reads every .avsc below a directory, in the natural order of their paths.
func readSchemaTree(dir string) (earlierSchemas, error) {
	var names []string
	looked, root := 0, os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		looked++
		switch {
		case err != nil:
			return err
		case looked > maxSourceFiles:
			return fmt.Errorf("it has more than %d files", maxSourceFiles)
		case !entry.IsDir() && path.Ext(name) == ".avsc":
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return collectSchemas(names, func(name string) (string, string, error) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		text, err := readSchemaFile(file)
		return filepath.ToSlash(file), text, err
	})
}

// collectSchemas sorts schemas by their event. read gives what to call one, and its text.
func collectSchemas(names []string, read func(name string) (called, text string, err error)) (earlierSchemas, error) {
	if len(names) == 0 {
		return nil, errors.New("there is no .avsc file")
	}
	if len(names) > maxSchemaFiles {
		return nil, fmt.Errorf("it has %d .avsc files, more than %d", len(names), maxSchemaFiles)
	}
	slices.SortFunc(names, compareNatural)
	all := make(earlierSchemas)
	for _, name := range names {
		called, text, err := read(name)
		if err == nil {
			err = schemas.CheckAvro(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, withoutPath(err))
		}
		record := recordName(text)
		subject := subjectOf(record)
		if subject == "" {
			return nil, fmt.Errorf("%s has the record %q, which is no event of this build", name, record)
		}
		all[subject] = append(all[subject], schemas.Older{Name: called, Text: text})
	}
	return all, nil
}
