package lock

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/engine/mysql"
	"penstock/engine/sqlite"
)

// SQLFence counts tokens in table fence(name, token) of a SQL database: one row per name, raised in a transaction of its own.
// Use the database that is as durable as what the locks protect. Safe for concurrent use.
type SQLFence struct {
	raise string
	tx    func(context.Context, func(*sql.Tx) error) error
	retry func(error) bool
}

// SQLiteFence makes the table if it is missing.
func SQLiteFence(ctx context.Context, db *sqlite.DB) (*SQLFence, error) {
	const table = `CREATE TABLE IF NOT EXISTS fence (name TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL) WITHOUT ROWID`
	if _, err := db.W.ExecContext(ctx, table); err != nil {
		return nil, fmt.Errorf("make table fence: %w", err)
	}
	return &SQLFence{
		raise: `INSERT INTO fence (name, token) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET token = token + 1`,
		tx:    db.Tx,
		retry: func(error) bool { return false },
	}, nil
}

// MySQLFence makes the table if it is missing.
func MySQLFence(ctx context.Context, db *mysql.DB) (*SQLFence, error) {
	steps := []string{`CREATE TABLE IF NOT EXISTS fence (name VARBINARY(200) NOT NULL PRIMARY KEY, token BIGINT NOT NULL) ENGINE=InnoDB;`}
	if err := mysql.Migrate(ctx, db, "fence", steps, nil); err != nil {
		return nil, err
	}
	return &SQLFence{
		raise: `INSERT INTO fence (name, token) VALUES (?, 1) ON DUPLICATE KEY UPDATE token = token + 1`,
		tx:    func(ctx context.Context, f func(*sql.Tx) error) error { return mysql.Tx(ctx, db, f) },
		retry: mysql.Retry,
	}, nil
}

// Next implements [Fence]. Its error means that no token was given; one may have been used up.
func (f *SQLFence) Next(ctx context.Context, name string) (int64, error) {
	const attempts = 5
	var token int64
	var err error
	for range attempts {
		err = f.tx(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, f.raise, name); err != nil {
				return err
			}
			return tx.QueryRowContext(ctx, `SELECT token FROM fence WHERE name = ?`, name).Scan(&token)
		})
		if err == nil || !f.retry(err) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("raise the fence of %s: %w", name, err)
	}
	return token, nil
}
