package payment

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

// Fault points of a refund.
const (
	PointRefunding = "payment.refunding" // the refund is durable, the provider not asked
	PointReturned  = "payment.returned"  // the provider gave the money back, nothing here knows
	PointPaidBack  = "payment.paid_back" // the money is back, the claim not asked
	PointReleased  = "payment.released"  // the units are back, the order not told
	PointTold      = "payment.told"      // the order knows, the refund is not finished
)

// resumeRefund takes a refund from wherever it stands to its end. It may run any number of times.
func (p *Payments) resumeRefund(ctx context.Context, id ident.ID) error {
	rf, err := p.refundByID(ctx, id)
	if err != nil {
		return fmt.Errorf("read refund %s: %w", id, err)
	}
	if rf.state == Refunding {
		if rf, err = p.payBack(ctx, rf); err != nil {
			return err
		}
	}
	if rf.state != paidBack {
		return nil
	}
	if err := p.o.Fault.Hit(PointPaidBack); err != nil {
		return err
	}
	return p.tell(ctx, rf.order)
}

// payBack asks the provider, by the refund's id, and makes its answer durable.
func (p *Payments) payBack(ctx context.Context, rf refundRow) (refundRow, error) {
	if err := p.o.Fault.Hit(PointRefunding); err != nil {
		return rf, err
	}
	pays, err := p.query(ctx, `SELECT `+payColumns+` FROM payments WHERE id=?`, int64(rf.payment))
	if err != nil || len(pays) != 1 {
		return rf, fmt.Errorf("read payment %s of refund %s: %d rows: %w", rf.payment, rf.id, len(pays), err)
	}
	pay := pays[0]
	q, err := p.refundCall(ctx, rf, pay)
	if err != nil {
		return rf, err
	}
	res, err := p.call(ctx, pay.Provider, "refund", func(ctx context.Context, prov Provider) (Result, error) { return prov.Refund(ctx, q) })
	if err != nil {
		return rf, p.tired(ctx, rf, pay, err)
	}
	if err := p.o.Fault.Hit(PointReturned); err != nil {
		return rf, err
	}
	switch res.Status {
	case Returned:
		return p.returned(ctx, rf, q, false)
	case Declined:
		return p.refused(ctx, rf, res)
	}
	return rf, p.tired(ctx, rf, pay, fmt.Errorf("%s has not decided refund %s yet", pay.Provider, rf.id))
}

// returned books money that is back with the buyer; outside says that it did not go through the provider.
func (p *Payments) returned(ctx context.Context, rf refundRow, q RefundCall, outside bool) (refundRow, error) {
	to, next := paidBack, any(p.o.Clock.Now().Add(p.o.QueryAfter).UnixMilli())
	if rf.auto != asked {
		to, next = Refunded, nil
	}
	err := p.db.Do(ctx, slot(rf.order), func(tx Tx) error {
		var last int64
		if err := tx.Scan(`SELECT max(seq) FROM refunds WHERE ord=?`, []any{int64(rf.order)}, &last); err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE refunds SET state=?, next_at=?, tries=0, at=?, seq=? WHERE id=? AND state='refunding'`,
			string(to), next, p.nowMS(), last+1, int64(rf.id))
		if err != nil || n == 0 {
			return err
		}
		if err := errors.Join(p.closeOf(tx, rf, CaseRefundRefused), p.closeOf(tx, rf, CaseRefundWaiting)); err != nil {
			return err
		}
		pay, err := load(tx, rf.payment)
		if err == nil && !outside {
			err = p.moved(tx, pay, moneyRefund, Result{Ref: rf.id.String(), Amount: rf.amount, Currency: q.Currency})
		}
		if err == nil && !q.aside {
			if _, err = tx.Exec(`UPDATE payments SET refunded=refunded+? WHERE id=?`, rf.amount, int64(rf.payment)); err == nil {
				err = p.rest(tx, rf.payment)
			}
		}
		if err != nil {
			return err
		}
		return p.sayRefunded(tx, rf.payment, rf)
	})
	if err != nil {
		return rf, err
	}
	p.o.Told()
	return p.refundByID(ctx, rf.id)
}

// rest writes the state a payment has between refunds.
func (p *Payments) rest(tx Tx, id ident.ID) error {
	_, err := tx.Exec(`UPDATE payments SET at=?, state=CASE
		WHEN refunded>=captured THEN 'refunded'
		WHEN EXISTS (SELECT 1 FROM refunds WHERE payment=payments.id AND state='refunding'
			AND id NOT IN (SELECT refund FROM refund_details WHERE aside=1)) THEN 'refunding'
		ELSE 'captured' END WHERE id=?`, p.nowMS(), int64(id))
	return err
}

// refused ends a refund that somebody asked for. Money that must go back is asked for again, and somebody has to look.
func (p *Payments) refused(ctx context.Context, rf refundRow, res Result) (refundRow, error) {
	raised := ""
	var pay row
	err := p.db.Do(ctx, slot(rf.order), func(tx Tx) (err error) {
		raised = ""
		if pay, err = load(tx, rf.payment); err != nil {
			return err
		}
		if rf.auto != asked {
			raised, err = p.raise(tx, pay, CaseRefundRefused, Result{Ref: rf.id.String(), Amount: rf.amount, Currency: pay.Currency}, res.Why)
			return err
		}
		if _, err = tx.Exec(`UPDATE refunds SET state='failed', next_at=NULL, at=? WHERE id=? AND state='refunding'`, p.nowMS(), int64(rf.id)); err != nil {
			return err
		}
		return p.rest(tx, rf.payment)
	})
	if err != nil {
		return rf, err
	}
	p.report(pay, effect{raised: raised})
	if rf.auto != asked {
		return rf, fmt.Errorf("the provider refuses refund %s: %s", rf.id, res.Why)
	}
	return p.refundByID(ctx, rf.id)
}

// tell lets an order know of all money that went back and was not told, in the order in which it went back. Telling is not
// idempotent, so the order's own sum decides whether it has heard of a refund already; being alone keeps that sum still.
func (p *Payments) tell(ctx context.Context, id ident.ID) error {
	return p.db.Alone(ctx, slot(id), func(held func() error) error {
		rows, err := p.db.Query(ctx, `SELECT `+refundColumns+` FROM refunds WHERE ord=? AND auto=0 AND seq>0 ORDER BY seq`, int64(id))
		all, err := collect(rows, err, scanRefund)
		if err != nil {
			return fmt.Errorf("read the refunds of order %s: %w", id, err)
		}
		var before int64
		for _, rf := range all {
			if rf.state == paidBack {
				if err := p.tellOne(ctx, rf, before, held); err != nil {
					return err
				}
			}
			before += rf.amount
		}
		return nil
	})
}

func (p *Payments) tellOne(ctx context.Context, rf refundRow, before int64, held func() error) error {
	if rf.returned {
		claim, err := p.claimFor(ctx, rf.payment)
		if err != nil {
			return err
		}
		res, err := p.deps.Stock.Release(ctx, cmp.Or(claim, rf.order), driver.Sold, stock.WhyRefunded, rf.trace)
		if err != nil {
			return fmt.Errorf("return the units of order %s: %w", rf.order, err)
		}
		if !res.Moved && (res.Claim == nil || res.Claim.State != driver.Released) {
			return fmt.Errorf("the claim of order %s was not released", rf.order)
		}
		if err := p.o.Fault.Hit(PointReleased); err != nil {
			return err
		}
	}
	if err := held(); err != nil {
		return err
	}
	_, err := p.deps.Orders.AddRefund(ctx, rf.order, order.Refund{Amount: rf.amount, Before: before, Returned: rf.returned, Why: rf.why})
	if wrong, ok := errors.AsType[*order.WrongSum](err); ok {
		return p.wrongBooks(ctx, rf, wrong.Has, before)
	}
	if err != nil {
		return fmt.Errorf("tell order %s of refund %s: %w", rf.order, rf.id, err)
	}
	if err := p.o.Fault.Hit(PointTold); err != nil {
		return err
	}
	return p.db.Do(ctx, slot(rf.order), func(tx Tx) error {
		if _, err := tx.Exec(`UPDATE refunds SET state='refunded', next_at=NULL, tries=0, at=? WHERE id=? AND state='paid_back'`, p.nowMS(), int64(rf.id)); err != nil {
			return err
		}
		return p.closeOf(tx, rf, CaseRefundBooks)
	})
}

func (p *Payments) wrongBooks(ctx context.Context, rf refundRow, has, before int64) error {
	detail := fmt.Sprintf("the order says %d was refunded; %d was, and refund %s is next", has, before, rf.id)
	raised := ""
	var pay row
	err := p.db.Do(ctx, slot(rf.order), func(tx Tx) (err error) {
		if pay, err = load(tx, rf.payment); err != nil {
			return err
		}
		raised, err = p.raise(tx, pay, CaseRefundBooks, Result{Ref: rf.id.String(), Amount: rf.amount, Currency: pay.Currency}, detail)
		return err
	})
	if err != nil {
		return err
	}
	p.report(pay, effect{raised: raised})
	return fmt.Errorf("order %s: %s", rf.order, detail)
}
