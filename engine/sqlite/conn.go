package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Conn is a connection held by one goroutine that writes very often. It prepares each statement once and hands values to the
// driver as they are, which halves the cost of an insert against database/sql.
type Conn struct {
	pool  *sql.Conn
	raw   driver.Conn
	stmts map[string]driver.StmtExecContext
}

// Conn takes the writer connection out of the pool for good; W is of no use to others until it is closed.
func (db *DB) Conn(ctx context.Context) (*Conn, error) {
	pool, err := db.W.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &Conn{pool: pool, stmts: map[string]driver.StmtExecContext{}}
	err = pool.Raw(func(dc any) error {
		raw, ok := dc.(driver.Conn)
		if !ok {
			return fmt.Errorf("%T is not a driver connection", dc)
		}
		c.raw = raw
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return c, nil
}

// Exec runs a statement. Values must be int64, float64, string, []byte or nil.
func (c *Conn) Exec(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	st := c.stmts[query]
	if st == nil {
		prep, ok := c.raw.(driver.ConnPrepareContext)
		if !ok {
			return nil, fmt.Errorf("%T cannot prepare", c.raw)
		}
		s, err := prep.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		if st, ok = s.(driver.StmtExecContext); !ok {
			return nil, fmt.Errorf("%T cannot execute", s)
		}
		c.stmts[query] = st
	}
	return st.ExecContext(ctx, args)
}

// Close closes the statements and gives the connection back to its pool.
func (c *Conn) Close() error {
	var all []error
	for _, st := range c.stmts {
		if s, ok := st.(driver.Stmt); ok {
			all = append(all, s.Close())
		}
	}
	return errors.Join(append(all, c.pool.Close())...)
}
