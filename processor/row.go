package processor

import (
	"webcheck/gen/db"
	"webcheck/gen/event"
)

// row is a check as the table takes it. The conversion compiles only while the fields that avrogen makes of
// CheckCompleted.avsc and the columns that sqlc makes of CopyChecks have the same names, types and order: this line is
// what keeps messages and SQL from drifting apart.
func row(e event.CheckCompleted) db.CopyChecksParams {
	return db.CopyChecksParams(e)
}
