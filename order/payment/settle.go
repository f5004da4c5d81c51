package payment

import (
	"context"
	"fmt"

	"penstock/stock/driver"
)

// Fault points on the way from captured money to a paid order or a refund.
const (
	PointCaptured = "payment.captured" // the capture is durable, the claim not asked
	PointSold     = "payment.sold"     // the claim answered, the order not moved
	PointFollowed = "payment.followed" // the order is paid, the payment not settled
	PointLate     = "payment.late"     // the refund of late money is durable, the provider not asked
)

// settle lets the captured payment pay its order. If the claim is gone, the money is late. It may run any number of times.
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
		return p.late(ctx, r, res.Claim, p.o.Late)
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
