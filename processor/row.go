package processor

import (
	"webcheck/gen/db"
	"webcheck/gen/event"
)

// row is a check as the table takes it. The conversion compiles only while the fields that avrogen makes of
// CheckCompleted.avsc and the columns that sqlc makes of CopyChecks have the same names, types and order: this line is
// what keeps messages and SQL from drifting apart. The name of what is converted is for who reads the compiler's error.
func row(queriesChecksSQLHasToFollow event.CheckCompleted) db.CopyChecksParams {
	return db.CopyChecksParams(queriesChecksSQLHasToFollow)
}
