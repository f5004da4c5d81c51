package app

import (
	"context"

	"penstock/reconcile"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

// monitorName is who pauses a sale when the monitor does.
const monitorName = "monitor"

// startMonitor watches the stock rows where the timers are led.
func (a *App) startMonitor(ctx context.Context) (func(context.Context) error, error) {
	if a.cfg.Monitor.Every == 0 {
		return nil, nil
	}
	o := reconcile.MonitorOptions{
		Clock: a.opt.Clock, Logger: a.log, Every: a.cfg.Monitor.Every, Leads: a.leader.leads, Standing: a.standing,
	}
	if a.sales != nil { // elsewhere nobody keeps the gate up to date
		o.Level = a.gate.Level
	}
	if a.cfg.Monitor.Freeze {
		o.Freeze = a.freeze
	}
	m := reconcile.NewMonitor(rows{a.stock}, o)
	return func(context.Context) error { m.Stop(); return nil }, m.Start(ctx)
}

// rows shows the stock rows as the database has them.
type rows struct{ *stock.Stock }

func (r rows) Snapshot(ctx context.Context) (*driver.Snapshot, error) { return r.Stored(ctx) }

// freeze pauses a sale as an operator does.
func (a *App) freeze(ctx context.Context, id, reason string) error {
	sales := a.sales
	if sales == nil { // a process of timers only
		sales = sale.New(a.stock, a.gate, sale.Options{Clock: a.opt.Clock, Window: a.cfg.Payment.Window, Grace: a.cfg.Payment.Grace})
	}
	_, err := sales.Act(ctx, monitorName, id, sale.DoPause, reason)
	return err
}
