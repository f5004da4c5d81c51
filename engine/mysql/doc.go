// Package mysql opens databases of MySQL 8, MariaDB and TiDB the way every room here needs them: READ COMMITTED, utf8mb4,
// strict mode, UTC, every commit synced by the server; numbered migrations under a lock; transactions whose outcome is said in
// three ways.
//
// It knows no business word. What is wrong with a URL or a server is said once, at [Open], by name and with what to do. A
// server that is only down makes an error for which [Unavailable] is true, so that a caller can wait for it.
//
// What an error means, for whoever must not guess:
//
//	Tx returned nil                     the commit is durable
//	errors.Is(err, ErrUnknown)          COMMIT was sent and not answered: done, not done, or about to be done
//	any other error of Tx               nothing of the transaction happened, or ever will
//	error of a single statement, Lost   the statement may or may not have happened
//
// All of it is safe for concurrent use.
package mysql
