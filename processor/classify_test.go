package processor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestEveryErrorBelongsToOneFamily(t *testing.T) {
	const transient, poison, permanent = "transient", "poison", "permanent"
	pg := func(code string) error { return fmt.Errorf("writing: %w", &pgconn.PgError{Code: code}) }
	cases := map[string]struct {
		err  error
		want string
	}{
		"NUL or bad UTF-8 in text":  {pg("22021"), poison},
		"number out of range":       {pg("22003"), poison},
		"timestamp out of range":    {pg("22008"), poison},
		"null in a not null column": {pg("23502"), poison},
		"check violated":            {&pgconn.PgError{Code: "23514", ConstraintName: "positive"}, poison},
		"partition missing":         {pg("23514"), transient},
		"value pgx can't encode":    {&pgconn.PgError{Code: "57014", Message: "COPY from stdin failed: x"}, poison},
		"query cancelled":           {&pgconn.PgError{Code: "57014", Message: "canceling statement"}, transient},
		"connection lost":           {pg("08006"), transient},
		"deadlock":                  {pg("40P01"), transient},
		"disk full":                 {pg("53100"), transient},
		"too many connections":      {pg("53300"), transient},
		"shutting down":             {pg("57P01"), transient},
		"starting up":               {pg("57P03"), transient},
		"I/O error":                 {pg("58030"), transient},
		"read only (failed over)":   {pg("25006"), transient},
		"password refused":          {pg("28P01"), transient},
		"privilege missing":         {pg("42501"), transient},
		"table missing":             {pg("42P01"), permanent},
		"column missing":            {pg("42703"), permanent},
		"not migrated":              {&PermanentError{Err: errors.New("x")}, permanent},
		"stale owner":               {fmt.Errorf("advancing: %w", errStale), transient},
		"anything else":             {errors.New("broken pipe"), transient},
	}
	for name, c := range cases {
		got := transient
		if refusesRow(c.err) {
			got = poison
		}
		if isPermanent(c.err) {
			if got == poison {
				t.Errorf("%s: both poison and permanent", name)
			}
			got = permanent
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
