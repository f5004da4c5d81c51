package lock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"penstock/engine/mysql"
	"penstock/engine/sqlite"
)

// Statements that make table guard; each database with protected rows has one of its own, made by its owner's migrations.
const (
	SQLiteGuard = `CREATE TABLE IF NOT EXISTS guard (resource TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL, writes INTEGER NOT NULL) WITHOUT ROWID;`
	MySQLGuard  = `CREATE TABLE IF NOT EXISTS guard (resource VARBINARY(200) NOT NULL PRIMARY KEY, token BIGINT NOT NULL, writes BIGINT NOT NULL) ENGINE=InnoDB;`
)

// ErrStale says that a newer holder has written: the caller's lock is gone, its transaction must be rolled back.
var ErrStale = errors.New("fencing token is stale")

// Guard lets the caller's transaction go on only if no greater token has been seen for the resource, and makes the token the
// one that has been seen. The row stays locked until the transaction ends, so that no older holder can write between Guard and
// commit, and no newer one is overtaken. Call it first in the transaction. The resource is usually the lock's name; at most 200
// bytes.
//
// Errors: ErrStale; any other is the database's. A deadlock (mysql.Retry) may come when several make a resource's first row at once:
// run the transaction again, as ever.
func Guard(ctx context.Context, tx *sql.Tx, resource string, token int64) error {
	passed, err := pass(ctx, tx, resource, token)
	if err != nil || passed {
		return err
	}
	var seen int64
	err = tx.QueryRowContext(ctx, `SELECT token FROM guard WHERE resource = ?`, resource).Scan(&seen)
	if err == nil {
		return stale(resource, token)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("guard %s: %w", resource, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO guard (resource, token, writes) VALUES (?, ?, 1)`, resource, token)
	if !mysql.Duplicate(err) && !sqlite.Unique(err) {
		if err != nil {
			err = fmt.Errorf("guard %s: %w", resource, err)
		}
		return err
	}
	// Somebody made the row meanwhile, and has committed, or the insert would still wait.
	if passed, err = pass(ctx, tx, resource, token); err == nil && !passed {
		err = stale(resource, token)
	}
	return err
}

// pass raises the token. Column writes changes every time, because MySQL counts only rows that changed.
func pass(ctx context.Context, tx *sql.Tx, resource string, token int64) (bool, error) {
	done, err := tx.ExecContext(ctx, `UPDATE guard SET token = ?, writes = writes + 1 WHERE resource = ? AND token <= ?`, token, resource, token)
	if err != nil {
		return false, fmt.Errorf("guard %s: %w", resource, err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

func stale(resource string, token int64) error {
	return fmt.Errorf("%w: a newer holder than token %d has written to %s", ErrStale, token, resource)
}
