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

// giveWay lets attempts go first: while buyers are queueing, the orders are written at most once in the order writer's wait.
// They are durable as claims meanwhile and readable from them, so nobody waits for the rows. It is called by one goroutine.
func (a *App) giveWay(h bus.Handler) bus.Handler {
	var next time.Time // no wait before then: one poll batch may come in several waves
	return func(ctx context.Context, batch []busdriver.Message) []error {
		if a.opt.Clock.Now().After(next) {
			a.awaitCalm(ctx)
			next = a.opt.Clock.Now().Add(a.cfg.OrderWriter.Wait / 4)
		}
		return h(ctx, batch)
	}
}

// awaitCalm returns when the rush is over, and at the latest after the order writer's wait.
func (a *App) awaitCalm(ctx context.Context) {
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
			return
		}
		if calm++; a.stock.InFlight() > rush {
			calm = 0
		}
	}
}
