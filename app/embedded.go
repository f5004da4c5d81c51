package app

import (
	"context"
	"errors"
	"fmt"

	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/engine/groupcommit"
	"penstock/engine/sqlite"
	orderdriver "penstock/order/driver"
	"penstock/order/payment"
	"penstock/order/sqliteorder"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

// stockDB is a stock database with what its engine has beside the port.
type stockDB struct {
	driver.Driver
	ready  func() error
	repair func(context.Context) error
	// archive lets keys of closed sales leave memory; nil where they are not in it.
	archive func(context.Context) (int, error)
	// stored is a snapshot that looks into the database; nil where every snapshot does.
	stored func(context.Context) (*driver.Snapshot, error)
	// shared is the same database where other processes use it too, else nil.
	shared sharedStock
}

// Stored is what [penstock/stock.Stock.Stored] asks for.
func (s stockDB) Stored(ctx context.Context) (*driver.Snapshot, error) {
	if s.stored == nil {
		return s.Snapshot(ctx)
	}
	return s.stored(ctx)
}

func (a *App) sqliteStock(ctx context.Context) (stockDB, error) {
	db, err := sqlitestock.Open(ctx, a.path("stock.db"), sqlitestock.Options{Clock: a.opt.Clock, Logger: a.log, Fault: a.opt.Fault, Judge: a.opt.Judge})
	if err != nil {
		return stockDB{}, err
	}
	return stockDB{Driver: db, ready: db.Ready, repair: db.Repair, archive: db.Archive, stored: db.Stored}, nil
}

func (a *App) sqliteOrders(ctx context.Context) (orderdriver.Store, error) {
	return sqliteorder.Open(ctx, a.path("orders"), sqliteorder.Options{})
}

func (a *App) sqlitePayments(ctx context.Context) (payment.Store, error) {
	return payment.OpenSQLite(ctx, a.path("payments.db"), groupcommit.Options{Logger: a.log, Fault: a.opt.Fault})
}

// sqliteDesk takes the leases that dead processes left: the directory is ours alone.
func (a *App) sqliteDesk(ctx context.Context) (desk, error) {
	db, err := sqlstore.Open(ctx, a.path("bus.db"), sqlite.Options{})
	if err != nil {
		return desk{}, err
	}
	cursors := sqlstore.NewCursors(db, a.opt.Clock)
	if err = cursors.Void(ctx); err != nil {
		return desk{}, errors.Join(fmt.Errorf("void the leases of dead processes: %w", err), db.Close())
	}
	return desk{sqlstore.New(db), cursors, db.Close}, nil
}

// memoryGate is the gate of one process. Where others decide too, it reads what they did.
func (a *App) memoryGate(ctx context.Context) (door, error) {
	if a.stockDB.shared == nil {
		return door{Gate: a.gate}, nil
	}
	index := gate.NewIndex(a.stock, 0)
	a.gate.Use(index)
	sync := gate.NewResync(a.gate, a.stock, gate.ResyncOptions{Clock: a.opt.Clock, Logger: a.log, Index: index})
	if err := sync.Start(ctx); err != nil {
		return door{}, err
	}
	return door{Gate: a.gate, stop: sync.Stop}, nil
}

func (a *App) outboxBus(context.Context) (carrier, error) {
	o := outboxbus.Options{Clock: a.opt.Clock, Logger: a.log}
	if a.cfg.Shared() {
		o.Poll = outboxPoll
	}
	drv, err := outboxbus.New(a.desk.cursors, a.sources(), o)
	if err != nil {
		return carrier{}, err
	}
	return carrier{drv, drv.Close}, nil
}
