package app

import (
	"context"
	"time"

	"penstock/bus"
	busdriver "penstock/bus/driver"
)

// Buyers are queueing for the machine while more than rush attempts are in flight; the rush is over when quiet looks in a row
// have found fewer (between two batches there are none for a moment).
const (
	rush  = 32
	quiet = 10
	look  = 5 * time.Millisecond
)

// giveWay lets attempts go first: while buyers are queueing, a poll batch waits up to the order writer's wait before it is
// written. The orders are durable as claims meanwhile and readable from them, so nobody waits for the rows.
func (a *App) giveWay(h bus.Handler) bus.Handler {
	return func(ctx context.Context, batch []busdriver.Message) []error {
		calm := quiet // without a rush nobody waits
		if a.stock.InFlight() > rush {
			calm = 0
		}
		for waited := time.Duration(0); calm < quiet && waited < a.cfg.OrderWriter.Wait; waited += look {
			t := a.opt.Clock.NewTimer(look)
			select {
			case <-t.C():
			case <-ctx.Done():
				t.Stop()
				return h(ctx, batch)
			}
			if calm++; a.stock.InFlight() > rush {
				calm = 0
			}
		}
		return h(ctx, batch)
	}
}
