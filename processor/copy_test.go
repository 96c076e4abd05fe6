package processor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"webcheck/embedded/testservices"
	"webcheck/embedded/testservices/seed"
	"webcheck/gen/db"
)

// TestCopyingStoresWhatPgxStores copies the same random rows both ways, among them many nulls, texts longer than what is sent
// at once, and types that only pgx encodes.
func TestCopyingStoresWhatPgxStores(t *testing.T) {
	ctx := t.Context()
	conn := connectOne(t)
	const columns = "id uuid, a text, b text, c integer, d integer, e boolean, f timestamptz, g timestamptz, h bigint, i jsonb, j varchar(70000), k bytea, l bigint[]"
	for _, table := range []string{"by_pgx", "by_us"} {
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (n integer, %s)", table, columns)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"n", "id", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	rows := randomCopyRows(seed.Random(t))
	for table, to := range map[string]db.DBTX{"by_pgx": conn, "by_us": copying{conn, conn, nil}} {
		n, err := to.CopyFrom(ctx, pgx.Identifier{table}, names, pgx.CopyFromRows(rows))
		if err != nil || n != int64(len(rows)) {
			t.Fatalf("%s: copied %d of %d rows: %v", table, n, len(rows), err)
		}
	}
	var differ int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM by_pgx p FULL JOIN by_us u USING (n) WHERE p IS DISTINCT FROM u").Scan(&differ); err != nil {
		t.Fatal(err)
	}
	if differ > 0 {
		t.Errorf("%d rows differ", differ)
	}
}

func randomCopyRows(random *rand.Rand) [][]any {
	var rows [][]any
	for n := range 2000 {
		text := strings.Repeat("ä\n\\", random.IntN(5))
		if random.IntN(500) == 0 {
			text = strings.Repeat("x", 65_530+random.IntN(20))
		}
		at := time.Unix(random.Int64N(8e9)-4e9, random.Int64N(1e9)).In(time.FixedZone("elsewhere", 3600))
		number, yes := random.Int32()-1<<30, random.IntN(2) == 0
		row := []any{int32(n), fmt.Sprintf("%08X-0000-4000-8000-%012x", random.Uint32(), random.Int64N(1<<48)), text, &text, number, &number,
			&yes, at, &at, int32(n), `{"a": 1}`, text, []byte(text), new(slices.Repeat([]int64{random.Int64() - 1<<62, int64(n)}, random.IntN(3)))}
		nulls := []any{nil, nil, nil, (*string)(nil), nil, (*int32)(nil), (*bool)(nil), nil, (*time.Time)(nil), (*int32)(nil), nil, (*string)(nil), nil, (*[]int64)(nil)}
		for i, null := range nulls[1:] {
			if random.IntN(3) == 0 {
				row[i+1] = null
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// TestCopyingThatFailsLeavesTheTransactionUsable fails by the server's refusal, by a value that is none, and by the source.
func TestCopyingThatFailsLeavesTheTransactionUsable(t *testing.T) {
	ctx := t.Context()
	conn := connectOne(t)
	if _, err := conn.Exec(ctx, "CREATE TABLE ids (id uuid PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	const id = "01900000-0000-7000-8000-000000000001"
	broken := errors.New("broken source")
	n := 0
	for name, source := range map[string]pgx.CopyFromSource{
		"duplicate":     pgx.CopyFromRows([][]any{{id}, {id}}),
		"no uuid":       pgx.CopyFromRows([][]any{{id}, {id[1:]}}),
		"no digit":      pgx.CopyFromRows([][]any{{strings.Replace(id, "7", "g", 1)}}),
		"too many":      pgx.CopyFromRows([][]any{{id, id}}),
		"broken source": pgx.CopyFromFunc(func() ([]any, error) { return nil, broken }),
		"broken, second": pgx.CopyFromFunc(func() ([]any, error) {
			if n++; n == 2 {
				return nil, broken
			}
			return []any{id}, nil
		}),
	} {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			err := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
				_, err := copying{savepoint, savepoint.Conn(), nil}.CopyFrom(ctx, pgx.Identifier{"ids"}, []string{"id"}, source)
				return err
			})
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			var rows int
			return tx.QueryRow(ctx, "SELECT count(*) FROM ids").Scan(&rows)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func connectOne(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testservices.Postgres(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// taking is a connection that keeps what is to be copied.
type taking struct {
	db.DBTX
	rows pgx.CopyFromSource
}

// CopyFrom is part of db.DBTX.
func (t *taking) CopyFrom(_ context.Context, _ pgx.Identifier, _ []string, rows pgx.CopyFromSource) (int64, error) {
	t.rows = rows
	return 0, nil
}

func TestRowsInPlaceHaveTheValuesAndTheOrderOfTheGeneratedOnes(t *testing.T) {
	rows := make([]db.CopyChecksParams, 2)
	for i, e := range newEvents(2) {
		rows[i] = row(e)
		v := reflect.ValueOf(&rows[i]).Elem()
		for f := range v.NumField() { // so that no two are the same
			if text, is := v.Field(f).Addr().Interface().(**string); is && *text == nil {
				*text = new(fmt.Sprintf("%s %d", v.Type().Field(f).Name, i))
			}
			if number, is := v.Field(f).Addr().Interface().(**int32); is && *number == nil {
				*number = new(int32(100*i + f))
			}
		}
	}
	var generated taking
	if _, err := db.New().CopyChecks(t.Context(), &generated, rows); err != nil {
		t.Fatal(err)
	}
	ours := newInPlace(rows)
	for n := 0; ; n++ {
		more := generated.rows.Next()
		if ours.Next() != more {
			t.Fatalf("after %d rows one has more", n)
		}
		if !more {
			break
		}
		want, err := generated.rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		pointers, _ := ours.Values()
		got := make([]any, len(pointers))
		for i, p := range pointers {
			got[i] = reflect.ValueOf(p).Elem().Interface()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row %d (-generated +ours):\n%s", n, diff)
		}
	}
}
