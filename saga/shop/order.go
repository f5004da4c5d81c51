package shop

import (
	"context"
	"encoding/json"
	"errors"

	"penstock/errs"
	"penstock/order"
	"penstock/saga/participant"
	"penstock/stock/driver"
)

// Orders is what the participant needs of the orders; *order.Orders is one.
type Orders interface {
	Follow(ctx context.Context, claim *driver.Attempt) (order.Order, error)
}

// Order is the orders as a participant: try makes the order of what the stock branch holds, confirm makes it paid, cancel
// cancelled. The claim decides, as everywhere. Its payload is {"sale","user","stock"}, where stock is the name of the stock
// branch, which stands before it; "" means "stock".
type Order struct {
	claims Claims
	orders Orders
}

// NewOrder returns the participant.
func NewOrder(claims Claims, orders Orders) Order { return Order{claims, orders} }

type orderPayload struct {
	Sale  string `json:"sale"`
	User  string `json:"user"`
	Stock string `json:"stock"`
}

func readOrder(payload json.RawMessage) (p orderPayload, err error) {
	if err = strict(payload, &p); err == nil && (p.Sale == "" || p.User == "") {
		err = errors.New(`want {"sale","user","stock"}, sale and user not empty`)
	}
	if p.Stock == "" {
		p.Stock = "stock"
	}
	return p, err
}

// Stake is nothing: the units are the stock branch's.
func (o Order) Stake(payload json.RawMessage) (participant.Stake, error) {
	_, err := readOrder(payload)
	return participant.Stake{}, err
}

func (o Order) claim(ctx context.Context, b participant.Branch) (*driver.Attempt, error) {
	p, err := readOrder(b.Payload)
	if err != nil {
		return nil, participant.Refuse(errs.New(errs.Invalid, "payload: %v", err))
	}
	id, err := held(ctx, o.claims, p.Sale, p.User, keyOf(b.Transaction, p.Stock))
	if err != nil {
		return nil, err
	}
	return o.claims.Claim(ctx, id)
}

// Try makes the order; it waits for its payment.
func (o Order) Try(ctx context.Context, b participant.Branch) error {
	claim, err := o.claim(ctx, b)
	if err != nil {
		return err
	}
	if claim.State == driver.Released {
		return participant.Refuse(errs.New(errs.IllegalTransition, "the units were given back (%s)", claim.Why))
	}
	_, err = o.orders.Follow(ctx, claim)
	return err
}

// Confirm makes the order paid, selling what is held if the stock branch has not done so.
func (o Order) Confirm(ctx context.Context, b participant.Branch) error {
	claim, err := o.claim(ctx, b)
	if err != nil {
		return err
	}
	if claim, err = sell(ctx, o.claims, claim.ID, b.Trace); err != nil {
		return err
	}
	_, err = o.orders.Follow(ctx, claim)
	return err
}

// Cancel makes the order cancelled, giving back what is held if the stock branch has not done so. Without a claim there is no
// order, and while the stock branch is cancelled there will be none.
func (o Order) Cancel(ctx context.Context, b participant.Branch) error {
	claim, err := o.claim(ctx, b)
	if participant.Refused(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if claim, err = release(ctx, o.claims, claim.ID, b.Trace); err != nil {
		return err
	}
	_, err = o.orders.Follow(ctx, claim)
	return err
}
