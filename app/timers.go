package app

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// housekeepEvery is the pause between two rounds of housekeeping.
const housekeepEvery = 30 * time.Second

// startTimers starts what happens by itself: expiry of claims, resumption of payments, housekeeping.
func (a *App) startTimers(ctx context.Context) (func(context.Context) error, error) {
	if err := a.orders.Start(ctx); err != nil {
		return nil, err
	}
	if err := a.payments.Start(ctx); err != nil {
		return nil, err
	}
	stop := a.housekeep()
	return func(context.Context) error { stop(); return nil }, nil
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
	loop(housekeepEvery, func(ctx context.Context) error {
		moved, err := a.driver.Archive(ctx)
		if moved > 0 {
			a.log.Info("keys of closed sales left memory", "sales", moved)
		}
		return err
	})
	loop(housekeepEvery, func(context.Context) error {
		for _, sweep := range a.sweeps {
			sweep()
		}
		a.returnMemory()
		return nil
	})
	loop(time.Second, a.driver.Repair)
	loop(time.Second, func(ctx context.Context) error {
		lag, err := a.backlog(ctx)
		if err == nil {
			a.metrics.BusLag(orderGroup, lag)
		}
		return err
	})
	return func() { cancel(); done.Wait() }
}

// idleMemory is how much free heap is worth a collection to give it back.
const idleMemory = 128 << 20

// returnMemory gives the memory of a storm back to the machine once nobody is being served.
func (a *App) returnMemory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if a.stock.InFlight() == 0 && m.HeapSys-m.HeapReleased > m.HeapAlloc+idleMemory {
		debug.FreeOSMemory()
	}
}
