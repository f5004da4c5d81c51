package app

import (
	"context"
	"time"

	"penstock/bus"
	busdriver "penstock/bus/driver"
)

// Buyers are queueing for the machine while batches of more than rush calls are committed; the rush is over when none was for
// the time of quiet.
const (
	rush  = 8
	quiet = 50 * time.Millisecond
)

// giveWay lets attempts go first: during a rush the orders wait up to the order writer's wait, and are then written for a
// quarter of it before they wait again. They are durable as claims meanwhile and readable from them, so nobody waits for the
// rows. It is called by one goroutine.
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
	for end := a.opt.Clock.Now().Add(a.cfg.OrderWriter.Wait); ; {
		now := a.opt.Clock.Now()
		calmAt := time.Unix(0, a.crowded.Load()).Add(quiet)
		if !now.Before(calmAt) || !now.Before(end) {
			return
		}
		t := a.opt.Clock.NewTimer(min(calmAt.Sub(now), end.Sub(now)))
		select {
		case <-t.C():
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}
