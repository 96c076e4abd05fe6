package schemas

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// changelog reads CHANGELOG.md: what it says of each version, by the event's name.
func changelog(t *testing.T) map[string]map[int]string {
	t.Helper()
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^- v([1-9][0-9]*): (.+)$`)
	said, event := make(map[string]map[int]string), ""
	for at := range strings.SplitSeq(string(text), "\n") {
		if name, is := strings.CutPrefix(at, "## "); is {
			event, said[name] = name, make(map[int]string)
		}
		if m := line.FindStringSubmatch(at); m != nil {
			version, err := strconv.Atoi(m[1])
			if err != nil || event == "" || said[event][version] != "" {
				t.Fatalf("CHANGELOG.md: %q is below no event, or there twice: %v", at, err)
			}
			said[event][version] = m[2]
		}
	}
	return said
}

// faultsOfVersions lists what is wrong with the folders of dir, which are the versions of one event, and with what was said of them.
func faultsOfVersions(t *testing.T, dir string, said map[int]string) []string {
	t.Helper()
	var faults []string
	folders, err := filepath.Glob(filepath.Join(dir, "v*"))
	if err != nil {
		t.Fatal(err)
	}
	versions := make(map[int]bool)
	for _, folder := range folders {
		version, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(folder), "v"))
		if err != nil || version < 1 {
			faults = append(faults, folder+" is no version")
			continue
		}
		versions[version] = true
		faults = append(faults, faultsOfFolder(t, folder)...)
		if said[version] == "" {
			faults = append(faults, fmt.Sprintf("CHANGELOG.md says nothing of %s", folder))
		}
	}
	for version, what := range said {
		if none := strings.HasPrefix(what, "none;"); none == versions[version] {
			faults = append(faults, fmt.Sprintf("CHANGELOG.md says of v%d %q, and that %s has it is %t", version, what, dir, versions[version]))
		}
	}
	for version := range max(len(versions), len(said)) {
		if said[version+1] == "" && !versions[version+1] {
			faults = append(faults, fmt.Sprintf("%s has no v%d, and CHANGELOG.md does not say why", dir, version+1))
		}
	}
	slices.Sort(faults)
	return faults
}

// faultsOfFolder lists what a version lacks: its schema, values, or what one of them means.
func faultsOfFolder(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	has := make(map[string]bool)
	values := 0
	for _, entry := range entries {
		has[entry.Name()] = true
	}
	var faults []string
	for name := range has {
		switch ext := filepath.Ext(name); {
		case ext == ".bin":
			values++
			if !has[strings.TrimSuffix(name, ext)+".json"] {
				faults = append(faults, fmt.Sprintf("%s/%s has no .json that says what it is", folder, name))
			}
		case ext == ".json" && has[strings.TrimSuffix(name, ext)+".bin"], name == "schema.avsc":
		default:
			faults = append(faults, fmt.Sprintf("%s/%s belongs to no value", folder, name))
		}
	}
	if !has["schema.avsc"] {
		faults = append(faults, folder+" has no schema.avsc")
	}
	if values == 0 {
		faults = append(faults, folder+" has no value")
	}
	return faults
}

func TestEveryVersionHasASampleAndALineInTheChangelog(t *testing.T) {
	said := changelog(t)
	for event, dir := range corpusFolders() {
		for _, fault := range faultsOfVersions(t, dir, said[event]) {
			t.Error(fault)
		}
		delete(said, event)
	}
	for event := range said {
		t.Errorf("CHANGELOG.md speaks of %q, which has no corpus", event)
	}
}

func TestAVersionThatIsNotWholeOrNotExplainedIsFound(t *testing.T) {
	whole := func(t *testing.T) string {
		dir := t.TempDir()
		for _, name := range []string{"v1/schema.avsc", "v1/usual.bin", "v1/usual.json", "v3/schema.avsc", "v3/usual.bin", "v3/usual.json"} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	said := func() map[int]string {
		return map[int]string{1: "the first.", 2: "none; it was never registered.", 3: "more."}
	}
	if faults := faultsOfVersions(t, whole(t), said()); len(faults) > 0 {
		t.Fatalf("nothing is wrong, and found was %q", faults)
	}
	cases := map[string]struct {
		remove string // below the folder
		change func(map[int]string)
		want   string
	}{
		"no schema":        {remove: "v3/schema.avsc", want: "v3 has no schema.avsc"},
		"no value":         {remove: "v3/usual.bin", want: "v3 has no value"},
		"no meaning":       {remove: "v1/usual.json", want: "has no .json"},
		"no folder":        {remove: "v3", want: `says of v3 "more."`},
		"a gap":            {change: func(said map[int]string) { delete(said, 2) }, want: "has no v2"},
		"nothing is said":  {change: func(said map[int]string) { delete(said, 3) }, want: "says nothing of"},
		"said to be none":  {change: func(said map[int]string) { said[3] = "none; forgotten." }, want: "says of v3"},
		"a line too early": {change: func(said map[int]string) { said[4] = "soon." }, want: "says of v4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, said := whole(t), said()
			if c.remove != "" {
				if err := os.RemoveAll(filepath.Join(dir, c.remove)); err != nil {
					t.Fatal(err)
				}
			}
			if c.change != nil {
				c.change(said)
			}
			if faults := strings.Join(faultsOfVersions(t, dir, said), "\n"); !strings.Contains(faults, c.want) {
				t.Errorf("found %q, want %q", faults, c.want)
			}
		})
	}
}
