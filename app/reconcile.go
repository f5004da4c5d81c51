package app

import (
	"context"
	"time"

	"penstock/reconcile"
	"penstock/stock/driver"
)

// gateLag is more than the pause in which a gate reads what other processes committed, or hears of a commit of its own.
const gateLag = 1500 * time.Millisecond

// reconciler compares what the rooms of this process have written down.
func (a *App) reconciler() *reconcile.Reconciler {
	d := reconcile.Deps{
		Stock: a.stock, Gate: a.gate, Orders: a.orders, Rows: a.rows, Clock: a.opt.Clock, Backlog: a.backlog,
		Letters: a.bus.DeadLetters(), Group: orderGroup, GateLag: gateLag,
	}
	if a.payments != nil {
		d.Payments = a.payments.Export
	}
	if a.balances != nil {
		d.Balances = a.balances.Export
	}
	if a.stockDB.shared != nil { // elsewhere they are made from the claims at each start
		d.Taken = a.taken
		d.Recount = func(ctx context.Context, ref driver.TakenRef) error {
			_, _, err := a.stockDB.shared.Recount(ctx, ref)
			return err
		}
	}
	if door := a.door.Load(); door != nil {
		d.Shared, _ = door.Gate.(reconcile.Shared)
	}
	return reconcile.New(d)
}

// taken reads allowances as a decision sees them.
func (a *App) taken(ctx context.Context, refs []driver.TakenRef) (out []int64, err error) {
	err = a.stockDB.Decide(ctx, &driver.Reads{Taken: refs}, func(s *driver.State) *driver.Changes {
		out = append([]int64(nil), s.Taken...)
		return nil
	})
	return out, err
}
