package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"

	"webcheck/schemas"
)

// eventsDir is where a checkout of webcheck has its schemas.
const eventsDir = "schemas/events"

// readRevision reads the schemas that a revision of the current checkout has in schemas/events.
func readRevision(ctx context.Context, revision string) (earlierSchemas, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, withHint(errors.New("git is not installed"), "install it, or give a directory with the schemas")
	}
	if _, err := git(ctx, "rev-parse", "--git-dir"); err != nil {
		if strings.Contains(err.Error(), "not a git repository") {
			err = errors.New("the working directory is not in a git checkout")
		}
		return nil, err
	}
	tree, err := git(ctx, "rev-parse", "--verify", "--quiet", revision+"^{tree}")
	if err != nil {
		return nil, withHint(fmt.Errorf("git knows no revision %q here", revision), `"git branch --all" and "git tag" list some; a shallow clone has few`)
	}
	files, err := listSchemas(ctx, strings.TrimSpace(string(tree)))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("it has no %s/*.avsc", eventsDir)
	}
	names := make([]string, 0, len(files))
	events := make(map[string]int)
	for name := range files {
		names = append(names, name)
		events[path.Base(name)]++
	}
	return collectSchemas(names, func(name string) (string, string, error) {
		text, err := git(ctx, "cat-file", "blob", files[name])
		if err == nil && len(text) > schemas.MaxSchemaBytes {
			err = fmt.Errorf("it has more than %d bytes", schemas.MaxSchemaBytes)
		}
		if events[path.Base(name)] > 1 {
			return revision + ":" + name, string(text), err
		}
		return revision, string(text), err
	})
}

// listSchemas returns the .avsc files that a tree has in schemas/events, wherever in the tree that is: object by path.
func listSchemas(ctx context.Context, tree string) (map[string]string, error) {
	listed, err := git(ctx, "ls-tree", "-r", "-z", "--full-tree", tree)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for entry := range strings.SplitSeq(string(listed), "\x00") {
		about, name, found := strings.Cut(entry, "\t")
		parts := strings.Fields(about) // mode, kind, object
		if !found || len(parts) != 3 || parts[1] != "blob" || path.Ext(name) != ".avsc" {
			continue
		}
		if dir := path.Dir(name); dir == eventsDir || strings.HasSuffix(dir, "/"+eventsDir) {
			files[name] = parts[2]
		}
	}
	return files, nil
}

// git runs one command of git that only reads, and returns what it prints, which may not be more than a configuration may be.
func git(ctx context.Context, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	var said bytes.Buffer
	command.Stderr = &said
	pipe, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting git: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting git: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(pipe, maxConfigBytes+1))
	tooLong := len(out) > maxConfigBytes
	if tooLong {
		cancel()
	}
	failure := command.Wait()
	switch {
	case tooLong:
		return nil, fmt.Errorf("git %s prints more than %d bytes", arguments[0], maxConfigBytes)
	case err != nil:
		return nil, fmt.Errorf("reading what git prints: %w", err)
	case failure != nil:
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("running git %s: %w: %s", arguments[0], failure, first)
	}
	return out, nil
}
