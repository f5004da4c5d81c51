package payment

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/bus/outbox"
	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/internal/ident"
)

// Store keeps payments: a file that one process owns, or a MySQL database that several share. An order, its payments and its
// refunds share a slot, so that whoever reads and then writes what belongs to one of them passes the slot of any of their ids.
type Store = sqldb.Store

// Tx is the transaction of a Store.
type Tx = sqldb.Tx

// schema are the tables of payments, and the message table behind them.
func schema() sqldb.Schema {
	return outbox.Into(sqldb.Schema{Name: "payments", SQLite: migrations, MySQL: []string{mysqlTables, mysqlLedger}})
}

// OpenSQLite opens or creates the file at path. Only one process may have it open.
func OpenSQLite(ctx context.Context, path string, o groupcommit.Options) (Store, error) {
	return sqldb.OpenFile(ctx, path, schema(), o)
}

// OpenMySQL makes or migrates the tables in db. The caller closes db, after the store.
func OpenMySQL(ctx context.Context, db *mysql.DB, o sqldb.Options) (Store, error) {
	return sqldb.OpenShared(ctx, db, schema(), o)
}

// slot returns the slot that an id's rows share; an id of 0 needs no lock.
func slot(id ident.ID) int {
	if id == 0 {
		return sqldb.NoLock
	}
	return id.Slot()
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
