// Package sqldb is the small part of SQL that a SQLite file and a MySQL database have in common, for rooms whose policy is to be
// written once and whose tables are small: payments, balances, transactions across services, webhooks.
//
// A [Store] is a file that one process owns, or a database that several share. Statements are what both engines understand, "?"
// stands for a value, and a schema is written for each. A transaction is durable when [Store.Do] returns nil; reading and then
// writing is safe under a slot, a lock that all processes respect. It knows no business word. Everything but a [Tx] is safe for
// concurrent use.
package sqldb

import (
	"context"
	"database/sql"
)

// Slots is how many slots there are: 0 … Slots-1. What belongs together has one slot, for example that of its user.
const Slots = 1024

// NoLock is the slot of a closure that needs no lock.
const NoLock = -1

// Schema is a room's tables for both engines. Each list is numbered migrations, applied in order and never edited once
// released. Name is unique in a database; on MySQL the table <Name>_locks is made beside the others.
type Schema struct {
	Name          string
	SQLite, MySQL []string
}

// Store keeps a room's rows. Errors of its own carry a code: [penstock/errs.ReducedCapacity] when nothing was executed,
// [penstock/errs.Unknown] when a commit was not answered.
type Store interface {
	// Do runs f in a transaction that is durable when Do returns nil. Two closures of the same slot never run at the same time,
	// in whatever process. f may run more than once and must set its results afresh each time; it must not call Do.
	Do(ctx context.Context, slot int, f func(Tx) error) error
	// Alone runs f while no other closure of the same slot runs in Alone, in whatever process. f may call Do. held is nil while
	// that is still true: a process that lost its session must ask before an act that must not happen twice.
	Alone(ctx context.Context, slot int, f func(held func() error) error) error
	// Query and Scan read what is committed. The caller closes the rows; Scan reads the one row, or fails with [sql.ErrNoRows].
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Scan(ctx context.Context, query string, args []any, dest ...any) error
	// Shared reports whether other processes may work on the same rows.
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
	// Locking returns the query in a form that locks the rows it reads until the transaction ends, where that is needed.
	Locking(query string) string
	// Query returns rows that the caller closes before its next statement.
	Query(query string, args ...any) (*sql.Rows, error)
	// Scan reads the one row of a query; the error is [sql.ErrNoRows] when there is none.
	Scan(query string, args []any, dest ...any) error
}
