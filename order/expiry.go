package order

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

const (
	// burst is how many due claims are asked for at a time.
	burst = 512
	// patience is how many failures end a round: then it is not the claims that are wrong.
	patience = 4 * burst
)

// expiry releases claims whose time is over. Its timers are the claims themselves, so that nothing is lost by a restart.
type expiry struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

func (e *expiry) start(ctx context.Context, o *Orders) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done != nil {
		return nil
	}
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.done = make(chan struct{})
	go func() {
		defer close(e.done)
		for {
			o.expireDue(ctx)
			t := o.opt.Clock.NewTimer(o.opt.ExpireEvery)
			select {
			case <-t.C():
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	}()
	return nil
}

func (e *expiry) stop() {
	e.mu.Lock()
	cancel, done := e.cancel, e.done
	e.mu.Unlock()
	if done != nil {
		cancel()
		<-done
	}
}

// expireDue releases what is due now, burst by burst. A claim that fails is left to the next round and keeps none behind it
// waiting.
func (o *Orders) expireDue(ctx context.Context) {
	now := o.opt.Clock.Now()
	failed := map[ident.ID]bool{}
	released, gone := 0, 0
	for ctx.Err() == nil && len(failed) < patience {
		due, err := o.claims.Due(ctx, now, burst+len(failed))
		if err != nil {
			if ctx.Err() == nil {
				o.opt.Logger.Warn("cannot tell which claims are due", "error", err)
			}
			break
		}
		fresh := due[:0]
		for _, id := range due {
			if !failed[id] {
				fresh = append(fresh, id)
			}
		}
		if len(fresh) == 0 {
			break
		}
		r, g := o.release(ctx, fresh, failed)
		released, gone = released+r, gone+g
	}
	if h := o.opt.Hooks.Expired; h != nil && released+gone+len(failed) > 0 {
		h(released, gone, len(failed))
	}
}

// release lets go of the claims, many at a time, and counts those it released and those that had gone elsewhere. What fails is
// put into failed.
func (o *Orders) release(ctx context.Context, ids []ident.ID, failed map[ident.ID]bool) (released, gone int) {
	var mu sync.Mutex
	g := new(errgroup.Group)
	g.SetLimit(o.opt.ExpireParallel)
	for _, id := range ids {
		g.Go(func() error {
			res, err := o.claims.Release(ctx, id, driver.Held, stock.WhyExpired, "")
			mu.Lock()
			switch {
			case err != nil:
				failed[id] = true
			case res.Moved:
				released++
			default:
				gone++
			}
			mu.Unlock()
			if err == nil && res.Claim != nil {
				err = o.bring(context.WithoutCancel(ctx), res.Claim, "", "")
			}
			if err != nil && ctx.Err() == nil {
				o.opt.Logger.Warn("expiry is behind", "order", id.String(), "released", res.Moved, "error", err)
			}
			return nil
		})
	}
	_ = g.Wait() // every error was counted
	return released, gone
}
