package processor

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"webcheck/gen/db"
)

// CopyChecks writes new checks over conn at full speed, within the transaction that is open there, if one is, and returns their
// number. See db.Queries.CopyChecks.
func CopyChecks(ctx context.Context, conn *pgx.Conn, rows []db.CopyChecksParams) (int64, error) {
	return db.New().CopyChecks(ctx, copying{conn, conn, newInPlace(rows)}, rows)
}

// copyStrips writes new strips, as CopyChecks does checks.
func copyStrips(ctx context.Context, conn *pgx.Conn, strips []db.CopyStripsParams) error {
	_, err := db.New().CopyStrips(ctx, copying{conn, conn, newInPlace(strips)}, strips)
	return err
}

// copyIncoming fills the temporary table of checks. It has the columns of checks, in their order.
func copyIncoming(ctx context.Context, conn *pgx.Conn, rows []db.CopyChecksParams) error {
	_, err := db.New().CopyIncomingChecks(ctx, copying{conn, conn, newInPlace(rows)}, nil)
	return err
}

// It compiles only while the columns of both are the same.
var _ = func(r db.CopyChecksParams) db.CopyIncomingChecksParams { return db.CopyIncomingChecksParams(r) }

// copying is a connection to PostgreSQL whose CopyFrom encodes the usual types by itself. pgx looks for a way to encode each
// single value, and for the text of a uuid tries several in vain: that takes five times as long as the rest of a COPY does
// on this side. Every other type goes through pgx as before.
type copying struct {
	db.DBTX
	conn *pgx.Conn
	rows pgx.CopyFromSource // copied instead of those that CopyFrom is given; nil: those
}

// inPlace gives rows one after the other in one place, as pointers to its fields in their order. What sqlc generates gives
// a slice of values a row, each boxed: the most garbage of all that a batch makes.
type inPlace[T any] struct {
	left   []T
	row    T
	fields []any
}

func newInPlace[T any](rows []T) *inPlace[T] {
	s := &inPlace[T]{left: rows}
	row := reflect.ValueOf(&s.row).Elem()
	for i := range row.NumField() {
		s.fields = append(s.fields, row.Field(i).Addr().Interface())
	}
	return s
}

// Next is part of pgx.CopyFromSource.
func (s *inPlace[T]) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.row, s.left = s.left[0], s.left[1:]
	return true
}

// Values is part of pgx.CopyFromSource.
func (s *inPlace[T]) Values() ([]any, error) { return s.fields, nil }

// Err is part of pgx.CopyFromSource.
func (s *inPlace[T]) Err() error { return nil }

// CopyFrom copies rows into a table in PostgreSQL's binary format and returns their number. See pgx.Conn.CopyFrom.
func (c copying) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if c.rows != nil {
		rows = c.rows
	}
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = pgx.Identifier{column}.Sanitize()
	}
	list := strings.Join(quoted, ", ")
	described, err := c.conn.Prepare(ctx, "", fmt.Sprintf("SELECT %s FROM %s", list, table.Sanitize()))
	if err != nil {
		return 0, fmt.Errorf("describing %s: %w", table.Sanitize(), err)
	}
	stream := &copyStream{rows: rows, types: c.conn.TypeMap()}
	for _, field := range described.Fields {
		stream.oids = append(stream.oids, field.DataTypeOID)
	}
	stream.buffer = append(make([]byte, 0, 2*copyChunk), copyHeader...)
	tag, err := c.conn.PgConn().CopyFrom(ctx, stream, fmt.Sprintf("COPY %s (%s) FROM STDIN BINARY", table.Sanitize(), list))
	return tag.RowsAffected(), err
}

const (
	// copyHeader begins a COPY in binary format: signature, no flags, no extension (PostgreSQL, "COPY", "Binary Format").
	copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	// copyChunk is what pgconn sends at once.
	copyChunk = 64 << 10
	// nullLength stands for the length of a value that is null.
	nullLength = ^uint32(0)
	// unixToPostgres is the number of microseconds from 1970 to 2000, where PostgreSQL's time begins.
	unixToPostgres = 946_684_800_000_000
)

// copyStream is rows in PostgreSQL's binary format, encoded as they are read, so that the server works meanwhile.
type copyStream struct {
	rows   pgx.CopyFromSource
	types  *pgtype.Map
	oids   []uint32
	buffer []byte
	sent   int // bytes of buffer
	ended  bool
}

// Read fills p with whole and broken rows until there are no more.
func (s *copyStream) Read(p []byte) (int, error) {
	if len(s.buffer)-s.sent < len(p) && !s.ended {
		s.buffer = append(s.buffer[:0], s.buffer[s.sent:]...)
		s.sent = 0
		if err := s.fill(len(p)); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buffer[s.sent:])
	s.sent += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// fill encodes rows until the buffer has size bytes.
func (s *copyStream) fill(size int) error {
	for len(s.buffer) < size {
		if !s.rows.Next() {
			s.ended = true
			s.buffer = binary.BigEndian.AppendUint16(s.buffer, ^uint16(0)) // the trailer
			return s.rows.Err()
		}
		values, err := s.rows.Values()
		if err != nil {
			return err
		}
		if len(values) != len(s.oids) {
			return fmt.Errorf("encoding a row: %d values for %d columns", len(values), len(s.oids))
		}
		s.buffer = binary.BigEndian.AppendUint16(s.buffer, uint16(len(values)))
		for i, value := range values {
			if s.buffer, err = appendValue(s.buffer, s.types, s.oids[i], value); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendValue appends a value, or the one that it points at, for a column of type oid, behind its length.
func appendValue(dst []byte, types *pgtype.Map, oid uint32, value any) ([]byte, error) {
	switch v := value.(type) {
	case string:
		return appendTextValue(dst, types, oid, &v)
	case *string:
		return appendTextValue(dst, types, oid, v)
	case **string:
		return appendTextValue(dst, types, oid, *v)
	case int32:
		return appendInt4(dst, types, oid, &v)
	case *int32:
		return appendInt4(dst, types, oid, v)
	case **int32:
		return appendInt4(dst, types, oid, *v)
	case *bool:
		return appendBool(dst, types, oid, v)
	case **bool:
		return appendBool(dst, types, oid, *v)
	case time.Time:
		return appendTime(dst, types, oid, &v)
	case *time.Time:
		return appendTime(dst, types, oid, v)
	case **time.Time:
		return appendTime(dst, types, oid, *v)
	case *[]int64:
		if v != nil {
			return appendBigints(dst, types, oid, *v)
		}
	}
	return appendByPgx(dst, types, oid, value)
}

func appendNull(dst []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, nullLength), nil
}

func appendTextValue(dst []byte, types *pgtype.Map, oid uint32, text *string) ([]byte, error) {
	switch {
	case text == nil:
		return appendNull(dst)
	case oid == pgtype.TextOID:
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(*text))), *text...), nil
	case oid == pgtype.UUIDOID:
		if id, ok := parseUUID(*text); ok {
			return append(binary.BigEndian.AppendUint32(dst, uint32(len(id))), id[:]...), nil
		}
		return dst, fmt.Errorf("encoding a uuid: %q is not one in its canonical form", *text)
	}
	return appendByPgx(dst, types, oid, *text)
}

func appendInt4(dst []byte, types *pgtype.Map, oid uint32, v *int32) ([]byte, error) {
	switch {
	case v == nil:
		return appendNull(dst)
	case oid == pgtype.Int4OID:
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, 4), uint32(*v)), nil
	}
	return appendByPgx(dst, types, oid, *v)
}

func appendBool(dst []byte, types *pgtype.Map, oid uint32, v *bool) ([]byte, error) {
	switch {
	case v == nil:
		return appendNull(dst)
	case oid != pgtype.BoolOID:
		return appendByPgx(dst, types, oid, *v)
	case *v:
		return append(binary.BigEndian.AppendUint32(dst, 1), 1), nil
	}
	return append(binary.BigEndian.AppendUint32(dst, 1), 0), nil
}

func appendTime(dst []byte, types *pgtype.Map, oid uint32, v *time.Time) ([]byte, error) {
	switch {
	case v == nil:
		return appendNull(dst)
	case oid == pgtype.TimestamptzOID:
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(dst, 8), uint64(v.UnixMicro()-unixToPostgres)), nil
	}
	return appendByPgx(dst, types, oid, *v)
}

// appendBigints writes an array as PostgreSQL's array_recv reads it: dimensions, whether there are nulls, the type; then of the one
// dimension its size and first index; then each element behind its length.
func appendBigints(dst []byte, types *pgtype.Map, oid uint32, v []int64) ([]byte, error) {
	if len(v) == 0 || oid != pgtype.Int8ArrayOID {
		return appendByPgx(dst, types, oid, v)
	}
	const head, element = 20, 12
	for _, n := range []int{head + element*len(v), 1, 0, pgtype.Int8OID, len(v), 1} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	}
	for _, n := range v {
		dst = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(dst, 8), uint64(n))
	}
	return dst, nil
}

// appendByPgx is appendValue for all other types.
func appendByPgx(dst []byte, types *pgtype.Map, oid uint32, value any) ([]byte, error) {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, nullLength)
	encoded, err := types.Encode(oid, pgtype.BinaryFormatCode, value, dst)
	if err != nil {
		return dst[:at], fmt.Errorf("encoding a value: %w", err)
	}
	if encoded == nil { // null
		return dst, nil
	}
	binary.BigEndian.PutUint32(encoded[at:], uint32(len(encoded)-at-4))
	return encoded, nil
}

// parseUUID reads the canonical form, of lower or upper case: 8-4-4-4-12.
func parseUUID(text string) (id [16]byte, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	at := 0
	for i := range id {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++
		}
		high, low := hexDigit(text[at]), hexDigit(text[at+1])
		if high|low > 15 {
			return id, false
		}
		id[i] = high<<4 | low
		at += 2
	}
	return id, true
}

// hexDigit is the value of a hexadecimal digit, or more than 15.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
