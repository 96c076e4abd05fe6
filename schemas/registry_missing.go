package schemas

import "context"

// Missing returns those of versions that [Registry.Import] would write, in order of subject and number, and writes nothing. Where
// Import would refuse, so does it.
func (r *Registry) Missing(ctx context.Context, versions []Version) ([]Version, error) {
	if err := checkImport(versions); err != nil {
		return nil, err
	}
	return r.missing(ctx, versions)
}
