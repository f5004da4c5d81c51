package app

import "context"

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
