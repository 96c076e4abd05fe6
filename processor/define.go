package processor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"webcheck/gen/db"
	"webcheck/gen/event"
)

// definitionRow is a definition as the table takes it. Like row, it compiles only while message and table agree.
func definitionRow(queriesFoldsSQLHasToFollow event.TargetDefined) db.InsertDefinitionParams {
	return db.InsertDefinitionParams(queriesFoldsSQLHasToFollow)
}

// define stores definitions and folds the checks again that were folded without them. It gives the number of those that were
// new. The same definition may come any number of times.
func (s *store) define(ctx context.Context, definitions []event.TargetDefined) (added int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		added = 0
		ids := make([]string, len(definitions))
		for i := range definitions {
			ids[i] = definitions[i].TargetID
		}
		locked, err := s.folder.lock(ctx, tx, ids)
		if err != nil {
			return err
		}
		var wanted db.ListFirstStripsParams
		var errs []error
		rows := make([]db.InsertDefinitionParams, len(definitions))
		for i, d := range definitions {
			rows[i] = definitionRow(d)
		}
		s.queries.InsertDefinition(ctx, tx, rows).QueryRow(func(i int, isNew bool, err error) {
			switch {
			case err == pgx.ErrNoRows: // it is there
			case err != nil:
				errs = append(errs, err)
			case isNew:
				added++
				wanted.Targets, wanted.Versions = append(wanted.Targets, definitions[i].TargetID), append(wanted.Versions, definitions[i].DefinitionVersion)
			}
		})
		if len(errs) > 0 {
			return fmt.Errorf("writing definitions: %w", errs[0])
		}
		if added == 0 {
			return nil
		}
		strips, err := s.queries.ListFirstStrips(ctx, tx, wanted)
		if err != nil {
			return fmt.Errorf("reading the strips of new definitions: %w", err)
		}
		redefined := make(map[string]int64, len(strips))
		for _, row := range strips {
			redefined[row.TargetID] = row.StartsAt.UnixMilli()
		}
		_, err = s.folder.fold(ctx, tx, locked, nil, redefined)
		return err
	})
	if err != nil {
		clear(s.folder.known) // it may have learned what is not there after all
	}
	return added, err
}
