package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"penstock/auth"
	"penstock/bus"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
	"penstock/internal/durable"
	"penstock/internal/owner"
	"penstock/limit"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/order/payment/sandbox/client"
	"penstock/order/sqliteorder"
	"penstock/reconcile"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

// step starts one thing and returns what stops it (nil when nothing must be stopped).
type step struct {
	name  string
	start func(context.Context) (stop func(context.Context) error, err error)
}

// steps is the order of the start. Each line says why it stands where it stands.
func (a *App) steps() []step {
	return []step{
		{"tracing", a.startTracing},   // first, so that everything can be seen
		{"probe", a.startProbe},       // alive and not ready while the rest recovers
		{"data", a.startOwner},        // nothing is read before the directory is ours
		{"keys", a.startKeys},         // tokens must be known before anyone may call
		{"stock", a.startStock},       // recovers and checks the stock database
		{"sale", a.startSale},         // needs the stock and its gate
		{"orders", a.startOrders},     // needs the claims
		{"sandbox", a.startSandbox},   // a provider must stand before payments resume
		{"payments", a.startPayments}, // needs orders, claims and the provider
		{"bus", a.startBus},           // delivers to the orders
		{"timers", a.startTimers},     // expiry and housekeeping, once their consumers stand
		{"public", a.startPublic},     // buyers come last
		{"admin", a.startAdmin},
		{"ready", a.startReady},
	}
}

func (a *App) startOwner(context.Context) (func(context.Context) error, error) {
	own, err := owner.Take(a.cfg.Data)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return own.Release() }, nil
}

func (a *App) startKeys(context.Context) (func(context.Context) error, error) {
	file := a.cfg.Keys.File
	if file == "" {
		file = a.path("keys.json")
	}
	ring, err := auth.Open(file, auth.Options{Clock: a.opt.Clock, OnReloadError: func(err error) {
		a.log.Error("the key ring could not be read again; the keys read before stay in use", "error", err.Error())
	}})
	if err != nil {
		return nil, err
	}
	a.ring = ring
	a.secret, err = a.webhookSecret()
	return nil, err
}

func (a *App) startStock(ctx context.Context) (func(context.Context) error, error) {
	drv, err := sqlitestock.Open(ctx, a.path("stock.db"), sqlitestock.Options{Clock: a.opt.Clock, Logger: a.log, Fault: a.opt.Fault})
	if err != nil {
		return nil, err
	}
	a.driver, a.gate = drv, gate.New(0)
	a.stock, err = stock.New(ctx, drv, stock.Options{
		Clock: a.opt.Clock, Logger: a.log, Node: a.cfg.Node, MaxBatch: a.cfg.Batch.Size, Linger: a.cfg.Batch.Wait,
		Deadline: a.cfg.Timeouts.Attempt, OnCommit: a.committed,
	})
	if err != nil {
		return nil, errors.Join(err, drv.Close())
	}
	debug.FreeOSMemory() // reading the journal leaves more garbage than the server will make for long
	a.metrics.Stock(a.stockLevels)
	a.health.AddReady("stock", func(context.Context) error { return drv.Ready() })
	return func(ctx context.Context) error { return errors.Join(a.stock.Close(ctx), drv.Close()) }, nil
}

// committed passes what a batch changed to the gate and the metrics.
func (a *App) committed(c stock.Committed) {
	a.gate.Observe(c)
	if c.Calls > 0 {
		a.metrics.Batch(c.Calls, c.Took)
	}
	if c.Calls > rush {
		a.crowded.Store(a.opt.Clock.Now().UnixNano())
	}
}

func (a *App) startSale(context.Context) (func(context.Context) error, error) {
	opt := sale.Options{Clock: a.opt.Clock, Window: a.cfg.Payment.Window, Grace: a.cfg.Payment.Grace}
	if r := a.cfg.Limits.Attempt; !r.Off() {
		users := limit.New[string](limit.Rate{Calls: int(r.N), Per: r.Per}, limit.Options{Clock: a.opt.Clock})
		opt.Throttle, a.sweeps = throttle{users}, append(a.sweeps, func() { users.Sweep() })
	}
	a.sales = sale.New(a.stock, a.gate, opt)
	return nil, nil
}

type throttle struct{ users *limit.Limiter[string] }

func (t throttle) Allow(user string) (bool, time.Duration) {
	r := t.users.Take(user)
	return r.Allowed, r.RetryAfter
}

func (a *App) startOrders(ctx context.Context) (func(context.Context) error, error) {
	store, err := sqliteorder.Open(ctx, a.path("orders"), sqliteorder.Options{})
	if err != nil {
		return nil, err
	}
	a.shards = store
	a.orders, err = order.New(store, a.stock, order.Options{
		Clock: a.opt.Clock, Logger: a.log, BatchRows: a.cfg.OrderWriter.Rows, BatchWait: a.cfg.OrderWriter.Wait,
		Pace: int(a.cfg.OrderWriter.Pace.PerSecond()), Fault: a.opt.Fault, Hooks: a.orderHooks(),
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.events.get = a.orders.Get
	return func(context.Context) error { a.orders.Stop(); return store.Close() }, nil
}

func (a *App) startSandbox(ctx context.Context) (func(context.Context) error, error) {
	if host, _, err := net.SplitHostPort(a.cfg.Listen.Sandbox); err == nil && !net.ParseIP(host).IsLoopback() && host != "localhost" {
		a.log.Warn("the sandbox provider asks nobody for credentials; keep listen.sandbox on loopback", "listen.sandbox", a.cfg.Listen.Sandbox)
	}
	svc, err := sandbox.New(ctx, a.path("sandbox.db"), a.secret, sandbox.Options{Clock: a.opt.Clock, Logger: a.log})
	if err != nil {
		return nil, err
	}
	if err = svc.Start(ctx); err != nil {
		return nil, errors.Join(err, svc.Stop())
	}
	stop, err := a.serve("sandbox", a.cfg.Listen.Sandbox, svc.Handler())
	if err != nil {
		return nil, errors.Join(err, svc.Stop())
	}
	return func(ctx context.Context) error { return errors.Join(stop(ctx), svc.Stop()) }, nil
}

func (a *App) startPayments(ctx context.Context) (func(context.Context) error, error) {
	base := func() string { return "http://" + a.Addrs()["sandbox"] }
	callback := func() string { return "http://" + a.Addrs()["public"] + "/v1/payment-callbacks/sandbox" }
	provider, err := client.New(base, callback, []webhookSecret{a.secret}, client.Options{Clock: a.opt.Clock})
	if err != nil {
		return nil, err
	}
	a.payments, err = payment.New(ctx, a.path("payments.db"), payment.Deps{
		Orders: a.orders, Stock: a.stock, Providers: map[string]payment.Provider{"sandbox": provider},
	}, a.paymentOptions())
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { provider.Close(); return a.payments.Stop() }, nil
}

func (a *App) startBus(ctx context.Context) (func(context.Context) error, error) {
	db, err := sqlstore.Open(ctx, a.path("bus.db"), sqlite.Options{})
	if err != nil {
		return nil, err
	}
	a.busDB = db
	cursors := sqlstore.NewCursors(db, a.opt.Clock)
	if err = cursors.Void(ctx); err != nil { // the directory is ours alone
		return nil, errors.Join(fmt.Errorf("void the leases of dead processes: %w", err), db.Close())
	}
	drv, err := outboxbus.New(cursors, map[string][]outboxbus.Source{stock.Topic: {a.stock.Source()}},
		outboxbus.Options{Clock: a.opt.Clock, Logger: a.log})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a.bus, err = bus.New(drv, sqlstore.New(db), bus.Options{Clock: a.opt.Clock, Logger: a.log, Audit: a.recordAct, Fault: a.opt.Fault})
	if err == nil {
		err = a.bus.Consume(orderGroup, stock.Topic, a.giveWay(a.orders.Handle))
	}
	if err == nil {
		err = a.bus.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, drv.Close(), db.Close())
	}
	a.repair = reconcile.New(a.stock, a.gate, a.orders, a.opt.Clock, a.backlog)
	return func(ctx context.Context) error { return errors.Join(a.bus.Stop(ctx), drv.Close(), db.Close()) }, nil
}

// orderGroup is the consumer group that writes the orders.
const orderGroup = "orders"

func (a *App) startReady(context.Context) (func(context.Context) error, error) {
	text, err := json.MarshalIndent(a.Addrs(), "", "  ")
	if err != nil {
		return nil, err
	}
	if err = durable.WriteFile(a.path("listen.json"), append(text, '\n'), 0o640); err != nil {
		return nil, fmt.Errorf("keep the addresses in use: %w", err)
	}
	a.health.Started()
	return nil, nil
}
