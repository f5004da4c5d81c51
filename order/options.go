package order

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// Claims is what orders need of the stock. Package stock has it.
type Claims interface {
	// Claim returns the winning attempt with this id, or nil.
	Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error)
	// Unsent returns the user's wins that the bus has not yet been acknowledged for, in order of decision.
	Unsent(ctx context.Context, user string) ([]*driver.Attempt, error)
	// Release moves a claim from the given state to released. Moved is false when it had gone elsewhere before.
	Release(ctx context.Context, id ident.ID, from driver.ClaimState, why, trace string) (stock.MoveResult, error)
	// Due returns up to limit claims that are held and whose time is over, earliest first.
	Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error)
}

// Options tunes the orders. The zero value is good.
type Options struct {
	// Clock; nil means the machine's.
	Clock clock.Clock
	// Logger; nil discards.
	Logger *slog.Logger
	// BatchRows is how many orders go into one transaction at most; 0 means 100.
	BatchRows int
	// BatchWait is the longest that the first row of a batch waits for the batch to fill; 0 means 1 s. Only a pace makes rows
	// wait: without one, a batch is what is waiting when its database gets free.
	BatchWait time.Duration
	// Pace is how many orders from messages each database takes per second; 0 means no limit. What a caller waits for
	// (cancelling, paying) is not paced.
	Pace int
	// Parallel is how many databases one list reads at a time; 0 means 8.
	Parallel int
	// Patience is how long messages wait for a database before they are set aside until it answers again; 0 means 3 s. Callers
	// (cancelling, paying) wait as long as the database's driver does.
	Patience time.Duration
	// ExpireEvery is the time between two looks for claims whose time is over; 0 means 250 ms.
	ExpireEvery time.Duration
	// ExpireParallel is how many claims are released at a time, so that the stock can decide them together; 0 means 128.
	ExpireParallel int
	// Fault has the points "order.row" (before a row of a batch) and "order.commit" (before a batch is committed).
	Fault *fault.Points
	// Hooks are told what happened, for metrics.
	Hooks Hooks
}

// Hooks are called after the commit, from many goroutines, and must not block. Each may be nil.
type Hooks struct {
	// Created is called for each order that was written. Amount is in minor units.
	Created func(amount int64, currency string)
	// Changed is called for each order that was written or has moved, with its owner.
	Changed func(user string, id ident.ID)
	// Moved is called for each step after the first.
	Moved func(from, to State)
	// Batch is called for each transaction: how many orders it had, how many of them failed, how long it took.
	Batch func(rows, failed int, took time.Duration)
	// Told is called when a transaction has put messages into the outbox of a database.
	Told func(database int)
	// Expired is called for each round that found something: released, had gone elsewhere, failed.
	Expired func(released, gone, failed int)
}

// Validate names the first field that is out of range and what is allowed.
func (o Options) Validate() error {
	for _, f := range []struct {
		name     string
		val, max int64
	}{
		{"BatchRows", int64(o.BatchRows), 10_000}, {"BatchWait", int64(o.BatchWait), int64(time.Minute)},
		{"Pace", int64(o.Pace), 10_000_000}, {"Parallel", int64(o.Parallel), 256},
		{"Patience", int64(o.Patience), int64(time.Minute)},
		{"ExpireEvery", int64(o.ExpireEvery), int64(time.Minute)}, {"ExpireParallel", int64(o.ExpireParallel), 4096},
	} {
		if f.val < 0 || f.val > f.max {
			return fmt.Errorf("order option %s is %d, allowed is 0 to %d", f.name, f.val, f.max)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.BatchRows = cmp.Or(o.BatchRows, 100)
	o.BatchWait = cmp.Or(o.BatchWait, time.Second)
	o.Parallel = cmp.Or(o.Parallel, 8)
	o.Patience = cmp.Or(o.Patience, 3*time.Second)
	o.ExpireEvery = cmp.Or(o.ExpireEvery, 250*time.Millisecond)
	o.ExpireParallel = cmp.Or(o.ExpireParallel, 128)
	return o
}
