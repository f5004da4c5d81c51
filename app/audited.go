package app

import (
	"context"
	"encoding/json"
	"strings"

	"penstock/bus"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/stock/driver"
)

// audited records what operators do to orders. An operator's call names no user. The row is written when the act is done, with
// the order before and after; the order's own events say the same should the process die in between.
type audited struct {
	*order.Orders
	record func(context.Context, driver.Audit) error
}

// Cancel cancels an order; see order.Orders.
func (o audited) Cancel(ctx context.Context, user string, id ident.ID, who, why, trace string) (order.Order, error) {
	return o.act(ctx, driver.Audit{Who: who, Act: "order.cancel", Why: why}, user, id, func() (order.Order, error) {
		return o.Orders.Cancel(ctx, user, id, who, why, trace)
	})
}

// Fulfil records that an order was handed over; see order.Orders.
func (o audited) Fulfil(ctx context.Context, id ident.ID, who, why string) (order.Order, error) {
	return o.act(ctx, driver.Audit{Who: who, Act: "order.fulfil", Why: why}, "", id, func() (order.Order, error) {
		return o.Orders.Fulfil(ctx, id, who, why)
	})
}

func (o audited) act(ctx context.Context, a driver.Audit, user string, id ident.ID, do func() (order.Order, error)) (order.Order, error) {
	if user != "" {
		return do()
	}
	before, err := o.Get(ctx, "", id)
	if err != nil {
		return order.Order{}, err
	}
	after, err := do()
	if err != nil {
		return order.Order{}, err
	}
	a.Object, a.Before, a.After = "order/"+id.String(), summary(before), summary(after)
	return after, o.record(ctx, a)
}

func summary(o order.Order) string {
	text, _ := json.Marshal(map[string]any{"state": o.State, "version": o.Version, "refundedAmount": o.Refunded}) // always has a JSON form
	return string(text)
}

// auditedMoney records what operators refund.
type auditedMoney struct {
	*payment.Payments
	orders audited
}

// Refund gives money back; see payment.Payments.
func (p auditedMoney) Refund(ctx context.Context, r payment.Refund) (o order.Order, replayed bool, err error) {
	a := driver.Audit{Who: r.Who, Act: "order.refund", Why: strings.TrimSpace(r.Reason)}
	o, err = p.orders.act(ctx, a, r.User, r.Order, func() (order.Order, error) {
		o, again, err := p.Payments.Refund(ctx, r)
		replayed = again
		return o, err
	})
	return o, replayed, err
}

// recordAct writes what an operator did to a dead letter into the trail.
func (a *App) recordAct(ctx context.Context, act bus.Act) error {
	return a.stock.Record(ctx, driver.Audit{
		Who: act.Who, Act: act.Act, Object: act.Object, Why: act.Why, Before: act.Before, After: act.After, ID: act.ID,
	})
}
