package schemas_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/schemas"
)

func TestVersionsAreListedWithWhatWasDeletedSoftly(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	subject := schemas.Subject(topic)
	if got, err := r.Versions(ctx, subject, true); err != nil || len(got) > 0 {
		t.Errorf("before: %v %v", got, err)
	}
	older, newer := other(t, subject, `["null","int"],"default":null`), other(t, subject, `["null","int"],"default":null,"doc":"more"`)
	var want []schemas.Version
	for i, s := range []*schemas.Schema{older, newer} {
		id, err := r.Register(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, schemas.Version{Subject: subject, Number: i + 1, ID: id, Text: s.Text})
	}
	got, err := r.Versions(ctx, subject, false)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := client.DeleteSchema(ctx, subject, 2, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if got, err = r.Versions(ctx, subject, false); err != nil || len(got) != 1 {
		t.Errorf("without the deleted: %v %v", got, err)
	}
	want[1].Deleted = true
	got, err = r.Versions(ctx, subject, true)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("with the deleted: %v %s", err, diff)
	}
	subjects, err := r.Subjects(ctx)
	if err != nil || !slices.Contains(subjects, subject) || !slices.IsSorted(subjects) {
		t.Errorf("subjects %v %v, want %s among them, in order", subjects, err, subject)
	}
	if err := client.DeleteSchema(ctx, subject, 1, sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	if subjects, err = r.Subjects(ctx); err != nil || slices.Contains(subjects, subject) {
		t.Errorf("%s has no version and is listed: %v", subject, err)
	}
}

func TestASubjectsLevelIsItsOwnOrTheRegistrys(t *testing.T) {
	r, client, topic := registry(t)
	ctx := context.Background()
	subject := schemas.Subject(topic)
	check := func(when string, level schemas.Level, own bool) {
		t.Helper()
		if gotLevel, gotOwn, err := r.Level(ctx, subject); err != nil || gotLevel != level || gotOwn != own {
			t.Errorf("%s: level %s, own %v, %v; want %s, %v", when, gotLevel, gotOwn, err, level, own)
		}
	}
	global, err := schemas.ParseLevel(client.Compatibility(ctx)[0].Level.String())
	if err != nil {
		t.Fatal(err)
	}
	check("without a version", global, false)
	if _, err := r.Register(ctx, other(t, subject, `"int"`)); err != nil {
		t.Fatal(err)
	}
	check("with a version", global, false)
	for _, level := range schemas.Levels() {
		if err := r.SetLevel(ctx, subject, level); err != nil {
			t.Fatal(err)
		}
		check("set", level, true)
	}
	if err := r.SetLevel(ctx, subject, "SOME"); err == nil {
		t.Error("SOME is taken for a level")
	}
}

func TestOnlyWhatMakesASubjectSetsItsLevel(t *testing.T) {
	r, _, topic := registry(t)
	ctx := context.Background()
	subject := schemas.Subject(topic)
	level := func(want schemas.Level) {
		t.Helper()
		if got, own, err := r.Level(ctx, subject); err != nil || got != want || !own {
			t.Errorf("level %s, own %v, %v; want %s", got, own, err, want)
		}
	}
	register := func(s *schemas.Schema, at schemas.Level, want schemas.Registration) {
		t.Helper()
		got, err := r.RegisterAt(ctx, s, at)
		if want.ID == 0 {
			want.ID = got.ID
		}
		if err != nil || got != want || got.ID == 0 {
			t.Errorf("registered: %+v %v, want %+v", got, err, want)
		}
	}
	first, second := other(t, subject, `["null","int"],"default":null`), other(t, subject, `["null","int"],"default":null,"doc":"more"`)
	// Cut off between registering and setting the level.
	if _, err := r.Register(ctx, first); err != nil {
		t.Fatal(err)
	}
	register(first, schemas.LevelFull, schemas.Registration{Version: 1, FirstOfSubject: true})
	level(schemas.LevelFull)
	register(first, schemas.LevelForward, schemas.Registration{Version: 1})
	register(second, schemas.LevelForward, schemas.Registration{Version: 2, New: true})
	register(second, schemas.LevelForward, schemas.Registration{Version: 2})
	level(schemas.LevelFull)
	if _, err := r.RegisterAt(ctx, second, "SOME"); err == nil {
		t.Error("SOME is taken for a level")
	}
	subject = "new-" + subject
	register(other(t, subject, `"int"`), schemas.LevelBackward, schemas.Registration{Version: 1, New: true, FirstOfSubject: true})
	level(schemas.LevelBackward)
}
