package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/config"
	"penstock/engine/kafka"
	"penstock/engine/mysql"
	"penstock/engine/redis"
	orderdriver "penstock/order/driver"
	"penstock/order/mysqlorder"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock"
)

// engines is the table of what each scheme of an engine's URL opens. Nothing registers itself: what is not here is not there.
func (a *App) engines() engines {
	return engines{
		stock:    map[string]func(context.Context) (stockDB, error){"sqlite": a.sqliteStock, "mysql": a.mysqlStock},
		orders:   map[string]func(context.Context) (orderdriver.Store, error){"sqlite": a.sqliteOrders, "mysql": a.mysqlOrders},
		payments: map[string]func(context.Context) (payment.Store, error){"sqlite": a.sqlitePayments, "mysql": a.mysqlPayments},
		desk:     map[string]func(context.Context) (desk, error){"sqlite": a.sqliteDesk, "mysql": a.mysqlDesk},
		gate:     map[string]func(context.Context) (door, error){"memory": a.memoryGate, "redis": a.redisGate, "rediss": a.redisGate},
		bus:      map[string]func(context.Context) (carrier, error){"outbox": a.outboxBus, "kafka": a.kafkaBus},
	}
}

type engines struct {
	stock    map[string]func(context.Context) (stockDB, error)
	orders   map[string]func(context.Context) (orderdriver.Store, error)
	payments map[string]func(context.Context) (payment.Store, error)
	// desk is chosen by the URL of the stock: what the bus sets aside is kept beside the outbox.
	desk map[string]func(context.Context) (desk, error)
	gate map[string]func(context.Context) (door, error)
	bus  map[string]func(context.Context) (carrier, error)
}

// desk is where the bus keeps what it sets aside and how far its readers have got.
type desk struct {
	busdriver.Store
	cursors busdriver.Cursors
	close   func() error
}

// door is the gate that attempts come to. observe is told of commits, beside the gate in memory, and stop ends it; each may be
// nil.
type door struct {
	sale.Gate
	observe func(stock.Committed)
	stop    func(context.Context) error
}

// carrier is an open driver of the bus.
type carrier struct {
	busdriver.Driver
	close func() error
}

// EngineError is what an engine outside this process refuses, or that it is not there. The text says what to do.
type EngineError struct {
	// Key is the configuration key that names the engine, URL its value with the password masked.
	Key, URL string
	Err      error
}

func (e *EngineError) Error() string { return fmt.Sprintf("%s is %q: %v", e.Key, e.URL, e.Err) }

func (e *EngineError) Unwrap() error { return e.Err }

// open opens the engine that a URL names.
func open[T any](ctx context.Context, key, url string, table map[string]func(context.Context) (T, error)) (T, error) {
	scheme, _, outside := strings.Cut(url, "://")
	f := table[strings.TrimSuffix(scheme, ":")]
	if f == nil {
		var none T
		return none, fmt.Errorf("%s is %q, which is not an engine of this build", key, config.Masked(url))
	}
	db, err := f(ctx)
	if err != nil && outside {
		err = &EngineError{key, config.Masked(url), err}
	}
	return db, err
}

// Check finds what is wrong with the URLs of engines without asking them.
func Check(cfg config.Config) error {
	var found config.Problems
	look := func(key, value, scheme, example string, parse func(string) error) {
		if !strings.HasPrefix(value, scheme) {
			return
		}
		if err := parse(value); err != nil {
			found = append(found, config.Problem{Key: key, Value: config.Masked(value), What: "is not a URL that can be used: " + err.Error(), Example: example})
		}
	}
	look("stock", cfg.Stock, "mysql://", mysql.Example, func(s string) error { _, err := mysql.Parse(s); return err })
	look("orders", cfg.OrdersEngine(), "mysql://", mysqlorder.Example, func(s string) error { _, err := mysqlorder.Parse(s); return err })
	for _, scheme := range redis.Schemes() {
		look("gate", cfg.Gate, scheme, redis.Example, func(s string) error { _, err := redis.Parse(s); return err })
		look("limits.shared", cfg.Limits.Shared, scheme, redis.Example, func(s string) error { _, err := redis.Parse(s); return err })
	}
	look("bus", cfg.Bus, "kafka://", kafka.Example, func(s string) error { _, err := kafka.Parse(s); return err })
	if len(found) > 0 {
		return found
	}
	return nil
}

// newBus lays the bus over its engines.
func (a *App) newBus(ctx context.Context) (func() error, error) {
	table := a.engines()
	d, err := open(ctx, "stock", a.cfg.Stock, table.desk)
	if err != nil {
		return nil, err
	}
	a.desk = d
	c, err := open(ctx, "bus", a.cfg.Bus, table.bus)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	a.bus, err = bus.New(c, d.Store, bus.Options{Clock: a.opt.Clock, Logger: a.log, Audit: a.recordAct, Fault: a.opt.Fault})
	if err != nil {
		return nil, errors.Join(err, c.close(), d.close())
	}
	return func() error { return errors.Join(c.close(), d.close()) }, nil
}
