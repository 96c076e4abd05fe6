package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"webcheck/cli/evolve"
)

// workshopDelay is how long a program that was ended may leave others behind that still write: make does not end what it started.
const workshopDelay = 2 * time.Second

// workshop is a copy of a checkout in which a change is tried: what is made there comes to the checkout when all of it was made, so
// that not even an end by force leaves half of it.
type workshop struct {
	root, dir string
	plan      *evolve.Plan
}

// newWorkshop copies the checkout's files, with those of the plan in their places.
func newWorkshop(ctx context.Context, root string, plan *evolve.Plan) (*workshop, error) {
	dir, err := os.MkdirTemp("", "webcheck-evolve-")
	if err != nil {
		return nil, err
	}
	w := &workshop{root: root, dir: dir, plan: plan}
	if err := copyCheckout(ctx, root, dir); err != nil {
		w.close()
		return nil, err
	}
	for name, text := range plan.Files {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *workshop) close() { _ = os.RemoveAll(w.dir) }

// copyCheckout copies the files of the checkout at root to dir, but for those that git ignores.
func copyCheckout(ctx context.Context, root, dir string) error {
	listed, err := git(ctx, "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return fmt.Errorf("listing the checkout: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("copying the checkout: %w", err)
		}
	}
	return nil
}

// copyFile copies a regular file with its mode. One that is listed and gone is left out, and so is what is no file.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if os.IsNotExist(err) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := writeFile(to, content); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// make generates code, builds it, and writes the corpus's sample. Code that names a field which is gone is for a person to follow,
// and the sample too, then; of another change the build has to go through.
func (w *workshop) make(ctx context.Context) error {
	if _, err := w.run(ctx, "make", "-s", "generate"); err != nil {
		return err
	}
	sample := fmt.Sprintf("WEBCHECK_WRITE_CORPUS=v%d", w.plan.Version)
	follow := w.plan.Change.Kind == evolve.RemoveField || w.plan.Change.Kind == evolve.RenameField
	out, err := w.run(ctx, "go", "build", "-gcflags=webcheck/...=-e", "./...")
	if err == nil {
		out, err = w.run(ctx, "env", sample, "go", "test", "-count=1", "-run", "^TestCorpus", "./schemas")
		follow = follow && strings.Contains(out, "[build failed]")
	}
	if err != nil && !follow {
		return err
	}
	if err != nil {
		for line := range strings.Lines(out) {
			if strings.Contains(line, ".go:") {
				w.plan.Left = append(w.plan.Left, strings.TrimSpace(line))
			}
		}
		w.plan.Left = append(w.plan.Left, "what is behind these, and tests that name the field: go vet ./... lists them", "then the corpus's sample: "+sample+" go test ./schemas -run CorpusHas")
	}
	return w.collect()
}

// run runs a program in the workshop and gives all that it prints. Its error has the end of that, where the reason is.
func (w *workshop) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	cmd.WaitDelay = workshopDelay
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.Join(lines[max(0, len(lines)-10):], "; "))
	}
	return string(out), err
}

// collect adds to the plan what was made: the files of gen and of the corpus that the checkout has not, or not so.
func (w *workshop) collect() error {
	var made []string
	for _, dir := range []string{"gen", "schemas/testdata/corpus"} {
		err := filepath.WalkDir(filepath.Join(w.dir, dir), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(w.dir, file)
			if err != nil {
				return err
			}
			if before, err := os.ReadFile(filepath.Join(w.root, name)); err == nil && bytes.Equal(before, content) {
				return nil
			}
			made = append(made, filepath.ToSlash(name))
			w.plan.Files[filepath.ToSlash(name)] = string(content)
			return nil
		})
		if err != nil {
			return fmt.Errorf("collecting what was generated: %w", err)
		}
	}
	folders := make(map[string]int)
	for _, name := range made {
		folders[filepath.ToSlash(filepath.Dir(name))]++
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		w.plan.Did = append(w.plan.Did, fmt.Sprintf("%s: generated, %s", folder, count(folders[folder], "file")))
	}
	return nil
}

// deliver writes the plan's files to the checkout. When one cannot be written those before it are put back.
func (w *workshop) deliver() error {
	var undo []func()
	for _, name := range slices.Sorted(maps.Keys(w.plan.Files)) {
		file := filepath.Join(w.root, filepath.FromSlash(name))
		before, err := os.ReadFile(file)
		isNew := os.IsNotExist(err)
		if err == nil || isNew {
			undo = append(undo, func() {
				if isNew {
					_ = os.Remove(file)
					_ = os.Remove(filepath.Dir(file)) // the corpus's folder, when it is empty
					return
				}
				_ = os.WriteFile(file, before, 0o644)
			})
			err = writeFile(file, []byte(w.plan.Files[name]))
		}
		if err != nil {
			for _, back := range slices.Backward(undo) {
				back()
			}
			return fmt.Errorf("writing the change, of which nothing is left: %w", err)
		}
	}
	return nil
}

// checkClean refuses to write over what git cannot bring back.
func checkClean(ctx context.Context, plan *evolve.Plan) error {
	out, err := git(ctx, append([]string{"status", "--porcelain", "--untracked-files=all", "--", ":/gen", ":/schemas/testdata"}, inRoot(plan)...)...)
	if err != nil {
		return fmt.Errorf("asking git for changes: %w", err)
	}
	if len(out) == 0 {
		return nil
	}
	var dirty []string
	for line := range strings.Lines(string(out)) {
		dirty = append(dirty, strings.TrimSpace(line[min(3, len(line)):]))
	}
	return withHint(fmt.Errorf("%s: changed and not committed", strings.Join(dirty[:min(5, len(dirty))], ", ")), "commit or stash it, so that git can undo what is written over it")
}

// inRoot are the plan's files as git is asked for them from any directory.
func inRoot(plan *evolve.Plan) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(plan.Files)) {
		names = append(names, ":/"+name)
	}
	return names
}
