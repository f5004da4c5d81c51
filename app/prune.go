package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"penstock/balance"
	"penstock/errs"
	"penstock/saga/barrier"
)

// pruneRounds bounds the batches that one round of housekeeping removes: 2,000 transactions each half minute.
const pruneRounds = 20

// pruneTransactions removes transactions across services that ended longer ago than they are kept. One process does it at a
// time; two would do no harm.
func (a *App) pruneTransactions(ctx context.Context) error {
	if a.sagas == nil || a.cfg.Transactions.Keep == 0 {
		return nil
	}
	before, all := a.opt.Clock.Now().Add(-a.cfg.Transactions.Keep), 0
	for range pruneRounds {
		if !a.leader.leads() {
			break
		}
		n, more, err := a.sagas.Prune(ctx, before)
		all += n
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if all > 0 {
		a.log.Info("old transactions across services were removed", "transactions", all)
	}
	return nil
}

// pruneBarriers removes what the participants here keep of transactions that a coordinator elsewhere began, as long after they ended as
// our own are kept, and never before a coordinator has stopped to call by itself.
func (a *App) pruneBarriers(ctx context.Context) error {
	if a.sagas == nil || a.balances == nil || a.cfg.Transactions.Keep == 0 || !a.leader.leads() {
		return nil
	}
	before := a.opt.Clock.Now().Add(-max(a.cfg.Transactions.Keep, barrier.Keep))
	n, err := balance.NewParticipant(a.balances).Prune(ctx, before, pruneRounds*100, a.coordinates)
	if n > 0 {
		a.log.Info("old branches of transactions elsewhere were forgotten", "branches", n)
	}
	return err
}

// coordinates says whether a transaction is one of ours, which has not been removed.
func (a *App) coordinates(ctx context.Context, transaction string) (bool, error) {
	_, _, err := a.sagas.Get(ctx, transaction)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// pruneSales returns the work that forgets what nobody needs of sales that ended long ago, in short transactions between decisions.
func (a *App) pruneSales() func(context.Context) error {
	pruned := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "penstock_pruned_total", Help: "What this process removed of sales that ended longer ago than sales.keep: sales gone through, final refusals with their keys, limits in use.",
	}, []string{"what"})
	a.metrics.Registry().MustRegister(pruned)
	return func(ctx context.Context) error {
		if a.stock == nil || a.cfg.Sales.Keep == 0 || !a.leader.leads() {
			return nil
		}
		p, err := a.stock.Prune(ctx, a.opt.Clock.Now().Add(-a.cfg.Sales.Keep), pruneRounds)
		for what, n := range map[string]int{"sales": p.Sales, "refusals": p.Noes, "limits": p.Allowances} {
			pruned.WithLabelValues(what).Add(float64(n))
		}
		if p.Noes+p.Allowances+p.Sales > 0 {
			a.log.Info("what nobody needs of old sales was removed", "sales", p.Sales, "refusals", p.Noes, "limits", p.Allowances)
		}
		return err
	}
}
