package order

import (
	"context"
	"math"

	store "penstock/order/driver"
	"penstock/stock/driver"
)

// mostSteps is more than an order can have.
const mostSteps = 16

// revive writes the row of a claim's order again from its own events, where they outlived the row: they know of steps that the
// claim knows nothing of, such as that the goods went out. It reports whether there is a row now that was not there. What only
// the row had, the delivery and the refunded amount, is gone. Events that are no whole life of an order are left alone.
func (o *Orders) revive(ctx context.Context, claim *driver.Attempt) (bool, error) {
	db, table := o.route(claim.ID)
	d := o.store.Database(db)
	if row, err := d.Get(ctx, table, claim.ID); err != nil || row != nil {
		return false, err
	}
	left, err := d.Events(ctx, claim.ID-1, math.MaxInt64, claim.ID, mostSteps)
	if err != nil {
		return false, err
	}
	events := make([]Event, len(left))
	for i, e := range left {
		events[i] = e.Event
	}
	if !whole(events) {
		return false, nil
	}
	last := events[len(events)-1]
	err = d.Put(ctx, []Order{{
		ID: claim.ID, User: claim.Key.User, Sale: claim.Key.Sale, Key: claim.Key.Key, Lines: claim.Lines, State: last.To, Amount: claim.Amount,
		Currency: claim.Currency, CreatedAt: claim.At.UTC(), PayBefore: claim.PayBefore.UTC(), Version: last.N, Trace: claim.Trace,
		Events: events, Shard: db, Table: table,
	}})
	return err == nil, err
}

// Mend is [Orders.Follow] for an order that may have been written to from outside: a row whose state is not the last of its own events
// gets that one back, without a step, if the claim agrees with it. Steps that were taken stay taken.
func (o *Orders) Mend(ctx context.Context, claim *driver.Attempt) (Order, error) {
	if row, err := o.stored(ctx, claim.ID); err != nil {
		return Order{}, err
	} else if row != nil && own(claim) {
		if err := o.restate(ctx, claim, row); err != nil {
			return Order{}, err
		}
	}
	return o.Follow(ctx, claim)
}

func (o *Orders) restate(ctx context.Context, claim *driver.Attempt, row *Order) error {
	n := len(row.Events)
	if !whole(row.Events) || row.Version != int64(n) || row.State == row.Events[n-1].To {
		return nil
	}
	is := row.Events[n-1].To
	to, err := target(claim.State, claim.Why)
	if err != nil {
		return err
	}
	if _, err := path(is, to); err != nil {
		return nil // the events contradict the claim, too
	}
	return o.write(ctx, &change{Change: store.Change{ID: row.ID}, to: is, wrong: row.State, at: o.opt.Clock.Now().UnixNano()})
}

// whole reports whether events are numbered from 1 and every step is legal.
func whole(events []Event) bool {
	var from State
	for i, e := range events {
		if e.N != int64(i)+1 || e.From != from || !Legal(from, e.To) {
			return false
		}
		from = e.To
	}
	return len(events) > 0
}
