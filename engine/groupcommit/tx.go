package groupcommit

import (
	"context"
	"database/sql"
	"errors"
)

// Tx is the transaction a closure runs in. It is valid only during the call and keeps every statement prepared.
type Tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Exec runs a statement and returns the number of rows it changed. query should be a constant: it stays prepared.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := t.prepared(query)
	if err != nil {
		return 0, err
	}
	res, err := s.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows before its next statement.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.prepared(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

// Scan reads the one row of a query into dest. The error is [sql.ErrNoRows] when there is none.
func (t *Tx) Scan(query string, args []any, dest ...any) error {
	s, err := t.prepared(query)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(dest...)
}

func (t *Tx) prepared(query string) (*sql.Stmt, error) {
	if s, ok := t.stmts[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.stmts[query] = s
	return s, nil
}

func (t *Tx) do(query string) error {
	_, err := t.Exec(query)
	return err
}

func (t *Tx) close() error {
	var all []error
	for _, s := range t.stmts {
		all = append(all, s.Close())
	}
	return errors.Join(append(all, t.conn.Close())...)
}
