package shop

import (
	"context"
	"encoding/json"
	"errors"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/saga/participant"
	"penstock/stock/driver"
)

// Orders is what the participant needs of the orders; *order.Orders is one.
type Orders interface {
	Follow(ctx context.Context, claim *driver.Attempt) (order.Order, error)
}

// Payments is what the participant needs of the payments; *payment.Payments is one.
type Payments interface {
	Reserve(ctx context.Context, v payment.Reservation) (payment.Payment, error)
	Capture(ctx context.Context, v payment.Reservation) error
	Drop(ctx context.Context, v payment.Reservation) error
}

// Money is where the money of an order comes from: Method is the payment method whose provider knows what a branch of the
// transaction holds by Ref. With Payments nil no payments are written.
type Money struct {
	Payments Payments
	Method   string
	Ref      func(transaction, branch string) string
}

// Order is the orders as a participant: try makes the order of what the stock branch holds and reserves its payment, confirm
// makes it paid and captures the payment, cancel makes it cancelled and drops the payment. The claim decides, as everywhere. Its
// payload is {"sale","user","stock","balance"}: the names of the stock branch, which stands before it ("" means "stock"), and
// of the branch with the money ("" means "balance"). Without such a branch, or with one of another amount, the money is
// elsewhere, and no payment is captured.
type Order struct {
	claims Claims
	orders Orders
	money  Money
}

// NewOrder returns the participant.
func NewOrder(claims Claims, orders Orders, money Money) Order { return Order{claims, orders, money} }

type orderPayload struct {
	Sale    string `json:"sale"`
	User    string `json:"user"`
	Stock   string `json:"stock"`
	Balance string `json:"balance"`
}

func readOrder(payload json.RawMessage) (p orderPayload, err error) {
	if err = strict(payload, &p); err == nil && (p.Sale == "" || p.User == "") {
		err = errors.New(`want {"sale","user","stock","balance"}, sale and user not empty`)
	}
	if p.Stock == "" {
		p.Stock = "stock"
	}
	if p.Balance == "" {
		p.Balance = "balance"
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

// Try makes the order and reserves its payment, so that nobody pays it by another way meanwhile.
func (o Order) Try(ctx context.Context, b participant.Branch) error {
	claim, err := o.claim(ctx, b)
	if err != nil {
		return err
	}
	if claim.State == driver.Released {
		return participant.Refuse(errs.New(errs.IllegalTransition, "the units were given back (%s)", claim.Why))
	}
	if _, err = o.orders.Follow(ctx, claim); err != nil || o.money.Payments == nil {
		return err
	}
	_, err = o.money.Payments.Reserve(ctx, o.reservation(b, claim))
	switch errs.CodeOf(err) {
	case errs.IllegalTransition, errs.PaymentInProgress, errs.KeyReused:
		return participant.Refuse(err)
	}
	return err
}

// reservation is the payment of the branch's order.
func (o Order) reservation(b participant.Branch, claim *driver.Attempt) payment.Reservation {
	p, _ := readOrder(b.Payload) // the claim was found by it
	return payment.Reservation{
		Order: claim.ID, User: claim.Key.User, Key: keyOf(b.Transaction, b.Name), Method: o.money.Method, Ref: o.money.Ref(b.Transaction, p.Balance),
		Trace: b.Trace,
	}
}

// Confirm makes the order paid, selling what is held if the stock branch has not done so. The claim is sold first: while it is
// not, the payment is not captured, and nothing is late.
func (o Order) Confirm(ctx context.Context, b participant.Branch) error {
	claim, err := o.claim(ctx, b)
	if err != nil {
		return err
	}
	if claim, err = sell(ctx, o.claims, claim.ID, b.Trace); err != nil {
		return err
	}
	if o.money.Payments != nil {
		if err = o.money.Payments.Capture(ctx, o.reservation(b, claim)); err != nil {
			return err
		}
	}
	_, err = o.orders.Follow(ctx, claim)
	return err
}

// Cancel makes the order cancelled, giving back what is held if the stock branch has not done so, and drops its payment, one
// that a late try would reserve included. Without a claim there is no order, and while the stock branch is cancelled there will
// be none.
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
	if _, err = o.orders.Follow(ctx, claim); err != nil || o.money.Payments == nil {
		return err
	}
	return o.money.Payments.Drop(ctx, o.reservation(b, claim))
}
