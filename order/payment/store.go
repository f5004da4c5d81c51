package payment

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/internal/ident"
)

// Store keeps payments: a SQLite file that one process owns, or a MySQL database that several share. What is decided about
// payments is decided above it, once. The SQL handed in is what both engines understand; "?" stands for a value. All methods
// are safe for concurrent use.
//
// Errors of its own carry a code: [penstock/errs.ReducedCapacity] when nothing was executed, [penstock/errs.Unknown] when a
// commit was not answered.
type Store interface {
	// Do runs f in a transaction that is durable when Do returns nil. Two closures whose id has the same slot never run at the
	// same time, in whatever process; so whoever reads and then writes what belongs to one order, or to a payment or refund of
	// it, passes any of their ids (they share their slot). An id of 0 is no lock. f may run more than once and must set its
	// results afresh each time; it must not call Do.
	Do(ctx context.Context, id ident.ID, f func(Tx) error) error
	// Alone runs f while no other closure of the same slot runs in Alone, in whatever process. f may call Do. held is nil while
	// that is still true: a process that lost its session must ask before an act that must not happen twice.
	Alone(ctx context.Context, id ident.ID, f func(held func() error) error) error
	// Query and Scan read what is committed. The caller closes the rows; Scan reads the one row, or fails with [sql.ErrNoRows].
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Scan(ctx context.Context, query string, args []any, dest ...any) error
	// Shared reports whether other processes may work on the same payments.
	Shared() bool
	// Close ends the use of the store.
	Close() error
}

// Tx is the transaction a closure runs in, valid only during the call.
type Tx interface {
	// Exec returns the number of rows that the statement matched.
	Exec(query string, args ...any) (int64, error)
	// Insert adds a row and reports true, or does nothing if a unique index holds the row already.
	Insert(query string, args ...any) (bool, error)
	// Query returns rows that the caller closes before its next statement.
	Query(query string, args ...any) (*sql.Rows, error)
	// Scan reads the one row of a query; the error is [sql.ErrNoRows] when there is none.
	Scan(query string, args []any, dest ...any) error
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// highest returns the highest id in use, or 0.
func highest(ctx context.Context, s Store) (ident.ID, error) {
	var pay, refund int64
	err := s.Scan(ctx, `SELECT coalesce(max(id), 0) FROM payments`, nil, &pay)
	if err == nil {
		err = s.Scan(ctx, `SELECT coalesce(max(id), 0) FROM refunds`, nil, &refund)
	}
	if err != nil {
		return 0, fmt.Errorf("payments: read the last id: %w", err)
	}
	return ident.ID(max(pay, refund)), nil
}
