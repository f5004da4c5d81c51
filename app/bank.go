package app

import (
	"context"
	"errors"
	"os"

	"penstock/engine/groupcommit"
	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/order/payment"
	"penstock/order/payment/transfer"
	"penstock/saga"
)

// bankFile has the lines of the bank's statements.
const bankFile = "transfer.db"

// bank opens the lines of the bank's statements: a file of this process, or tables beside the payments.
func (a *App) bank(ctx context.Context) (payment.Provider, func() error, error) {
	table := map[string]func(context.Context) (sqldb.Store, error){"sqlite": a.sqliteBank, "mysql": a.mysqlBank}
	db, err := open(ctx, "orders", a.cfg.OrdersEngine(), table)
	if err != nil {
		return nil, nil, err
	}
	return transfer.Over(db), db.Close, nil
}

func (a *App) sqliteBank(ctx context.Context) (sqldb.Store, error) {
	return sqldb.OpenFile(ctx, a.path(bankFile), transfer.Schema(), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

func (a *App) mysqlBank(ctx context.Context) (sqldb.Store, error) {
	return a.besideOrders(ctx, "transfer", mysql.Options{}, func(ctx context.Context, db *mysql.DB, o sqldb.Options) (sqldb.Store, error) {
		return sqldb.OpenShared(ctx, db, transfer.Schema(), o)
	})
}

// transfers moves the lines of the bank, if there are any; see Migrate.
func (m *migration) transfers(ctx context.Context) error {
	return m.small(ctx, bankFile, m.source.sqliteBank, m.target.mysqlBank, transfer.Import)
}

// transactions moves transactions across services; those that have not ended go on after the move.
func (m *migration) transactions(ctx context.Context) error {
	return m.small(ctx, "transactions.db", m.source.sqliteSaga, m.target.mysqlSaga, saga.Import)
}

type storeOpener = func(context.Context) (sqldb.Store, error)

// small moves what a room keeps in a file, if there is one.
func (m *migration) small(ctx context.Context, file string, from, to storeOpener,
	move func(ctx context.Context, from, to sqldb.Store, copied func(table string, rows uint64)) error,
) error {
	if _, err := os.Stat(m.source.path(file)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	target := func(ctx context.Context) (sqldb.Store, error) {
		return open(ctx, "orders", m.target.cfg.OrdersEngine(), map[string]storeOpener{"mysql": to})
	}
	return between(ctx, from, target, func(from, to sqldb.Store) error {
		return move(ctx, from, to, func(table string, rows uint64) { m.say(table, rows, rows) })
	})
}
