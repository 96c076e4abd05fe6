package schemas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// name names the version for people.
func (v Version) name() string { return fmt.Sprintf("%s version %d", v.Subject, v.Number) }

// Import writes versions into the registry under their own ids and numbers, so that values on the log keep their meaning.
// Versions that are there already are passed over: an import may be run again. Where the registry has another schema with
// one of the ids, or another version in one's place, it writes nothing and returns a [*TakenError]; when it is cut off in
// between, an [*ImportError] says what was written. Levels are not touched, and no version is held against another.
//
// Confluent's registry, and webcheck's own, are written to in mode IMPORT, for each subject, which has the mode that it
// had before at the end. Apicurio has no such mode and would silently give ids of its own; it gets all versions at once
// through its administration's API, which keeps the ids.
func (r *Registry) Import(ctx context.Context, versions []Version) error {
	if err := checkImport(versions); err != nil {
		return err
	}
	native, err := r.isApicurio(ctx)
	if err != nil {
		return err
	}
	missing, err := r.missing(ctx, versions)
	if err != nil {
		return err
	}
	if native {
		err = r.importNatively(ctx, missing)
	} else {
		err = r.importByMode(ctx, versions, missing)
	}
	if _, taken := errors.AsType[*TakenError](err); taken {
		return err
	}
	if err == nil && len(missing) > 0 {
		err = r.check(ctx, missing)
	}
	if err != nil {
		return r.halfway(ctx, missing, err)
	}
	return nil
}

// check says what of the imported versions is not there after all.
func (r *Registry) check(ctx context.Context, imported []Version) error {
	left, err := r.missing(ctx, imported)
	if taken, ok := errors.AsType[*TakenError](err); ok {
		return fmt.Errorf("somebody else registered meanwhile: %s", strings.Join(taken.Conflicts, "; "))
	}
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the registry took %s without an error and does not have it", left[0].name())
	}
	return err
}

// checkImport holds the versions against one another: they come from a file.
func checkImport(versions []Version) error {
	texts, numbers := make(map[int]string), make(map[string]bool)
	for _, v := range versions {
		if v.Subject == "" || v.Number < 1 || v.ID < 1 {
			return fmt.Errorf("importing schemas: subject %q, version %d, id %d: all three are needed", v.Subject, v.Number, v.ID)
		}
		if err := CheckAvro(v.Text); err != nil {
			return fmt.Errorf("importing schemas: %s: %w", v.name(), err)
		}
		if text, ok := texts[v.ID]; ok && !SameSchema(text, v.Text) {
			return fmt.Errorf("importing schemas: %s: id %d has two schemas", v.name(), v.ID)
		}
		if numbers[v.name()] {
			return fmt.Errorf("importing schemas: %s is there twice", v.name())
		}
		texts[v.ID], numbers[v.name()] = v.Text, true
	}
	return nil
}

// missing are those of versions that the registry does not have, or does not have deleted, in order of subject and number.
// It is a [*TakenError] when something else is in their place.
func (r *Registry) missing(ctx context.Context, versions []Version) ([]Version, error) {
	versions = slices.Clone(versions)
	slices.SortStableFunc(versions, func(a, b Version) int {
		if a.Subject != b.Subject {
			return strings.Compare(a.Subject, b.Subject)
		}
		return a.Number - b.Number
	})
	var missing []Version
	var conflicts []string
	var there []Version
	for i, v := range versions {
		if i == 0 || versions[i-1].Subject != v.Subject {
			var err error
			if there, err = r.Versions(ctx, v.Subject, true); err != nil {
				return nil, err
			}
		}
		have, conflict, err := r.has(ctx, there, v)
		if err != nil {
			return nil, err
		}
		if conflict != "" {
			conflicts = append(conflicts, conflict)
		} else if !have {
			missing = append(missing, v)
		}
	}
	if len(conflicts) > 0 {
		return nil, &TakenError{Conflicts: conflicts}
	}
	return missing, nil
}

// has says whether v is among its subject's versions there, or what is in its place.
func (r *Registry) has(ctx context.Context, there []Version, v Version) (have bool, conflict string, err error) {
	if i := slices.IndexFunc(there, func(t Version) bool { return t.Number == v.Number }); i >= 0 {
		switch t := there[i]; {
		case t.ID != v.ID:
			return false, fmt.Sprintf("%s has id %d there, not %d", v.name(), t.ID, v.ID), nil
		case !SameSchema(t.Text, v.Text):
			return false, fmt.Sprintf("%s is another schema there, with the same id %d", v.name(), v.ID), nil
		default:
			return t.Deleted || !v.Deleted, "", nil
		}
	}
	again := func(t Version) bool { return t.ID == v.ID && t.Number > v.Number }
	if v.Deleted && slices.ContainsFunc(there, again) {
		return true, "", nil // Confluent's registry forgets a deleted version when its schema is registered again
	}
	found, err := r.client.SchemaByID(sr.WithParams(ctx, sr.ShowDeleted), v.ID)
	if saysNone(err) {
		return false, "", nil
	}
	if err != nil {
		return false, "", newRegistryError("looking for schema %d", v.ID, err)
	}
	if !SameSchema(found.Schema, v.Text) {
		conflict = fmt.Sprintf("id %d, of %s, is another schema's there", v.ID, v.name())
	}
	return false, conflict, nil
}

// halfway makes the error of an import that ended with err, asking the registry what it has now.
func (r *Registry) halfway(ctx context.Context, asked []Version, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), modeTimeout)
	defer cancel()
	e := &ImportError{Asked: len(asked), err: err}
	left, missingErr := r.missing(ctx, asked)
	if missingErr != nil {
		e.err = fmt.Errorf("%w (and what was written could not be read: %w)", err, missingErr)
		return e
	}
	for _, v := range asked {
		if !slices.Contains(left, v) {
			e.Written = append(e.Written, v)
		}
	}
	return e
}

// isApicurio says whether this is an Apicurio that takes an archive, and refuses one that may not.
func (r *Registry) isApicurio(ctx context.Context) (bool, error) {
	var info struct{ Name, Version string }
	there, err := r.native(ctx, "/system/info", &info)
	if err != nil {
		return false, newRegistryError("asking which registry it is%s", "", err)
	}
	if there && !strings.HasPrefix(info.Version, "2.") {
		return false, fmt.Errorf("importing schemas: nothing was written, %s %s takes ids in no way known here: only its release 2 does", info.Name, info.Version)
	}
	return there, nil
}
