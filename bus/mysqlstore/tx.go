package mysqlstore

import (
	"context"
	"database/sql"

	"penstock/engine/mysql"
)

// tries bounds how often a transaction is run again after a deadlock or a lock timeout.
const tries = 5

// inTx runs f in a transaction, again from its beginning when it lost against another. f must set what it returns anew.
func inTx(ctx context.Context, db *mysql.DB, f func(*sql.Tx) error) error {
	for try := 1; ; try++ {
		if err := mysql.Tx(ctx, db, f); !mysql.Retry(err) || try == tries || ctx.Err() != nil {
			return err
		}
	}
}

// list returns the placeholders of n values.
func list(n int) string { return mysql.Placeholders(1, n) }

// args appends values of one type to others.
func args[T any](head []any, values []T) []any {
	for _, v := range values {
		head = append(head, v)
	}
	return head
}
