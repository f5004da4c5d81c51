package app

import (
	"context"
	"errors"

	"penstock/engine/mysql"
	"penstock/engine/sqldb"
	"penstock/order/mysqlorder"
)

// openTables makes or migrates a room's tables in a database; the room has it.
type openTables = func(context.Context, *mysql.DB, sqldb.Options) (sqldb.Store, error)

// besideStock opens a room's tables in the stock database.
func (a *App) besideStock(ctx context.Context, room string, o mysql.Options, open openTables) (sqldb.Store, error) {
	cfg, err := mysql.Parse(a.cfg.Stock)
	if err != nil {
		return nil, err
	}
	return a.tables(ctx, cfg, o, room, open)
}

// besideOrders opens a room's tables in the database that the URL of the orders names first: what follows orders and money.
func (a *App) besideOrders(ctx context.Context, room string, o mysql.Options, open openTables) (sqldb.Store, error) {
	servers, err := mysqlorder.Parse(a.cfg.OrdersEngine())
	if err != nil {
		return nil, err
	}
	return a.tables(ctx, servers.Base(), o, room, open)
}

func (a *App) tables(ctx context.Context, at mysql.Config, o mysql.Options, room string, open openTables) (sqldb.Store, error) {
	db, err := mysql.Open(ctx, at, o)
	if err != nil {
		return nil, err
	}
	store, err := open(ctx, db, sqldb.Options{Logger: a.log, Fault: a.opt.Fault, Progress: a.progress(room)})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return closing{store, db}, nil
}

// closing closes the connections of a store behind it.
type closing struct {
	sqldb.Store
	db *mysql.DB
}

// Close closes the store, then its connections.
func (c closing) Close() error { return errors.Join(c.Store.Close(), c.db.Close()) }
