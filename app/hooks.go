package app

import (
	"time"

	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/stock"
	"penstock/telemetry"
)

// orderHooks binds the order metrics. Everything sold here is sold over the open API and paid at the sandbox.
func (a *App) orderHooks() order.Hooks {
	created := map[string]telemetry.Orders{}
	return order.Hooks{
		Created: func(amount int64, currency string) {
			a.mu.Lock()
			series, ok := created[currency]
			if !ok {
				series = a.metrics.Orders("api", a.cfg.Payment.Provider, currency)
				created[currency] = series
			}
			a.mu.Unlock()
			series.Created(amount)
		},
		Changed: func(user string, id ident.ID) {
			a.holders.saw(user)
			a.events.changed(user, id)
			a.live.orders.Add(1)
		},
		Told:  a.outboxes.wakeOrders,
		Batch: func(rows, failed int, _ time.Duration) { a.metrics.OrdersWritten(rows - failed) },
	}
}

func (a *App) paymentOptions() payment.Options {
	called := map[string]telemetry.External{}
	for _, name := range a.cfg.Payment.Providers {
		called[name] = a.metrics.External("payment:" + name)
	}
	node := func() int { return a.cfg.Node }
	if shared := a.stockDB.shared; shared != nil {
		node = func() int { n, _ := shared.Node(); return n }
	}
	return payment.Options{
		Clock: a.opt.Clock, Logger: a.log, NodeNow: node, Fault: a.opt.Fault,
		Ended: func(method string, ok bool) { a.metrics.Payment(method, ok) },
		Late:  payment.LateMoney(a.cfg.Payment.LateMoney), CaseAfter: a.cfg.Payment.CaseAfter, MaxBackoff: a.cfg.Payment.QueryMax,
		Called: func(name, _ string, took time.Duration, err error) { called[name].Called(took, err) },
		Raised: a.metrics.PaymentCase, Lately: a.metrics.LateMoney, Told: a.outboxes.wakePayments,
	}
}

// stockLevels reads the gate's copy of the stock rows for the metrics. A sale that is over has no series: one would be added each day.
func (a *App) stockLevels() []telemetry.StockCount {
	var all []telemetry.StockCount
	now := a.opt.Clock.Now()
	for _, doc := range a.gate.Sales() {
		if !now.Before(stock.EndOf(doc)) {
			continue
		}
		for _, l := range a.gate.LevelsOf(doc.ID) {
			all = append(all, telemetry.StockCount{Sale: l.Sale, SKU: l.SKU, Available: l.Available})
		}
	}
	return all
}
