package app

import (
	"context"
	"errors"

	"penstock/config"
	"penstock/gateway"
	"penstock/gateway/api"
	"penstock/limit"
	"penstock/web"
)

// deps is what both listeners are built from.
func (a *App) deps() api.Deps {
	seen := &observer{log: a.log, metrics: a.metrics, tracing: a.tracing, holders: a.holders, live: a.live}
	every := 1
	if a.cfg.Log.Sample > 0 {
		every = max(int(1/a.cfg.Log.Sample), 1)
	}
	d := api.Deps{
		Gateway: gateway.Options{
			Clock: a.opt.Clock, TrustedProxies: a.cfg.TrustedProxies, MaxBody: a.cfg.BodyLimit, ProblemBase: a.cfg.Problems,
			LogEvery: every, Sample: a.cfg.Trace.Sample, Observer: seen, Logger: a.log, Drain: a.drain, Classifier: a.holders,
		},
		Verifier: a.ring, Passes: a.ring, PassTTL: a.cfg.Keys.PassTTL,
		Events: a.events, Export: a, Drained: a.Drained, Audit: a.stock,
	}
	if a.sales != nil {
		d.Sales, d.Waiting, d.Lines = a.sales, a.sales, auditedLines{a.lines, a.stock.Record}
	}
	if a.orders != nil {
		orders := audited{a.orders, a.stock.Record}
		d.Orders, d.Payments = orders, auditedMoney{a.payments, orders}
		d.Cases = auditedCases{a.payments, a.stock.Record}
		d.Statements = statements{a.payments, a.pays, a.stock.Record}
	}
	if a.balances != nil {
		d.Balances = auditedBalances{a.balances, a.stock.Record}
	}
	a.sagaDeps(&d)
	if a.bus != nil {
		d.DeadLetters, d.Outboxes = a.bus.DeadLetters(), a.OutboxLags
	}
	if a.partners != nil {
		d.Apps, d.Gateway.Apps, d.Verifier = a.partners, a.partners, a.partners.Bearers(a.ring)
	}
	if a.webhooks != nil {
		d.Webhooks = a.webhooks
	}
	if a.sales != nil && a.orders != nil {
		d.Reports = saleReports{a}
	}
	if a.repair != nil {
		d.Reconcile = a.repair
	}
	return d
}

// publicDeps is what listeners for buyers are built from.
func (a *App) publicDeps() (api.Deps, error) {
	d := a.deps()
	if !a.cfg.Has(config.RoleOrder) {
		d.Orders = nil
	}
	if a.cfg.Has(config.RoleSale) {
		d.Gateway.Attempts = lined{counted{a.sales, a.metrics, a.holders}, a.lines}
	} else {
		d.Sales = nil
	}
	d.Forwards = a.cfg.Has(config.RoleGateway)
	d.Gateway.Attempt = limit.Rate{Calls: int(a.cfg.Limits.Attempt.N), Per: a.cfg.Limits.Attempt.Per}
	return d, a.shopDeps(&d)
}

func (a *App) startPublic(context.Context) (func(context.Context) error, error) {
	d, err := a.publicDeps()
	if err != nil {
		return nil, err
	}
	g, err := api.Public(d)
	if err != nil {
		return nil, err
	}
	if err := a.policy.Attach(g); err != nil {
		return nil, err
	}
	return a.serve("public", a.cfg.Listen.Public, g)
}

func (a *App) startAdmin(context.Context) (func(context.Context) error, error) {
	d := a.deps()
	a.loginDeps(&d)
	var err error
	if d.Face, err = web.Console(web.Options{}); err != nil {
		return nil, err
	}
	if d.Policy, err = a.policies(d); err != nil {
		return nil, err
	}
	desk, stopDesk := a.consoleDesk()
	d.Desk = desk
	g, err := api.Admin(d)
	if err != nil {
		return nil, err
	}
	stop, err := a.serve("admin", a.cfg.Listen.Admin, g)
	return func(ctx context.Context) error { return errors.Join(stopDesk(ctx), stop(ctx)) }, err
}

func (a *App) startProbe(context.Context) (func(context.Context) error, error) {
	g, err := api.Probe(api.Deps{
		Gateway: gateway.Options{Clock: a.opt.Clock, ProblemBase: a.cfg.Problems, Logger: a.log, Drain: a.drain},
		Metrics: a.metrics.Handler(), Pprof: a.cfg.Pprof,
		Health: api.Health{
			Live:    func(ctx context.Context) error { return a.health.Live(ctx).Err() },
			Ready:   func(ctx context.Context) error { return a.health.Ready(ctx).Err() },
			Startup: func(ctx context.Context) error { return a.health.Startup(ctx).Err() },
		},
	})
	if err != nil {
		return nil, err
	}
	return a.serve("probe", a.cfg.Listen.Probe, g)
}
