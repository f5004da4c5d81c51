package app

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"penstock/config"
)

// housekeepEvery is the pause between two rounds of housekeeping.
const housekeepEvery = 30 * time.Second

// startTimers starts what happens by itself: expiry of claims by the leader, resumption of payments, housekeeping.
func (a *App) startTimers(ctx context.Context) (func(context.Context) error, error) {
	if a.cfg.Has(config.RoleTimers) {
		if err := a.leader.campaign(ctx); err != nil {
			return nil, err
		}
		if err := a.orders.Start(ctx); err != nil {
			return nil, errors.Join(err, a.leader.resign(ctx))
		}
	}
	if a.payments != nil { // work that is due is locked by whoever does it
		if err := a.payments.Start(ctx); err != nil {
			return nil, errors.Join(err, a.leader.resign(ctx))
		}
	}
	stop := a.housekeep()
	return func(ctx context.Context) error { stop(); return a.leader.resign(ctx) }, nil
}

// housekeep lets the keys of closed sales leave memory, sweeps the limits and keeps the lag in the metrics.
func (a *App) housekeep() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	loop := func(every time.Duration, f func(context.Context) error) {
		done.Go(func() {
			for {
				t := a.opt.Clock.NewTimer(every)
				select {
				case <-t.C():
				case <-ctx.Done():
					t.Stop()
					return
				}
				if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
					a.log.Warn("housekeeping", "error", err.Error())
				}
			}
		})
	}
	if a.stockDB.archive != nil {
		loop(housekeepEvery, func(ctx context.Context) error {
			moved, err := a.stockDB.archive(ctx)
			if moved > 0 {
				a.log.Info("keys of closed sales left memory", "sales", moved)
			}
			return err
		})
	}
	if a.cfg.Has(config.RoleTimers) {
		loop(leaderTerm/5, a.leader.campaign)
		loop(housekeepEvery, a.pruneTransactions)
		loop(housekeepEvery, a.pruneBarriers)
		loop(housekeepEvery, a.pruneSales())
	}
	loop(housekeepEvery, func(context.Context) error {
		for _, sweep := range a.sweeps {
			sweep()
		}
		a.returnMemory()
		return nil
	})
	if a.stockDB.repair != nil {
		loop(time.Second, a.stockDB.repair)
	}
	if a.bus != nil {
		loop(time.Second, func(ctx context.Context) error {
			lag, err := a.backlog(ctx)
			if err == nil {
				a.metrics.BusLag(orderGroup, lag)
			}
			return err
		})
	}
	return func() { cancel(); done.Wait() }
}

// idleMemory is how much free heap is worth a collection to give it back.
const idleMemory = 128 << 20

// returnMemory gives the memory of a storm back to the machine once nobody is being served.
func (a *App) returnMemory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if (a.stock == nil || a.stock.InFlight() == 0) && m.HeapSys-m.HeapReleased > m.HeapAlloc+idleMemory {
		debug.FreeOSMemory()
	}
}
