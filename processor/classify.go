package processor

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// errStale says that another processor has moved a partition since this one read its offset: the partition was lost in a
// rebalance that has not been heard of yet. Nothing of the batch is written.
var errStale = errors.New("another processor has taken the partition over")

// errBatch says that partitions were assigned and a batch failed: only a batch that is written shows that it is over.
var errBatch = errors.New("processing a batch")

// PermanentError is trouble that waiting does not mend, such as tables that are not there. The processor stops on it.
type PermanentError struct {
	Err  error
	Next string // what a person can do about it
}

// Error gives the cause.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *PermanentError) Hint() string { return e.Next }

// PostgreSQL's error classes and codes that are told apart (PostgreSQL, Appendix A).
const (
	classDataException       = "22"
	classIntegrityConstraint = "23"
	classTransactionRollback = "40"
	classSyntaxOrAccess      = "42"
	codeUniqueViolation      = "23505"
	codeCheckViolation       = "23514"
	codeInsufficientPrivs    = "42501"
	codeUndefinedTable       = "42P01"
	codeQueryCanceled        = "57014"
)

// copyRejectedByClient starts the message of the error with which a COPY ends when pgx has found a value that it can't
// encode (pgconn sends CopyFail with it).
const copyRejectedByClient = "COPY from stdin failed"

// isDuplicate says whether a COPY met an id that is there already, or twice.
func isDuplicate(err error) bool {
	return sqlState(err) == codeUniqueViolation
}

// refusesRow says whether PostgreSQL refuses a value of a row: it would refuse it again tomorrow, so the row is poison.
// Everything else is trouble with the store.
func refusesRow(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	// A row for which there is no partition is reported as a check without a name. It is not the row's fault.
	if refused.Code == codeCheckViolation && refused.ConstraintName == "" {
		return false
	}
	switch refused.Code[:2] {
	case classDataException, classIntegrityConstraint:
		return true
	}
	return refused.Code == codeQueryCanceled && strings.HasPrefix(refused.Message, copyRejectedByClient)
}

// isCalledOff says whether PostgreSQL has ended a transaction so that others can go on, as it ends a deadlock: made again it may
// succeed at once.
func isCalledOff(err error) bool {
	return strings.HasPrefix(sqlState(err), classTransactionRollback)
}

// isPermanent says whether the processor must stop: it was told so, or its statements do not fit the tables. A missing
// privilege can be granted while it waits, so it is no reason to stop.
func isPermanent(err error) bool {
	var permanent *PermanentError
	if errors.As(err, &permanent) {
		return true
	}
	state := sqlState(err)
	return strings.HasPrefix(state, classSyntaxOrAccess) && state != codeInsufficientPrivs
}

func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
