package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"webcheck/schemas"
)

// changedEvent is this build's schema of a topic with each old text replaced by the new one.
func changedEvent(t *testing.T, subject string, oldnew ...string) judgedSchema {
	t.Helper()
	n := slices.IndexFunc(builtSchemas(), func(s *schemas.Schema) bool { return s.Subject == subject })
	s := builtSchemas()[n]
	text := s.Text
	for i := 0; i < len(oldnew); i += 2 {
		if strings.Count(text, oldnew[i]) != 1 {
			t.Fatalf("%q is not once in the schema", oldnew[i])
		}
		text = strings.Replace(text, oldnew[i], oldnew[i+1], 1)
	}
	return judgedSchema{subject, s.Name(), eventFile(s.Name()), text}
}

func TestTheBuildsOwnSchemasStructsAndRowsAgree(t *testing.T) {
	for _, s := range builtSchemas() {
		if found := drift(judgedSchema{s.Subject, s.Name(), eventFile(s.Name()), s.Text}); len(found) > 0 {
			t.Errorf("%s: %+v", s.Subject, found)
		}
		words, known := vocabularies()[s.Name()]
		if !known || len(words.rows) == 0 {
			t.Errorf("%s: nothing says what has to follow it", s.Name())
		}
	}
}

// TestAChangedSchemaSaysWhatGoAndSQLHaveToFollow changes the schemas in each way that a struct or a row can miss.
func TestAChangedSchemaSaysWhatGoAndSQLHaveToFollow(t *testing.T) {
	const checks, attempts = "webcheck.checks-value", `{"name": "attempts", "type": "int"`
	for name, test := range map[string]struct {
		schema judgedSchema
		want   []string // rule, field and a part of message or hint, in the order found
	}{
		"a new field": {
			changedEvent(t, checks, attempts, `{"name": "region", "type": ["null", "string"], "default": null, "doc": "R."}, `+attempts),
			[]string{
				`not_in_go region: this build's event.CheckCompleted has no such field; run "make generate", and build again`,
				`not_in_sql region: the table checks has no such column; ` +
					`in a new file of queries/migrations: ALTER TABLE checks ADD COLUMN region text COLLATE "C"; ` +
					`then name the column in CopyChecks, CopyIncomingChecks and MergeIncomingChecks of queries/checks.sql, in the place that it has in the schema, and run "make generate"`,
			},
		},
		"a new field without letters of its own": {
			changedEvent(t, "webcheck.transitions-value", `{"name": "flapping"`, `{"name": "order", "type": ["null", "int"], "default": null, "doc": "R."}, {"name": "flapping"`),
			[]string{`not_in_go order`, `not_in_sql order: the table outbox has no such column; in a new file of queries/migrations: ALTER TABLE outbox ADD COLUMN "order" integer; `},
		},
		"another type": {
			changedEvent(t, checks, attempts, `{"name": "attempts", "type": "long"`),
			[]string{
				`other_type_in_go attempts: this build's event.CheckCompleted has the type int32, and int64 is expected`,
				`other_type_in_sql attempts: the column of checks has the type int32 in Go, and int64 is expected; in a new file of queries/migrations: ALTER TABLE checks ALTER COLUMN attempts TYPE bigint;`,
			},
		},
		"null where there was none": {
			changedEvent(t, checks, attempts, `{"name": "attempts", "type": ["null", "int"], "default": null`),
			[]string{`other_type_in_go attempts`, `other_type_in_sql attempts: the column of checks has the type int32 in Go, and *int32 is expected; in a new file of queries/migrations: ALTER TABLE checks ALTER COLUMN attempts DROP NOT NULL;`},
		},
		"a new name": {
			changedEvent(t, checks, attempts, `{"name": "tries", "aliases": ["attempts"], "type": "int"`),
			[]string{`not_in_go tries`, `not_in_sql tries: the table checks has no such column, but attempts, the field's old name; in a new file of queries/migrations: ALTER TABLE checks ADD COLUMN tries integer; UPDATE checks SET tries = attempts; then name it in place of attempts in CopyChecks`},
		},
		"another order": {
			changedEvent(t, checks, ",\n    {\"name\": \"prober\", \"type\": \"string\", \"doc\": \"Which prober instance ran the check.\"}", "",
				`{"name": "event_id"`, `{"name": "prober", "type": "string"}, {"name": "event_id"`),
			[]string{`other_order prober: this build's event.CheckCompleted has "event_id" here; put the columns of CopyChecks, CopyIncomingChecks and MergeIncomingChecks of queries/checks.sql into the order`},
		},
	} {
		var got []string
		for _, f := range drift(test.schema) {
			got = append(got, fmt.Sprintf("%s %s: %s; %s", f.Rule, f.Field, f.Message, f.Hint))
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
			continue
		}
		for n := range got {
			if !strings.Contains(got[n], test.want[n]) {
				t.Errorf("%s: got %q, want %q", name, got[n], test.want[n])
			}
		}
	}
}

func TestAFieldThatIsGoneIsSaid(t *testing.T) {
	gone := changedEvent(t, "webcheck.checks-value", `    {"name": "location", "type": "string", "doc": "Where the prober stands."},`, "")
	found := drift(gone)
	if len(found) != 1 || found[0].Rule != ruleNotInSchema || !strings.Contains(found[0].Message, `has the field "location", which is not in the schema`) {
		t.Errorf("got %+v", found)
	}
}
