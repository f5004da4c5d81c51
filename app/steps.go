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
	"penstock/config"
	"penstock/internal/durable"
	"penstock/internal/ident"
	"penstock/internal/owner"
	"penstock/limit"
	"penstock/order"
	orderdriver "penstock/order/driver"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/reconcile"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/gate"
)

// step starts one thing and returns what stops it (nil when nothing must be stopped).
type step struct {
	name  string
	start func(context.Context) (stop func(context.Context) error, err error)
	// roles are those that need the step; none means every process.
	roles []string
}

// steps is the order of the start. Each line says why it stands where it stands, and which roles need it.
func (a *App) steps() []step {
	const sale, order, admin, timers, relay, front, box = config.RoleSale, config.RoleOrder, config.RoleAdmin, config.RoleTimers, config.RoleRelay, config.RoleGateway, config.RoleSandbox
	return []step{
		{"tracing", a.startTracing, nil},                                     // first, so that everything can be seen
		{"probe", a.startProbe, nil},                                         // alive and not ready while the rest recovers
		{"data", a.startOwner, nil},                                          // nothing is read before the directory is ours
		{"keys", a.startKeys, nil},                                           // tokens must be known before anyone may call
		{"sandbox", a.startSandbox, []string{box}},                           // a provider must stand before payments resume
		{"stock", a.startStock, []string{sale, order, admin, timers, relay}}, // recovers and checks the stock database
		{"sale", a.startSale, []string{sale, admin}},                         // needs the stock and its gate
		{"line", a.startLine, []string{sale, admin}},                         // needs the gate; passes must be told before attempts come
		{"orders", a.startOrders, []string{order, admin, timers}},            // needs the claims
		{"balances", a.startBalances, []string{order, admin, timers}},        // payments and transactions take from them
		{"payments", a.startPayments, []string{order, admin, timers}},        // needs orders, claims and the provider
		{"transactions", a.startSaga, []string{order, admin, timers}},        // needs its participants: stock, orders, balances
		{"webhooks", a.startWebhooks, []string{admin, relay}},                // must be there when the bus begins to deliver
		{"outboxes", a.startOutboxes, []string{order, admin, relay}},         // what rooms publish, for the bus to carry
		{"bus", a.startBus, []string{order, admin, relay}},                   // delivers to the orders
		{"apps", a.startApps, []string{sale, order, admin}},                  // who signs must be known before anyone may call
		{"timers", a.startTimers, nil},                                       // expiry and housekeeping, once their consumers stand
		{"lag", a.watchOutboxes, []string{relay}},                            // of what the bus carries
		{"identity", a.startIdentity, []string{admin}},                       // who may use the admin listener; told to the trail of the stock
		{"monitor", a.startMonitor, []string{timers}},                        // watches before buyers come
		{"limits", a.startLimits, []string{sale, order, front}},              // what all instances count together
		{"gateway", a.startGateway, []string{sale, order, admin, front}},     // a bad policy keeps everybody out
		{"public", a.startPublic, []string{sale, order, front}},              // buyers come last
		{"admin", a.startAdmin, []string{admin}},
		{"ready", a.startReady, nil},
	}
}

func (a *App) startOwner(context.Context) (func(context.Context) error, error) {
	own, err := owner.Take(a.cfg.Data)
	if err != nil {
		return nil, err
	}
	if !a.cfg.Shared() {
		if err := notMoved(a.cfg.Data); err != nil {
			return nil, errors.Join(err, own.Release())
		}
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
	db, err := open(ctx, "stock", a.cfg.Stock, a.engines().stock)
	if err != nil {
		return nil, err
	}
	a.stockDB, a.gate = db, gate.New(0)
	a.stock, err = stock.New(ctx, db, stock.Options{
		Clock: a.opt.Clock, Logger: a.log, Node: a.cfg.Node, MaxBatch: a.cfg.Batch.Size, Linger: a.cfg.Batch.Wait,
		Deadline: a.cfg.Timeouts.Attempt, OnCommit: a.committed,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	busy := a.stock.InFlight
	a.busy.Store(&busy)
	debug.FreeOSMemory() // reading the journal leaves more garbage than the server will make for long
	a.metrics.Stock(a.stockLevels)
	a.health.AddReady("stock", func(context.Context) error { return db.ready() })
	return func(ctx context.Context) error {
		return errors.Join(a.stock.Close(ctx), db.Close()) // the others hear of what is in flight until the end
	}, nil
}

// committed passes what a batch changed to the gate and the metrics.
func (a *App) committed(c stock.Committed) {
	a.gate.Observe(c)
	if d := a.door.Load(); d != nil && d.observe != nil {
		d.observe(c)
	}
	if c.Calls > 0 {
		a.metrics.Batch(c.Calls, c.Took)
	}
	if c.Calls > rush {
		a.crowded.Store(a.opt.Clock.Now().UnixNano())
	}
}

func (a *App) startSale(ctx context.Context) (func(context.Context) error, error) {
	opt := sale.Options{Clock: a.opt.Clock, Window: a.cfg.Payment.Window, Grace: a.cfg.Payment.Grace, Passed: a.passed}
	if a.cfg.Shared() {
		opt.LookUp = a.cfg.Timeouts.Attempt
	}
	if r := a.cfg.Limits.Attempt; !r.Off() {
		users := limit.New[string](limit.Rate{Calls: int(r.N), Per: r.Per}, limit.Options{Clock: a.opt.Clock})
		opt.Throttle, a.sweeps = throttle{users}, append(a.sweeps, func() { users.Sweep() })
	}
	d, err := open(ctx, "gate", a.cfg.Gate, a.engines().gate)
	if err != nil {
		return nil, err
	}
	a.door.Store(&d)
	a.sales = sale.New(a.stock, d.Gate, opt)
	return d.stop, nil
}

type throttle struct{ users *limit.Limiter[string] }

func (t throttle) Allow(user string) (bool, time.Duration) {
	r := t.users.Take(user)
	return r.Allowed, r.RetryAfter
}

func (a *App) startOrders(ctx context.Context) (func(context.Context) error, error) {
	db, err := open(ctx, "orders", a.cfg.OrdersEngine(), a.engines().orders)
	if err != nil {
		return nil, err
	}
	a.rows = reconcile.NewRows(db)
	a.outboxes.published(order.Topic, db.Outboxes()...)
	a.orders, err = order.New(db, claims{a.stock, a.leader.leads}, order.Options{
		Clock: a.opt.Clock, Logger: a.log, BatchRows: a.cfg.OrderWriter.Rows, BatchWait: a.cfg.OrderWriter.Wait,
		Pace: int(a.cfg.OrderWriter.Pace.PerSecond()), Fault: a.opt.Fault, Hooks: a.orderHooks(),
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	decisions, writes := a.stock.InFlight, a.orders.InFlight
	busy := func() int64 { return decisions() + writes() }
	a.busy.Store(&busy)
	a.events.get, a.events.list = a.orders.Get, a.orders.List
	if a.cfg.Shared() {
		a.events.look = time.Second
	}
	return func(context.Context) error { a.orders.Stop(); return db.Close() }, nil
}

// claims are the stock as the orders see it: what is due is the leader's to end.
type claims struct {
	*stock.Stock
	leads func() bool
}

// Due returns nothing to a process that does not lead.
func (c claims) Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error) {
	if !c.leads() {
		return nil, nil
	}
	return c.Stock.Due(ctx, now, limit)
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
	providers, closed, err := a.providers(ctx)
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, "orders", a.cfg.OrdersEngine(), a.engines().payments)
	if err != nil {
		return nil, errors.Join(err, closed())
	}
	a.outboxes.published(payment.Topic, orderdriver.Outbox{Name: "payments", DB: db})
	a.pays = providers
	a.payments, err = payment.Over(ctx, db, payment.Deps{
		Orders: a.orders, Stock: a.stock, Providers: providers,
	}, a.paymentOptions())
	if err != nil {
		return nil, errors.Join(err, db.Close(), closed())
	}
	return func(context.Context) error { return errors.Join(a.payments.Stop(), closed()) }, nil
}

// startBus lets the orders read their messages where that is the process's role; elsewhere the bus only shows what it set
// aside, and relays.
func (a *App) startBus(ctx context.Context) (func(context.Context) error, error) {
	closed, err := a.newBus(ctx)
	if err != nil {
		return nil, err
	}
	if a.cfg.Has(config.RoleOrder) {
		err = a.bus.Consume(orderGroup, stock.Topic, bus.Contract{}.Guard(a.giveWay(a.orders.Handle)))
	}
	if err == nil {
		err = a.consumeWebhooks()
	}
	if err == nil {
		err = a.bus.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, closed())
	}
	if a.cfg.Has(config.RoleAdmin) {
		a.repair = a.reconciler()
	}
	return func(ctx context.Context) error { return errors.Join(a.bus.Stop(ctx), closed()) }, nil
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
