package app

import (
	"context"
	"errors"
	"time"

	busdriver "penstock/bus/driver"
	"penstock/bus/kafkabus"
	"penstock/bus/mysqlstore"
	"penstock/config"
	"penstock/engine/kafka"
	"penstock/engine/mysql"
	"penstock/engine/redis"
	"penstock/internal/ident"
	orderdriver "penstock/order/driver"
	"penstock/order/mysqlorder"
	"penstock/order/payment"
	"penstock/stock/driver"
	"penstock/stock/gate/redisgate"
	"penstock/stock/mysqlstock"
)

// outboxPoll is how often outboxes that other processes write too are looked at.
const outboxPoll = 50 * time.Millisecond

// sharedStock is a stock database that other processes use too.
type sharedStock interface {
	// Node is the number of this process in ids.
	Node() (n int, after ident.ID)
	// Others counts what the other processes have in flight.
	Others(ctx context.Context) (inFlight int64, instances int, err error)
	// Recount sets an allowance to what the user's claims add up to.
	Recount(ctx context.Context, ref driver.TakenRef) (was, is int64, err error)
}

func (a *App) mysqlStock(ctx context.Context) (stockDB, error) {
	cfg, err := mysql.Parse(a.cfg.Stock)
	if err != nil {
		return stockDB{}, err
	}
	db, err := mysqlstock.Open(ctx, cfg, mysqlstock.Options{
		Logger: a.log, Fault: a.opt.Fault, Engine: quick(), Busy: func() int64 {
			if f := a.busy.Load(); f != nil {
				return (*f)()
			}
			return 0
		},
		Progress: a.progress("stock"),
	})
	if err != nil {
		return stockDB{}, err
	}
	a.leader.lease = db.Lease("timers")
	return stockDB{Driver: db, ready: db.Ready, repair: db.Repair, shared: db}, nil
}

// quick are the connections that callers wait for. A reply that has not come by then will not be waited for by them either, and
// a process that was paused in a transaction keeps its rows from the others no longer than Abandon.
func quick() mysql.Options {
	return mysql.Options{Reply: 6 * time.Second, LockWait: 3 * time.Second, Abandon: 6 * time.Second}
}

// progress logs the steps of a migration.
func (a *App) progress(of string) func(step, all int) {
	return func(step, all int) { a.log.Info("migrating", "what", of, "step", step, "of", all) }
}

func (a *App) mysqlOrders(ctx context.Context) (orderdriver.Store, error) {
	servers, err := mysqlorder.Parse(a.cfg.OrdersEngine())
	if err != nil {
		return nil, err
	}
	return mysqlorder.Open(ctx, servers, mysqlorder.Options{Logger: a.log, Progress: func(database string, step, all int) {
		a.progress(database)(step, all)
	}})
}

func (a *App) mysqlPayments(ctx context.Context) (payment.Store, error) {
	return a.besideOrders(ctx, "payments", quick(), payment.OpenMySQL)
}

// mysqlDesk keeps what the bus sets aside in the stock database, beside the outbox.
func (a *App) mysqlDesk(ctx context.Context) (desk, error) {
	cfg, err := mysql.Parse(a.cfg.Stock)
	if err != nil {
		return desk{}, err
	}
	db, err := mysql.Open(ctx, cfg, mysql.Options{})
	if err != nil {
		return desk{}, err
	}
	if err = mysqlstore.Migrate(ctx, db, a.progress("bus")); err != nil {
		return desk{}, errors.Join(err, db.Close())
	}
	return desk{mysqlstore.New(db), mysqlstore.NewCursors(db, nil), db.Close}, nil
}

func (a *App) redisGate(ctx context.Context) (door, error) {
	cfg, err := redis.Parse(a.cfg.Gate)
	if err != nil {
		return door{}, err
	}
	// A gate that is away does not keep a sale from starting.
	prefix := gatePrefix(a.cfg.Stock)
	client, err := redis.Open(ctx, cfg, redis.Options{Logger: a.log, Late: true, Prefix: prefix, Commands: redisgate.Commands()})
	if err != nil {
		return door{}, err
	}
	g, err := redisgate.New(a.gate, client, a.stock, redisgate.Options{
		Clock: a.opt.Clock, Logger: a.log, Attempt: a.cfg.Timeouts.Attempt, Prefix: prefix,
		Calls: int(a.cfg.Limits.Attempt.N), Per: a.cfg.Limits.Attempt.Per,
	})
	if err == nil {
		err = g.Start(ctx)
	}
	if err != nil {
		client.Close()
		return door{}, err
	}
	return door{Gate: g, observe: g.Observe, stop: func(ctx context.Context) error {
		err := g.Stop(ctx)
		client.Close()
		return err
	}}, nil
}

// gatePrefix begins the names of the gate's keys, so that shops with databases of their own can share a Redis.
func gatePrefix(stock string) string {
	prefix := "penstock:gate:"
	if cfg, err := mysql.Parse(stock); err == nil && cfg.Database() != "" {
		prefix += cfg.Database() + ":"
	}
	return prefix
}

func (a *App) kafkaBus(ctx context.Context) (carrier, error) {
	cfg, err := kafka.Parse(a.cfg.Bus)
	if err != nil {
		return carrier{}, err
	}
	cluster, err := kafka.Open(ctx, cfg, kafka.Options{Logger: a.log})
	if err != nil {
		return carrier{}, err
	}
	topics := map[string][]kafkabus.Source{}
	for topic, sources := range a.sources() {
		topics[topic] = nil
		if a.cfg.Has(config.RoleRelay) {
			for _, s := range sources {
				topics[topic] = append(topics[topic], s)
			}
		}
	}
	o := kafkabus.Options{Clock: a.opt.Clock, Logger: a.log, Fault: a.opt.Fault}
	if a.cfg.Has(config.RoleRelay) {
		o.Letters, _ = a.desk.Store.(busdriver.Copies)
	}
	drv, err := kafkabus.New(ctx, cluster, a.desk.cursors, topics, o)
	if err != nil {
		cluster.Close()
		return carrier{}, err
	}
	return carrier{drv, func() error { err := drv.Close(); cluster.Close(); return err }}, nil
}
