package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Tx runs f in one transaction and commits it if f returns nil. See the package comment for what its error means. f must
// neither commit nor roll back, and may be run again by the caller when [Retry] is true.
//
// ctx is obeyed until COMMIT is sent; from then on only Options.Reply bounds the wait, because an answer is worth more than
// an unknown outcome.
//
// A connection whose transaction did not end cleanly is closed: whatever the server left open in it would be committed by the
// next START TRANSACTION.
func Tx(ctx context.Context, db *DB, f func(*sql.Tx) error) error {
	conn, tx, err := begin(ctx, db)
	if err != nil {
		return err
	}
	defer conn.Close()
	return inTx(ctx, conn, tx, f)
}

// staleConnections is how many connections of the pool may turn out to have been closed by the server, one after the other.
const staleConnections = 3

func begin(ctx context.Context, db *DB) (*sql.Conn, *sql.Tx, error) {
	for try := 1; ; try++ {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err == nil {
			return conn, tx, nil
		}
		discard(conn)
		_ = conn.Close()
		if !errors.Is(err, driver.ErrBadConn) || try == staleConnections {
			return nil, nil, fmt.Errorf("begin: %w", err)
		}
	}
}

func inTx(ctx context.Context, conn *sql.Conn, tx *sql.Tx, f func(*sql.Tx) error) (err error) {
	clean := false
	defer func() {
		if !clean {
			_ = tx.Rollback() // after a panic of f, too; the connection is closed next, so its error changes nothing
			discard(conn)
		}
	}()
	if err = f(tx); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		clean = tx.Rollback() == nil
		return err
	}
	err = tx.Commit()
	clean = err == nil
	switch {
	case clean:
		return nil
	case notSent(ctx, err), rolledBack(err):
		return fmt.Errorf("commit: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// notSent reports an error with which database/sql ends a transaction instead of sending COMMIT. It is compared by identity:
// an expired deadline of the network says something else.
func notSent(ctx context.Context, err error) bool {
	return err == sql.ErrTxDone || ctx.Err() != nil && err == ctx.Err() //nolint:errorlint // see above
}

// discard makes the pool close a connection.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}
