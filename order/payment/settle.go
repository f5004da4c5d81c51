package payment

import (
	"context"
	"fmt"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Fault points on the way from captured money to a paid order or a refund.
const (
	PointCaptured = "payment.captured" // the capture is durable, the claim not asked
	PointSold     = "payment.sold"     // the claim answered, the order not moved
	PointFollowed = "payment.followed" // the order is paid, the payment not settled
	PointLate     = "payment.late"     // the refund of late money is durable, the provider not asked
)

// settle lets the captured payment pay its order, or sends the money back if the claim is gone. It may run any number of times.
func (p *Payments) settle(ctx context.Context, r row) (row, error) {
	if err := p.o.Fault.Hit(PointCaptured); err != nil {
		return r, err
	}
	res, err := p.deps.Stock.Sell(ctx, r.Order, "paid", r.trace)
	if err != nil {
		return r, fmt.Errorf("sell the claim of order %s: %w", r.Order, err)
	}
	if err := p.o.Fault.Hit(PointSold); err != nil {
		return r, err
	}
	if !res.Moved {
		if res.Claim == nil || res.Claim.State != driver.Released {
			return r, fmt.Errorf("the claim of order %s was neither sold nor released", r.Order)
		}
		return p.returnLate(ctx, r)
	}
	if _, err := p.deps.Orders.Follow(ctx, res.Claim); err != nil {
		return r, fmt.Errorf("order %s is sold but does not follow: %w", r.Order, err)
	}
	if err := p.o.Fault.Hit(PointFollowed); err != nil {
		return r, err
	}
	settled := false
	err = p.db.Do(ctx, slot(r.ID), func(tx Tx) error {
		n, err := tx.Exec(`UPDATE payments SET next_at=NULL, tries=0 WHERE id=? AND next_at IS NOT NULL`, int64(r.ID))
		settled = n == 1
		return err
	})
	if settled {
		p.o.Ended(r.Provider, true)
	}
	return r, err
}

// returnLate marks the money late and gives it back. A payment that is settled, or that somebody else already marked, is left
// alone: its claim may have been released by a refund.
func (p *Payments) returnLate(ctx context.Context, r row) (row, error) {
	var refund ident.ID
	err := p.db.Do(ctx, slot(r.ID), func(tx Tx) (err error) {
		refund = 0
		if r, err = load(tx, r.ID); err != nil || !r.unsettled() {
			return err
		}
		r.Late = true
		r, refund, err = p.giveBack(tx, r, "the money came after the claim was released")
		return err
	})
	if err != nil || refund == 0 {
		return r, err
	}
	p.o.Logger.Warn("late money goes back", "payment", r.ID.String(), "orderId", r.Order.String())
	p.o.Raised(CaseLate)
	p.o.Ended(r.Provider, false)
	if err := p.o.Fault.Hit(PointLate); err != nil {
		return r, err
	}
	return r, p.resumeRefund(ctx, refund)
}
