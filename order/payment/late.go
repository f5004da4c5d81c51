package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// LateMoney says what becomes of money that comes after the claim was released.
type LateMoney string

// What becomes of late money. An order that was cancelled, or that another payment has paid, is never claimed again for.
const (
	// LateReclaim claims the units again where the sale, the stock and the buyer's limit allow it, and otherwise refunds.
	LateReclaim LateMoney = "reclaim"
	// LateRefund gives the money back.
	LateRefund LateMoney = "refund"
	// LateCase leaves it to an operator.
	LateCase LateMoney = "case"
)

// LateWays returns what Options.Late may be.
func LateWays() []LateMoney { return []LateMoney{LateReclaim, LateRefund, LateCase} }

// Outcomes of late money, as [Options].Lately is told.
const (
	LateReclaimed = "reclaimed"
	LateRefunded  = "refunded"
	LateRaised    = "case"
)

// Fault points of late money that claims again.
const (
	PointReclaimed = "payment.reclaimed" // the units are claimed anew, nobody here knows
	PointChosen    = "payment.chosen"    // it is written that this claim is the payment's, the claim not sold
	PointResold    = "payment.resold"    // the new claim is sold, the order not moved
)

// late decides about captured money whose claim is gone. The decision is a row of the payments database, written under the
// order's lock, so that money which claims again never goes back, and the other way round, whoever else works on it.
func (p *Payments) late(ctx context.Context, r row, claim *driver.Attempt, way LateMoney) (row, error) {
	if _, err := p.deps.Orders.Follow(ctx, claim); err != nil {
		return r, fmt.Errorf("order %s does not follow its claim, which was released: %w", r.Order, err)
	}
	again, err := p.claimFor(ctx, r.ID)
	if err != nil {
		return r, err
	}
	if again == 0 && (way == LateReclaim || way == LateReclaim.orCase()) && claim.Why == stock.WhyExpired {
		if again, err = p.reclaim(ctx, r, claim); err != nil {
			return r, err
		}
	}
	if again != 0 {
		sold, err := p.resell(ctx, r, again)
		if err != nil || sold {
			return r, err
		}
	}
	if way == LateCase || way == LateReclaim.orCase() {
		return p.lateCase(ctx, r)
	}
	return p.returnLate(ctx, r, again)
}

// claimFor returns the claim that was made anew for a payment, or 0.
func (p *Payments) claimFor(ctx context.Context, payment ident.ID) (claim ident.ID, err error) {
	err = p.db.Scan(ctx, `SELECT claim FROM late_money WHERE payment=?`, []any{int64(payment)}, &claim)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read what payment %s claimed: %w", payment, err)
	}
	return claim, nil
}

// reclaim claims the units of an expired order again, and writes down that the payment is for that claim. It returns 0 when
// that cannot be: then nothing is claimed.
func (p *Payments) reclaim(ctx context.Context, r row, old *driver.Attempt) (ident.ID, error) {
	req := stock.Request{Sale: old.Key.Sale, User: old.Key.User, Key: stock.LateKey(r.Order, r.ID), Trace: r.trace}
	for _, l := range old.Lines {
		req.Items = append(req.Items, stock.Item{SKU: l.SKU, Quantity: l.Quantity})
	}
	a := p.deps.Stock.Attempt(ctx, req)
	switch {
	case a.State == stock.Unknown, a.Reason == errs.ReducedCapacity, a.Reason == errs.Internal:
		return 0, fmt.Errorf("claim the units of order %s again: %s %s", r.Order, a.State, a.Reason)
	case a.State != stock.Won:
		p.o.Logger.Info("late money finds no units", "payment", r.ID.String(), "orderId", r.Order.String(), "reason", string(a.Reason))
		return 0, nil
	}
	if err := p.o.Fault.Hit(PointReclaimed); err != nil {
		return 0, err
	}
	mine := false
	if a.Attempt.Amount == r.Amount && a.Attempt.Currency == r.Currency { // else the price has changed since
		err := p.db.Do(ctx, slot(r.ID), func(tx Tx) error {
			mine = false
			now, err := load(tx, r.ID)
			if err != nil || !now.unsettled() {
				return err
			}
			mine = true
			_, err = tx.Insert(`INSERT INTO late_money (payment, claim) VALUES (?,?)`, int64(r.ID), int64(a.Attempt.ID))
			return err
		})
		if err != nil {
			return 0, err // the claim is found again by its key, or expires
		}
	}
	if mine {
		return a.Attempt.ID, p.o.Fault.Hit(PointChosen)
	}
	if _, err := p.deps.Stock.Release(ctx, a.Attempt.ID, driver.Held, stock.WhyCancelled, r.trace); err != nil {
		return 0, fmt.Errorf("let go of claim %s again: %w", a.Attempt.ID, err)
	}
	return 0, nil
}

// resell sells the claim made for late money and lets the order follow. False means that this claim is gone as well.
func (p *Payments) resell(ctx context.Context, r row, claim ident.ID) (bool, error) {
	res, err := p.deps.Stock.Sell(ctx, claim, "paid late", r.trace)
	if err != nil {
		return false, fmt.Errorf("sell the new claim %s of order %s: %w", claim, r.Order, err)
	}
	if err := p.o.Fault.Hit(PointResold); err != nil {
		return false, err
	}
	if !res.Moved {
		if res.Claim == nil || res.Claim.State != driver.Released {
			return false, fmt.Errorf("the new claim %s of order %s was neither sold nor released", claim, r.Order)
		}
		return false, nil
	}
	if _, err := p.deps.Orders.Follow(ctx, res.Claim); err != nil {
		return false, fmt.Errorf("order %s is sold late but does not follow: %w", r.Order, err)
	}
	fresh, settled := false, false
	err = p.db.Do(ctx, slot(r.ID), func(tx Tx) error {
		fresh, settled = false, false
		n, err := tx.Exec(`UPDATE payments SET next_at=NULL, tries=0 WHERE id=? AND next_at IS NOT NULL`, int64(r.ID))
		if settled = n == 1; err != nil || !settled {
			return err
		}
		fresh, err = p.lately(tx, r, LateReclaimed, "the units were claimed again as "+claim.String())
		return err
	})
	if settled {
		p.o.Ended(r.Provider, true)
	}
	p.toldLately(r, fresh, LateReclaimed)
	return true, err
}

// lateCase leaves late money to an operator.
func (p *Payments) lateCase(ctx context.Context, r row) (row, error) {
	fresh := false
	err := p.db.Do(ctx, slot(r.ID), func(tx Tx) (err error) {
		fresh = false
		if r, err = load(tx, r.ID); err != nil || !r.unsettled() {
			return err
		}
		r.Late = true
		if r, err = p.move(tx, r, Captured, false); err == nil {
			fresh, err = p.lately(tx, r, LateRaised, "the money came after the claim was released")
		}
		return err
	})
	if fresh {
		p.o.Ended(r.Provider, false)
	}
	p.toldLately(r, fresh, LateRaised)
	return r, err
}

// returnLate marks the money late and gives it back. A payment that is settled, or that somebody else already marked, is left
// alone: its claim may have been released by a refund. lost is a claim made for the payment that is gone as well, or 0; one
// that is not gone keeps the money here.
func (p *Payments) returnLate(ctx context.Context, r row, lost ident.ID) (row, error) {
	var refund ident.ID
	fresh := false
	err := p.db.Do(ctx, slot(r.ID), func(tx Tx) (err error) {
		refund, fresh = 0, false
		if r, err = load(tx, r.ID); err != nil || !r.unsettled() {
			return err
		}
		var claim ident.ID
		err = tx.Scan(`SELECT claim FROM late_money WHERE payment=?`, []any{int64(r.ID)}, &claim)
		if err == nil && claim != lost {
			return nil // another process has claimed for it meanwhile
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		r.Late = true
		if r, refund, err = p.giveBack(tx, r, "the money came after the claim was released"); err == nil {
			fresh, err = p.lately(tx, r, LateRefunded, "the money went back")
		}
		return err
	})
	if err != nil || refund == 0 {
		return r, err
	}
	p.o.Ended(r.Provider, false)
	p.toldLately(r, fresh, LateRefunded)
	if err := p.o.Fault.Hit(PointLate); err != nil {
		return r, err
	}
	return r, p.resumeRefund(ctx, refund)
}

// lately lists late money among the cases, closed unless somebody has to decide.
func (p *Payments) lately(tx Tx, r row, outcome, detail string) (fresh bool, err error) {
	kind, err := p.raise(tx, r, CaseLate, Result{Ref: r.ProviderRef, Amount: r.Captured, Currency: r.Currency}, detail)
	if err == nil && outcome != LateRaised {
		err = p.closeKind(tx, r.ID, CaseLate, outcome)
	}
	return kind != "" || outcome == LateReclaimed, err
}

func (p *Payments) toldLately(r row, fresh bool, outcome string) {
	if !fresh {
		return
	}
	p.o.Logger.Warn("late money", "payment", r.ID.String(), "orderId", r.Order.String(), "outcome", outcome)
	p.o.Raised(CaseLate)
	p.o.Lately(outcome)
}
