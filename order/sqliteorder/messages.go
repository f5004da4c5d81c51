package sqliteorder

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"

	"penstock/engine/sqldb"
	"penstock/order/driver"
)

// Outboxes are the message tables, one in each file: a message is in the file of its order, or it would not be one commit.
func (s *Store) Outboxes() []driver.Outbox {
	if s.readOnly {
		return nil
	}
	all := make([]driver.Outbox, len(s.dbs))
	for i, db := range s.dbs {
		all[i] = driver.Outbox{Name: fmt.Sprintf("orders_%d", i), DB: table{db}}
	}
	return all
}

// published writes messages with the statements of the running transaction.
type published struct{ *statements }

// Exec runs a statement that was prepared by its text: there are a few, by the number of messages.
func (p published) Exec(query string, args ...any) (int64, error) {
	st := p.publish[query]
	if st == nil {
		made, err := p.prepare.PrepareContext(context.Background(), query)
		if err != nil {
			return 0, err
		}
		full, ok := made.(statement)
		if !ok {
			return 0, fmt.Errorf("the SQLite driver's %T lacks ExecContext or QueryContext", made)
		}
		st, p.publish[query] = full, full
	}
	named := make([]sqldriver.NamedValue, len(args))
	for i, a := range args {
		named[i] = sqldriver.NamedValue{Ordinal: i + 1, Value: a}
	}
	res, err := st.ExecContext(context.Background(), named)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// table is the message table of a file as its reader sees it.
type table struct{ *database }

// Do runs f in a transaction between those of orders. There is one at a time, so a slot locks nothing more.
func (d table) Do(ctx context.Context, _ int, f func(sqldb.Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.settle(ctx); err != nil {
		return err
	}
	conn, err := d.W.Conn(ctx)
	if err != nil {
		return fmt.Errorf("order database %d: %w", d.number, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("order database %d: %w", d.number, err)
	}
	if err = f(plain{ctx, tx}); err != nil {
		_ = tx.Rollback() // closes the transaction in any case; the connection is asked again by the next one
		return err
	}
	if err = tx.Commit(); err != nil {
		d.distrust()
		_ = conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // has it thrown away
		return fmt.Errorf("order database %d: %w: commit: %w", d.number, driver.ErrUnknown, err)
	}
	return nil
}

// Query reads what is committed.
func (d table) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.R.QueryContext(ctx, query, args...)
}

// Scan reads the one row of a query.
func (d table) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	return d.R.QueryRowContext(ctx, query, args...).Scan(dest...)
}

// Shared says that no other process works on the file.
func (table) Shared() bool { return false }

// plain is a transaction of database/sql as package sqldb has it.
type plain struct {
	ctx context.Context
	tx  *sql.Tx
}

func (p plain) Exec(query string, args ...any) (int64, error) {
	res, err := p.tx.ExecContext(p.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (p plain) Insert(query string, args ...any) (bool, error) {
	n, err := p.Exec(query+` ON CONFLICT DO NOTHING`, args...)
	return n == 1, err
}

func (plain) Locking(query string) string { return query }

func (p plain) Query(query string, args ...any) (*sql.Rows, error) {
	return p.tx.QueryContext(p.ctx, query, args...)
}

func (p plain) Scan(query string, args []any, dest ...any) error {
	return p.tx.QueryRowContext(p.ctx, query, args...).Scan(dest...)
}
