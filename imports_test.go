// Package webcheck_test holds what is true of the module as a whole.
package webcheck_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed says which packages of the module each room may import, besides the standard library and libraries. Only cli, and
// what belongs to tests, imports everything.
var allowed = map[string][]string{
	"gen/event": {},
	"gen/db":    {},
	"queries":   {},
	"schemas":   {"gen/event"},
	"prober":    {"schemas", "gen/event"},
	"processor": {"schemas", "gen/event", "gen/db", "queries"},
	"status":    {"gen/db"},
	"embedded":  {"schemas"},
}

// only says which rooms may import a library or package; a room includes the folders below it.
var only = map[string][]string{
	"github.com/urfave/cli/v2":                   {"cli"},
	"github.com/jackc/pgx/v5":                    {"processor", "embedded", "cli", "gen/db"},
	"github.com/pressly/goose/v3":                {"processor"},
	"github.com/hamba/avro/v2":                   {"schemas"},
	"github.com/prometheus/client_golang":        {"prober", "processor", "cli"},
	"github.com/twmb/franz-go/plugin/kprom":      {"processor"},
	"github.com/zalando/go-keyring":              {"cli"},
	"go.etcd.io/bbolt":                           {"prober"},
	"github.com/goccy/go-yaml":                   {"cli"},
	"github.com/twmb/franz-go/pkg/kfake":         {"embedded"},
	"github.com/fergusstrange/embedded-postgres": {"embedded"},
	"flag":             {},
	"testing":          {"embedded/testservices"},
	"golang.org/x/net": {"prober"},
}

func TestImportsPointInTheDirectionOfTheData(t *testing.T) {
	seen := make(map[string]bool)
	everyImport(t, func(room, file, imported string) {
		seen[room] = true
		if ours, is := strings.CutPrefix(imported, "webcheck/"); is {
			rooms, known := allowed[room]
			if known && !slices.Contains(rooms, ours) {
				t.Errorf("%s: package %s may import %v, not %s", file, room, rooms, ours)
			}
			if !known && !within(room, "cli", "embedded/testservices") {
				t.Errorf("%s: nothing says what package %s may import", file, room)
			}
			return
		}
		for library, rooms := range only {
			if (imported == library || strings.HasPrefix(imported, library+"/")) && !within(room, rooms...) {
				t.Errorf("%s: %s may be imported by %v only", file, imported, rooms)
			}
		}
	})
	for room := range allowed {
		if room != "queries" && !seen[room] {
			t.Errorf("package %s is gone, or imports nothing", room)
		}
	}
}

// TestOnlyCliTalksToTheOperatingSystem holds that environment, arguments and exits are cli's.
func TestOnlyCliTalksToTheOperatingSystem(t *testing.T) {
	forbidden := []string{"os.Getenv", "os.LookupEnv", "os.Exit", "os.Args", "os.Stdin", "os.Stdout", "signal.Notify"}
	for file, source := range sources(t) {
		room := filepath.ToSlash(filepath.Dir(file))
		if within(room, "cli", "embedded/testservices") || strings.HasPrefix(filepath.Base(file), "postgres_") {
			continue // PostgreSQL runs under a process of its own, which is told by its environment what it is
		}
		for _, call := range forbidden {
			if strings.Contains(source, call+"(") || strings.Contains(source, call+"[") || strings.Contains(source, call+".") {
				t.Errorf("%s: %s belongs to cli", file, call)
			}
		}
	}
}

func within(room string, rooms ...string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return room == r || strings.HasPrefix(room, r+"/") })
}

// everyImport calls do for each import of each file of the module that is not a test.
func everyImport(t *testing.T, do func(room, file, imported string)) {
	t.Helper()
	for file, source := range sources(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			do(filepath.ToSlash(filepath.Dir(file)), file, imported)
		}
	}
}

// sources returns the text of each Go file of the module that is not a test, by its path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == "build": // where services that run make and remove files
			return filepath.SkipDir
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
