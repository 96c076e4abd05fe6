package schemas

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// modeTimeout bounds the end of an import that was cut off: a subject left in mode IMPORT takes no schema any more.
const modeTimeout = 10 * time.Second

// importByMode writes the missing ones of versions in mode IMPORT, subject by subject.
func (r *Registry) importByMode(ctx context.Context, versions, missing []Version) error {
	bySubject := make(map[string][]Version)
	for _, v := range versions {
		bySubject[v.Subject] = nil
	}
	for _, v := range missing {
		bySubject[v.Subject] = append(bySubject[v.Subject], v)
	}
	for _, subject := range slices.Sorted(maps.Keys(bySubject)) {
		if err := r.importSubject(ctx, subject, bySubject[subject]); err != nil {
			return err
		}
	}
	return nil
}

// importSubject writes versions of one subject, and gives the subject back the mode it had. One that is in mode IMPORT
// was left in it when an import was cut off, and is taken out of it.
func (r *Registry) importSubject(ctx context.Context, subject string, versions []Version) (err error) {
	was := r.client.Mode(ctx, subject)[0]
	if was.Err != nil && !saysNone(was.Err) {
		return newRegistryError("asking for the mode of %q", subject, was.Err)
	}
	left := was.Err == nil && was.Mode == sr.ModeImport
	if len(versions) == 0 && !left {
		return nil
	}
	if !left {
		// Without force, it would refuse a subject that has some of the versions, and remove those deleted softly.
		if err := r.client.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeImport, subject)[0].Err; err != nil {
			return newRegistryError("setting mode IMPORT for %q", subject, err)
		}
	}
	defer func() {
		if back := r.restoreMode(ctx, subject, was); err == nil {
			err = back
		}
	}()
	for _, v := range versions {
		if _, err := r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: v.Text}, v.ID, v.Number); err != nil {
			return newRegistryError("importing %s", v.name(), err)
		}
	}
	return r.deleteAsWere(ctx, versions)
}

// deleteAsWere deletes those versions softly that were.
func (r *Registry) deleteAsWere(ctx context.Context, versions []Version) error {
	for _, v := range versions {
		if !v.Deleted {
			continue
		}
		err := r.client.DeleteSchema(ctx, v.Subject, v.Number, sr.SoftDelete)
		if saysNone(err) || status(err) == http.StatusConflict {
			continue // it is already, or the look afterwards tells
		}
		if err != nil {
			return newRegistryError("deleting %s softly, as it was", v.name(), err)
		}
	}
	return nil
}

// restoreMode sets the mode that the subject had, or none of its own, even after ctx has ended.
func (r *Registry) restoreMode(ctx context.Context, subject string, was sr.ModeResult) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), modeTimeout)
	defer cancel()
	var back sr.ModeResult
	if was.Err == nil && was.Mode != sr.ModeImport {
		back = r.client.SetMode(sr.WithParams(ctx, sr.Force), was.Mode, subject)[0]
	} else {
		back = r.client.ResetMode(ctx, subject)[0]
	}
	if back.Err != nil {
		return newRegistryError("taking %q out of mode IMPORT, in which it takes no new schema", subject, back.Err)
	}
	return nil
}
