package mysqlstock

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strconv"
)

// text is a statement with its values written into it: numbers in decimal, everything else as a hexadecimal literal. Such a
// literal is a byte string whatever the session's character set and mode say, so nothing in a value can end it, it compares
// as bytes, and a statement of hundreds of rows is one round trip.
type text struct{ b []byte }

func (t *text) raw(s string) *text {
	t.b = append(t.b, s...)
	return t
}

func (t *text) num(n int64) *text {
	t.b = strconv.AppendInt(t.b, n, 10)
	return t
}

func (t *text) bytes(s string) *text {
	t.b = append(t.b, "X'"...)
	t.b = hex.AppendEncode(t.b, []byte(s))
	t.b = append(t.b, '\'')
	return t
}

// orNull writes NULL for an empty string.
func (t *text) orNull(s string) *text {
	if s == "" {
		return t.raw("NULL")
	}
	return t.bytes(s)
}

// row writes a tuple of strings.
func (t *text) row(values ...string) *text {
	t.raw("(")
	for i, v := range values {
		if i > 0 {
			t.raw(",")
		}
		t.bytes(v)
	}
	return t.raw(")")
}

// Bounds of one statement: far below every server's max_allowed_packet, and below what makes MariaDB turn a list into a
// sub-query.
const (
	maxRows = 500
	maxText = 1 << 20
)

// executor is a pool or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list is statements of n values between head and tail: as many statements as the bounds ask for.
type list struct {
	n          int
	head, tail string
	value      func(t *text, i int)
}

func (l list) statements(run func(statement string) error) error {
	var t text
	for i := 0; i < l.n; {
		t.b = append(t.b[:0], l.head...)
		for rows := 0; i < l.n && rows < maxRows && len(t.b) < maxText; rows++ {
			if rows > 0 {
				t.raw(",")
			}
			l.value(&t, i)
			i++
		}
		if err := run(string(t.raw(l.tail).b)); err != nil {
			return err
		}
	}
	return nil
}

// exec returns how many rows the server says were affected.
func (l list) exec(ctx context.Context, q executor) (affected int64, err error) {
	err = l.statements(func(statement string) error {
		res, err := q.ExecContext(ctx, statement)
		if err != nil {
			return err
		}
		some, err := res.RowsAffected()
		affected += some
		return err
	})
	return affected, err
}

// query calls scan for each row found.
func (l list) query(ctx context.Context, q executor, scan func(*sql.Rows) error) error {
	return l.statements(func(statement string) error { return query(ctx, q, statement, scan) })
}

// query calls scan for each row of one statement.
func query(ctx context.Context, q executor, statement string, scan func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
