package order

import (
	"context"
	"fmt"

	"penstock/errs"
	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/stock"
	"penstock/stock/driver"
)

// Follow brings the order to where the claim is, writing the row if it is missing, and returns it. A claim that late money made
// takes the order that had expired, whose row must be there, to paid. A claim that is behind the
// order changes nothing. errs.IllegalTransition means that order and claim contradict each other.
func (o *Orders) Follow(ctx context.Context, claim *driver.Attempt) (Order, error) {
	return o.follow(ctx, claim, "", "")
}

func (o *Orders) follow(ctx context.Context, claim *driver.Attempt, who, why string) (Order, error) {
	if err := o.bring(ctx, claim, who, why); err != nil {
		return Order{}, err
	}
	return o.read(ctx, stock.OrderOf(claim))
}

// bring writes the order that follows a claim; why "" takes the claim's.
func (o *Orders) bring(ctx context.Context, claim *driver.Attempt, who, why string) error {
	to, err := target(claim.State, claim.Why)
	if err != nil {
		return err
	}
	if why == "" && claim.State == driver.Sold {
		why = string(Paid) // as the message of the sale says it
	}
	if why == "" {
		why = claim.Why
	}
	c := &change{Change: store.Change{ID: claim.ID, Seed: seedOf(claim)}, to: to, at: o.opt.Clock.Now().UnixNano(), why: why, who: who}
	c.follow(claim.Key.Key)
	err = o.write(ctx, c)
	if err == nil || !own(claim) || errs.Is(err, errs.IllegalTransition) {
		return err
	}
	if again, failed := o.revive(ctx, claim); failed != nil || !again {
		return err
	}
	return o.write(ctx, c)
}

// read returns an order that was just written.
func (o *Orders) read(ctx context.Context, id ident.ID) (Order, error) {
	ord, err := o.stored(ctx, id)
	if err != nil {
		return Order{}, errs.Wrap(errs.Unknown, err, "the order was written and cannot be read now; ask again")
	}
	if ord == nil {
		return Order{}, notFound(id)
	}
	return *ord, nil
}

// Cancel gives an unpaid order up and returns its stock. The claim decides: errs.IllegalTransition when it was paid or has
// expired. An order that is cancelled already is returned as it is. A user of "" is an operator; who and why are recorded,
// why is shown to the owner.
func (o *Orders) Cancel(ctx context.Context, user string, id ident.ID, who, why, trace string) (Order, error) {
	ord, err := o.Get(ctx, user, id)
	if err != nil {
		return Order{}, err
	}
	if ord.State == Cancelled {
		return ord, nil
	}
	if ord.State != Accepted && ord.State != PendingPayment {
		return Order{}, illegal(ord.State, Cancelled)
	}
	res, err := o.claims.Release(ctx, id, driver.Held, stock.WhyCancelled, trace)
	if err != nil {
		return Order{}, err
	}
	if res.Claim.State != driver.Released || res.Claim.Why != stock.WhyCancelled {
		why, who = "", ""
	}
	ord, err = o.follow(ctx, res.Claim, who, why)
	if err == nil && ord.State != Cancelled {
		err = illegal(ord.State, Cancelled)
	}
	if err != nil {
		return Order{}, err
	}
	return ord, nil
}

// Fulfil records that a paid order was handed over. An order that is fulfilled already is returned as it is.
func (o *Orders) Fulfil(ctx context.Context, id ident.ID, who, why string) (Order, error) {
	return o.act(ctx, &change{Change: store.Change{ID: id}, to: Fulfilled, who: who, why: why})
}

// Refund is money of an order that went back, in minor units.
type Refund struct {
	Amount int64
	// Before is what was refunded of the order before this refund, which makes it the only one that can follow.
	Before int64
	// Returned says that the units went back on sale.
	Returned bool
	Why      string
}

// WrongSum says that an order's refunded amount is neither what it was before a refund nor what it is after it.
type WrongSum struct{ Has, Expected int64 }

func (w *WrongSum) Error() string {
	return fmt.Sprintf("the order says %d was refunded, not %d", w.Has, w.Expected)
}

// AddRefund raises what was refunded of a paid order from r.Before by r.Amount. The order becomes refunded when nothing is left
// or when its stock was returned; a part of the amount leaves state, version and events as they are. It is idempotent: an order
// whose sum has the refund stays as it is. [WrongSum] when it has neither sum; errs.RefundTooLarge when less is left.
func (o *Orders) AddRefund(ctx context.Context, id ident.ID, r Refund) (Order, error) {
	if r.Amount < 0 || r.Before < 0 {
		return Order{}, errs.New(errs.Invalid, "a refund of %d after %d is negative", r.Amount, r.Before)
	}
	return o.act(ctx, &change{Change: store.Change{ID: id}, to: Refunded, refund: &r, why: r.Why})
}

// catchUp brings an order to where its claim is. An order that its claim contradicts keeps the refusal.
func (o *Orders) catchUp(ctx context.Context, id ident.ID, refusal error) error {
	claim, err := o.claims.Claim(ctx, id)
	switch {
	case err != nil:
		return err
	case claim == nil || !own(claim):
		return refusal
	}
	if err = o.bring(ctx, claim, "", ""); errs.Is(err, errs.IllegalTransition) {
		return refusal
	}
	return err
}

// act writes a step that needs a row. An order that has none yet, or whose row is behind its claim (a payment sells the claim
// first), is brought to where its claim is before the step is refused.
func (o *Orders) act(ctx context.Context, c *change) (Order, error) {
	c.at = o.opt.Clock.Now().UnixNano()
	err := o.write(ctx, c)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.IllegalTransition) {
		if err = o.catchUp(ctx, c.ID, err); err == nil {
			err = o.write(ctx, c)
		}
	}
	if err != nil {
		return Order{}, err
	}
	ord, err := o.read(ctx, c.ID)
	if err == nil && c.Seed == nil && o.opt.Hooks.Changed != nil {
		o.opt.Hooks.Changed(ord.User, ord.ID)
	}
	return ord, err
}
