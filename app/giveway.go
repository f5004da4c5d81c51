package app

import (
	"context"
	"time"

	"penstock/bus"
	busdriver "penstock/bus/driver"
)

// rush is how many attempts in flight mean that buyers are queueing for the machine.
const rush = 48

// giveWay lets attempts go first: while buyers are queueing, a poll batch waits up to the order writer's wait before it is
// written. The orders are durable as claims meanwhile and readable from them, so nobody waits for the rows.
func (a *App) giveWay(h bus.Handler) bus.Handler {
	return func(ctx context.Context, batch []busdriver.Message) []error {
		const look = 5 * time.Millisecond
		for waited := time.Duration(0); waited < a.cfg.OrderWriter.Wait && a.stock.InFlight() > rush; waited += look {
			t := a.opt.Clock.NewTimer(look)
			select {
			case <-t.C():
			case <-ctx.Done():
				t.Stop()
				return h(ctx, batch)
			}
		}
		return h(ctx, batch)
	}
}
