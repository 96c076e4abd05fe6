package evolve

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"webcheck/embedded/testservices/programs"
)

// TestFieldsOfEveryTypeCompileAndComeBack adds a field of each type to CheckCompleted, in a copy of this checkout, and lets the
// compiler decide whether event and row have the same; then the codec and the COPY of that copy run their own tests.
func TestFieldsOfEveryTypeCompileAndComeBack(t *testing.T) {
	programs.Need(t, "make")
	dir := t.TempDir()
	copyCheckout(t, dir)
	files := checkout(t)
	changed := make(map[string]string)
	for _, name := range Types() {
		p := mustPlan(t, files, Change{Kind: AddField, Event: "CheckCompleted", Name: "extra_" + strings.ReplaceAll(name, "-", "_"), Type: name, Doc: "An extra."})
		maps.Copy(changed, p.Files)
		files = after(files, p)
	}
	for name, text := range changed {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		{"make", "-s", "generate"},
		{"go", "test", "-run", "ReturnsWhatWasEncoded|DirectDecoding|CorpusIsRead", "./schemas"},
		{"go", "test", "-run", "EveryColumnComesBack|RowsInPlace", "./processor"},
	} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
}

// copyCheckout copies the sources of this checkout to dir.
func copyCheckout(t *testing.T, dir string) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "build"):
			return fs.SkipDir
		case name == ".git": // of a linked work tree: a copy of it would be that work tree
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), text, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNamesInGoFollowSqlc holds the initialisms of generated code, which stand in sqlc.yaml, against those of this package.
func TestNamesInGoFollowSqlc(t *testing.T) {
	config := string(checkout(t)["sqlc.yaml"].Data)
	_, list, found := strings.Cut(config, "initialisms: [")
	list, _, closed := strings.Cut(list, "]")
	if !found || !closed {
		t.Fatal("sqlc.yaml has no list of initialisms")
	}
	if got := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }); !slices.Equal(got, initialisms) {
		t.Errorf("sqlc.yaml has %v, and this package %v", got, initialisms)
	}
}
