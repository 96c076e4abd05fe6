package evolve

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"webcheck/schemas"
)

// checkout is this one's sources, in memory, as far as a change reads them.
func checkout(t *testing.T) fstest.MapFS {
	t.Helper()
	files := make(fstest.MapFS)
	root := os.DirFS("../..")
	for _, dir := range []string{"queries", "schemas", "processor"} {
		err := fs.WalkDir(root, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !slices.Contains([]string{".avsc", ".sql", ".go", ".md"}, filepath.Ext(name)) {
				return err
			}
			text, err := fs.ReadFile(root, name)
			files[name] = &fstest.MapFile{Data: text}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := fs.ReadFile(root, "sqlc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files["sqlc.yaml"] = &fstest.MapFile{Data: text}
	return files
}

// after is the checkout with a plan's files, and the sample of the corpus as far as the next change reads it.
func after(files fstest.MapFS, p *Plan) fstest.MapFS {
	next := maps.Clone(files)
	for name, text := range p.Files {
		next[name] = &fstest.MapFile{Data: []byte(text)}
		if strings.HasSuffix(name, ".avsc") && !strings.Contains(strings.Join(p.Did, "\n"), " again") {
			next[sample(p)] = next[name]
		}
	}
	return next
}

// sample is the schema that the corpus has of a plan's version.
func sample(p *Plan) string {
	return fmt.Sprintf("%s/v%d/schema.avsc", events[p.Change.Event].corpus, p.Version)
}

func mustPlan(t *testing.T, files fs.FS, c Change) *Plan {
	t.Helper()
	p, err := New(files, c)
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	return p
}

// TestAFieldThatIsAddedAndRemovedLeavesOnlyItsTraces holds every list of columns: what removing does not find, or adding does twice,
// would differ.
func TestAFieldThatIsAddedAndRemovedLeavesOnlyItsTraces(t *testing.T) {
	for event := range events {
		t.Run(event, func(t *testing.T) {
			before := checkout(t)
			added := after(before, mustPlan(t, before, Change{Kind: AddField, Event: event, Name: "extra_us", Type: "long", Doc: "An extra."}))
			removed := after(added, mustPlan(t, added, Change{Kind: RemoveField, Event: event, Name: "extra_us"}))
			for name, file := range before {
				was, is := string(file.Data), string(removed[name].Data)
				if name == changelogFile {
					continue
				}
				is = strings.Replace(is, "least(kept.defined_at, excluded.defined_at)", "excluded.defined_at", 1) // which is as much
				// A list that went on in another line may end as it did there.
				if strings.Join(strings.Fields(was), " ") != strings.Join(strings.Fields(is), " ") {
					t.Errorf("%s is not what it was:\n%s", name, is)
				}
			}
		})
	}
}

func TestAChangeIsWrittenInEveryPlaceThatNamesTheColumns(t *testing.T) {
	files := checkout(t)
	p := mustPlan(t, files, Change{Kind: AddField, Event: "CheckCompleted", Name: "redirects", Type: "int", Doc: `How many <redirects> "there" were`})
	wants := map[string][]string{
		"schemas/events/CheckCompleted.avsc": {
			`"doc": "Which prober instance ran the check."},` + "\n" +
				`    {"name": "redirects", "type": ["null", "int"], "default": null, "doc": "How many <redirects> \"there\" were."}` + "\n  ]\n}\n",
		},
		"queries/checks.sql": {"$26,\n    $27\n);", "excluded.prober,\n    excluded.redirects\n)", "prober, redirects\nFROM incoming_checks", "prober, redirects\n) VALUES ("},
		"queries/verify.sql": {"definition_version, prober, redirects\nFROM checks WHERE event_id >"},
		changelogFile:        {"\n- v4: field `redirects` (int) added: How many <redirects> \"there\" were.\n\n## TargetDefined"},
		"queries/migrations/00008_checks_redirects.sql": {
			"-- +goose Up\n\n-- The field redirects of CheckCompleted:", "\nALTER TABLE checks ADD COLUMN redirects integer;\n\n-- +goose Down\nALTER TABLE checks DROP COLUMN redirects;\n",
		},
	}
	for name, texts := range wants {
		for _, text := range texts {
			if !strings.Contains(p.Files[name], text) {
				t.Errorf("%s has no %q:\n%s", name, text, p.Files[name])
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(p.Files)), slices.Sorted(maps.Keys(wants)); !slices.Equal(got, want) {
		t.Errorf("the plan has %v, want %v", got, want)
	}
	if n := strings.Count(p.Files["queries/checks.sql"], "redirects"); n != 6 {
		t.Errorf("queries/checks.sql has the column %d times, want 6", n)
	}
}

func TestADefinitionThatWasStoredWithoutAFieldIsFilled(t *testing.T) {
	files := checkout(t)
	one := after(files, mustPlan(t, files, Change{Kind: AddField, Event: "TargetDefined", Name: "region", Type: "string", Doc: "Where."}))
	two := mustPlan(t, one, Change{Kind: AddField, Event: "TargetDefined", Name: "owner", Type: "string", Doc: "Whose."})
	const want = `VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (target_id, definition_version) DO UPDATE SET defined_at = least(kept.defined_at, excluded.defined_at),
    region = coalesce(kept.region, excluded.region),
    owner = coalesce(kept.owner, excluded.owner)
WHERE excluded.defined_at < kept.defined_at
    OR kept.region IS NULL AND excluded.region IS NOT NULL
    OR kept.owner IS NULL AND excluded.owner IS NOT NULL
RETURNING xmax = 0;`
	if got := two.Files["queries/folds.sql"]; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(two.Files["processor/rebuild_follow.go"], "definition, region, owner\nFROM definitions") {
		t.Error("a rebuild does not take the columns over")
	}
}

func TestARenamedFieldKeepsItsOldColumnAndFillsTheNewOne(t *testing.T) {
	p := mustPlan(t, checkout(t), Change{Kind: RenameField, Event: "CheckCompleted", Name: "http_version", To: "protocol"})
	for name, text := range map[string]string{
		"schemas/events/CheckCompleted.avsc": `{"name": "protocol", "aliases": ["http_version"], "type": ["null", "string"]`,
		"queries/migrations/00008_checks_protocol.sql": `ALTER TABLE checks ADD COLUMN protocol text COLLATE "C";` + "\n" +
			"UPDATE checks SET protocol = http_version WHERE protocol IS NULL AND http_version IS NOT NULL;\n\n-- +goose Down\n" +
			"UPDATE checks SET http_version = protocol WHERE http_version IS NULL AND protocol IS NOT NULL;\nALTER TABLE checks DROP COLUMN protocol;",
	} {
		if !strings.Contains(p.Files[name], text) {
			t.Errorf("%s has no %q:\n%s", name, text, p.Files[name])
		}
	}
	if strings.Contains(p.Files["queries/checks.sql"], "http_version") || strings.Count(p.Files["queries/checks.sql"], "protocol") != 6 {
		t.Errorf("queries/checks.sql is\n%s", p.Files["queries/checks.sql"])
	}
}

func TestASymbolComesLast(t *testing.T) {
	p := mustPlan(t, checkout(t), Change{Kind: AddSymbol, Name: "Failure", To: "quota"})
	if got := p.Files["schemas/events/CheckCompleted.avsc"]; !strings.Contains(got, `"own_fault", "paused", "quota"], "default": "unknown"`) {
		t.Errorf("the schema is\n%s", got)
	}
	if p.Change.Event != "CheckCompleted" || len(p.Files) != 2 || !strings.Contains(strings.Join(p.Order, "\n"), `reads "unknown" instead`) {
		t.Errorf("got %+v", p)
	}
}

// TestASchemaThatIsAnEarlierOneAgainNeedsNoSample holds that a version is a text, as in a registry.
func TestASchemaThatIsAnEarlierOneAgainNeedsNoSample(t *testing.T) {
	files := checkout(t)
	one := after(files, mustPlan(t, files, Change{Kind: AddField, Event: "CheckCompleted", Name: "extra", Type: "int", Doc: "An extra."}))
	gone := mustPlan(t, one, Change{Kind: RemoveField, Event: "CheckCompleted", Name: "extra"})
	const want = "\n- field `extra` removed; its name is not used again. The schema is version 3 of the corpus again.\n"
	if got := gone.Files[changelogFile]; !strings.Contains(got, want) {
		t.Errorf("the changelog is\n%s", got)
	}
	next := mustPlan(t, after(one, gone), Change{Kind: AddField, Event: "CheckCompleted", Name: "other", Type: "int", Doc: "Another."})
	if next.Version != 5 {
		t.Errorf("the next version is %d, want 5", next.Version)
	}
}

func TestWhatWouldBreakSomebodyIsRefusedWithAReason(t *testing.T) {
	files := checkout(t)
	gone := after(files, mustPlan(t, files, Change{Kind: AddField, Event: "CheckCompleted", Name: "extra", Type: "int", Doc: "An extra."}))
	gone = after(gone, mustPlan(t, gone, Change{Kind: RemoveField, Event: "CheckCompleted", Name: "extra"}))
	edited := maps.Clone(files)
	edited["schemas/events/CheckCompleted.avsc"] = &fstest.MapFile{Data: []byte(strings.Replace(string(files["schemas/events/CheckCompleted.avsc"].Data), "Which prober", "Who", 1))}
	add := func(name, typ, doc string) Change {
		return Change{Kind: AddField, Event: "CheckCompleted", Name: name, Type: typ, Doc: doc}
	}
	cases := map[string]struct {
		files  fs.FS
		change Change
		want   string
	}{
		"an unknown type":           {files, add("redirects", "decimal", "x"), `cannot have the type "decimal"`},
		"no doc":                    {files, add("redirects", "int", " "), "nothing says what"},
		"a doc of two lines":        {files, add("redirects", "int", "a\nb"), "control characters"},
		"a name that is taken":      {files, add("prober", "int", "x"), `has a field "prober"`},
		"a name of another style":   {files, add("firstByte", "int", "x"), "is no name for a field"},
		"a name that ends in _":     {files, add("first_", "int", "x"), "is no name for a field"},
		"a reserved name":           {files, add("order", "int", "x"), "PostgreSQL reserves"},
		"a name that was removed":   {gone, add("extra", "int", "x"), "was a field of version 4 of the corpus"},
		"another column's name":     {files, Change{Kind: AddField, Event: "TargetTransitioned", Name: "number", Type: "int", Doc: "x"}, `has a column "number"`},
		"no such event":             {files, Change{Kind: AddField, Event: "CheckDone", Name: "x", Type: "int", Doc: "x"}, `there is no event "CheckDone"`},
		"no such field":             {files, Change{Kind: RemoveField, Event: "CheckCompleted", Name: "x"}, `has no field "x"`},
		"a required field less":     {files, Change{Kind: RemoveField, Event: "CheckCompleted", Name: "prober"}, "never null"},
		"a required field renamed":  {files, Change{Kind: RenameField, Event: "TargetDefined", Name: "down_of", To: "down_among"}, "never null"},
		"a rename to a taken name":  {files, Change{Kind: RenameField, Event: "CheckCompleted", Name: "dns_us", To: "tls_us"}, `has a field "tls_us"`},
		"no such enum":              {files, Change{Kind: AddSymbol, Name: "Result", To: "x"}, `no event has an enum "Result"`},
		"an enum of another event":  {files, Change{Kind: AddSymbol, Event: "TargetDefined", Name: "Failure", To: "x"}, `has no enum "Failure"`},
		"a symbol that is there":    {files, Change{Kind: AddSymbol, Name: "Failure", To: "dns"}, `has the symbol "dns"`},
		"a symbol of another style": {files, Change{Kind: AddSymbol, Name: "Failure", To: "DNS"}, "is no name for a symbol"},
		"a schema edited by hand":   {edited, add("redirects", "int", "x"), "is no version of"},
		"something else":            {fstest.MapFS{}, add("redirects", "int", "x"), "there is no schemas/events"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := New(c.files, c.change)
			refused, is := errors.AsType[*RefusedError](err)
			if !is || !strings.Contains(err.Error(), c.want) || refused.Hint() == "" {
				t.Errorf("got %+v and %v, want %q", p, err, c.want)
			}
		})
	}
}

// TestWhatTheReviewFindsIsRefused lets the review find what this package does not look for itself.
func TestWhatTheReviewFindsIsRefused(t *testing.T) {
	files := checkout(t)
	const file = "schemas/events/CheckCompleted.avsc"
	text := strings.Replace(string(files[file].Data), `"doc": "Where the prober stands."`, `"doc": ""`, 1)
	files[file] = &fstest.MapFile{Data: []byte(text)}
	files["schemas/testdata/corpus/v4/schema.avsc"] = files[file]
	_, err := New(files, Change{Kind: AddField, Event: "CheckCompleted", Name: "redirects", Type: "int", Doc: "x"})
	refused, is := errors.AsType[*ReviewError](err)
	if !is || len(refused.Findings) != 1 || refused.Findings[0].Rule != schemas.RuleFieldWithoutDoc {
		t.Errorf("got %v", err)
	}
}

// TestEveryTypeIsReadAsAFieldOfItsName holds the types against what the codec makes of them.
func TestEveryTypeIsReadAsAFieldOfItsName(t *testing.T) {
	for _, name := range Types() {
		files := checkout(t)
		p := mustPlan(t, files, Change{Kind: AddField, Event: "CheckCompleted", Name: "extra", Type: name, Doc: "An extra."})
		s, err := schemas.ParseSchema("checks-value", p.Files["schemas/events/CheckCompleted.avsc"])
		if err != nil {
			t.Fatal(err)
		}
		if f := s.Fields()[len(s.Fields())-1]; f.Name != "extra" || f.Type != name || !f.Nullable {
			t.Errorf("%s: the field is %+v", name, f)
		}
	}
}
