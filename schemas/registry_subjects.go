package schemas

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
)

// Version is one version of a subject.
type Version struct {
	Subject string
	// Number counts the subject's versions from 1; numbers of versions that were deleted are not given again.
	Number int
	// ID is what values that were written with this version carry.
	ID int
	// Text is the schema as it was registered.
	Text string
	// Deleted says that it was deleted softly: no new schema is held against it, and values are still read by it.
	Deleted bool
}

// Subjects returns the names of all subjects that have a version, in order.
func (r *Registry) Subjects(ctx context.Context) ([]string, error) {
	subjects, err := r.client.Subjects(ctx)
	if err != nil {
		return nil, newRegistryError("listing the subjects%s", "", err)
	}
	// Apicurio leaves out those whose last version was deleted softly.
	all, err := r.client.Subjects(sr.WithParams(ctx, sr.ShowDeleted))
	if err != nil {
		return nil, newRegistryError("listing the subjects%s", "", err)
	}
	for _, subject := range all {
		if slices.Contains(subjects, subject) {
			continue
		}
		versions, err := r.client.SubjectVersions(ctx, subject)
		if err != nil && !saysNone(err) {
			return nil, newRegistryError("listing the versions of %q", subject, err)
		}
		if len(versions) > 0 {
			subjects = append(subjects, subject)
		}
	}
	slices.Sort(subjects)
	return subjects, nil
}

// Versions returns the versions of subject, oldest first, with those that were deleted softly if deleted is set. There
// are none when there is no such subject.
func (r *Registry) Versions(ctx context.Context, subject string, deleted bool) ([]Version, error) {
	found, err := r.versions(ctx, subject)
	if err != nil || !deleted {
		return found, err
	}
	live := make(map[int]bool, len(found))
	for _, v := range found {
		live[v.Number] = true
	}
	found, err = r.versions(sr.WithParams(ctx, sr.ShowDeleted), subject)
	for i := range found {
		found[i].Deleted = !live[found[i].Number]
	}
	return found, err
}

func (r *Registry) versions(ctx context.Context, subject string) ([]Version, error) {
	found, err := r.client.Schemas(ctx, subject)
	if saysNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, newRegistryError("listing the schemas of %q", subject, err)
	}
	versions := make([]Version, len(found))
	for i, s := range found {
		versions[i] = Version{Subject: subject, Number: s.Version, ID: s.ID, Text: s.Schema.Schema}
	}
	return versions, nil
}

// Level returns the level that new schemas of subject are held to, and whether it is the subject's own; else it is the
// registry's.
func (r *Registry) Level(ctx context.Context, subject string) (level Level, own bool, err error) {
	answer := r.client.Compatibility(ctx, subject)[0]
	own = answer.Err == nil
	if own && answer.Level == sr.CompatNone {
		// Apicurio says NONE for a subject without a level of its own, too.
		if own, err = r.hasNativeLevel(ctx, subject); err != nil {
			return "", false, err
		}
	}
	if !own && (answer.Err == nil || saysNone(answer.Err)) {
		answer = r.client.Compatibility(ctx)[0]
	}
	if answer.Err != nil {
		return "", false, newRegistryError("asking for the level of %q", subject, answer.Err)
	}
	if level, err = ParseLevel(answer.Level.String()); err != nil {
		return "", false, newRegistryError("asking for the level of %q", subject, err)
	}
	return level, own, nil
}

// SetLevel sets the level that new schemas of subject are held to. Some registries, Apicurio among them, only take one for
// a subject that has a version.
func (r *Registry) SetLevel(ctx context.Context, subject string, level Level) error {
	var l sr.CompatibilityLevel
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return err
	}
	if err := r.client.SetCompatibility(ctx, sr.SetCompatibility{Level: l}, subject)[0].Err; err != nil {
		return newRegistryError("setting the level of %q", subject, err)
	}
	if level != LevelNone {
		return nil
	}
	// Apicurio takes NONE for: as all subjects.
	if own, err := r.hasNativeLevel(ctx, subject); err != nil || own {
		return err
	}
	return r.setNativeLevel(ctx, subject, level)
}

// Registration is what registering did.
type Registration struct {
	// ID and Version that the schema has under its subject.
	ID, Version int
	// New says that it was not there before.
	New bool
	// FirstOfSubject says that it is the subject's only schema, and that the subject's level was set.
	FirstOfSubject bool
}

// RegisterAt registers s as [Registry.Register] does. Where s makes the subject, the subject gets level as its own. Called
// again after it was cut off in between, it does what is left: a subject whose only version is s, without a level of its
// own, gets it.
func (r *Registry) RegisterAt(ctx context.Context, s *Schema, level Level) (Registration, error) {
	if _, err := ParseLevel(string(level)); err != nil {
		return Registration{}, err
	}
	id, isNew, err := r.register(ctx, s)
	if err != nil {
		return Registration{}, err
	}
	versions, err := r.Versions(ctx, s.Subject, true)
	if err != nil {
		return Registration{}, err
	}
	done := Registration{ID: id, New: isNew}
	alone := true // also when those who registered it at once made more than one version of it
	for _, v := range versions {
		if v.ID == id && !v.Deleted {
			done.Version = v.Number
		}
		alone = alone && v.ID == id
	}
	if !alone {
		return done, nil
	}
	if _, own, err := r.Level(ctx, s.Subject); err != nil || own && !isNew {
		return done, err
	}
	if err := r.SetLevel(ctx, s.Subject, level); err != nil {
		return done, err
	}
	done.FirstOfSubject = true
	return done, nil
}
