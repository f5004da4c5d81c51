package payment

import (
	"context"
	"fmt"

	"penstock/errs"
	"penstock/internal/ident"
)

// refundCase gives what is at stake back: the closing of the case and the refund are one commit.
func (p *Payments) refundCase(ctx context.Context, c Case, q Resolution) error {
	var id ident.ID
	err := p.db.Do(ctx, slot(c.Payment), func(tx Tx) error {
		id = 0
		fresh, err := p.close(tx, c.Seq, ActRefund, q.Who, q.Reason)
		if err != nil || !fresh {
			return err
		}
		pay, err := load(tx, c.Payment)
		if err != nil {
			return err
		}
		next, err := p.ids.next(p.o.Clock.Now(), pay.ID.Slot())
		if err != nil {
			return err
		}
		aside := c.Kind == CaseSecondCapture
		if !aside {
			if pay.Captured-pay.Refunded < c.Amount || pay.State == Refunding || pay.State == Refunded {
				return errs.New(errs.IllegalTransition, "payment %s is %s and has %d of %d to give back", pay.ID, pay.State, pay.Captured-pay.Refunded, pay.Captured)
			}
			if _, err = p.move(tx, pay, Refunding, false); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`INSERT INTO refund_details (refund, aside, ref, currency) VALUES (?,?,?,?)`, int64(next), aside, c.Ref, c.Currency)
		if err != nil {
			return err
		}
		id = next
		return p.insertRefund(tx, refundRow{
			id: id, order: pay.Order, payment: pay.ID, body: []byte{}, auto: ordered, amount: c.Amount, why: q.Reason, who: q.Who, trace: pay.trace,
		})
	})
	if err != nil || id == 0 {
		return err
	}
	if c.Kind == CaseLate {
		p.o.Lately(LateRefunded)
	}
	if err := p.resumeRefund(ctx, id); err != nil {
		p.o.Logger.Warn("refund goes on later", "refund", id.String(), "case", c.Seq, "error", err)
	}
	return nil
}

// acceptCase marks the case as handled. A refund that the provider does not give is then booked as given back outside.
func (p *Payments) acceptCase(ctx context.Context, c Case, q Resolution) error {
	err := p.db.Do(ctx, slot(c.Payment), func(tx Tx) error {
		_, err := p.close(tx, c.Seq, ActAccept, q.Who, q.Reason)
		return err
	})
	if err != nil || c.Kind != CaseRefundRefused && c.Kind != CaseRefundWaiting {
		return err
	}
	rf, pay, err := p.caseRefund(ctx, c)
	if err != nil || rf.state != Refunding {
		return err
	}
	call, err := p.refundCall(ctx, rf, pay)
	if err == nil {
		rf, err = p.returned(ctx, rf, call, true)
	}
	if err == nil && rf.state == paidBack {
		err = p.resumeRefund(ctx, rf.id)
	}
	if err != nil {
		return errs.Wrap(errs.Unknown, err, "the refund is not finished; look at the case again")
	}
	return nil
}

// caseRefund is the refund that a case is about, with its payment.
func (p *Payments) caseRefund(ctx context.Context, c Case) (rf refundRow, pay row, err error) {
	id, err := ident.Parse(c.Ref)
	if err == nil {
		rf, err = p.refundByID(ctx, id)
	}
	if err == nil {
		pay, err = scanRow(storeRow{ctx, p.db, `SELECT ` + payColumns + ` FROM payments WHERE id=?`, []any{int64(rf.payment)}})
	}
	if err != nil {
		err = fmt.Errorf("read refund %q of case %d: %w", c.Ref, c.Seq, err)
	}
	return rf, pay, err
}

// retryCase does again what did not come to its end. The case closes with it.
func (p *Payments) retryCase(ctx context.Context, c Case) error {
	var err error
	switch c.Kind {
	case CaseLate:
		return p.retryLate(ctx, c)
	case CaseSilent:
		err = p.Nudge(ctx, c.Payment)
	default:
		id, bad := ident.Parse(c.Ref)
		if bad != nil {
			return errs.New(errs.IllegalTransition, "case %d names no refund", c.Seq)
		}
		err = p.resumeRefund(ctx, id)
	}
	if err != nil {
		return errs.Wrap(errs.Unknown, err, "it did not come to its end; look at the case again")
	}
	return nil
}

// retryLate makes late money unsettled again and lets it claim.
func (p *Payments) retryLate(ctx context.Context, c Case) error {
	var r row
	err := p.db.Do(ctx, slot(c.Payment), func(tx Tx) (err error) {
		if r, err = load(tx, c.Payment); err != nil {
			return err
		}
		if r.State != Captured || !r.payer || !r.Late && r.next.IsZero() {
			return errs.New(errs.IllegalTransition, "payment %s is %s and waits for nobody", r.ID, r.State)
		}
		r.Late = false
		r, err = p.move(tx, r, Captured, true)
		return err
	})
	if err != nil {
		return err
	}
	claim, err := p.deps.Stock.Claim(ctx, r.Order)
	if err == nil && claim == nil {
		err = fmt.Errorf("order %s has no claim", r.Order)
	}
	if err == nil {
		r, err = p.late(ctx, r, claim, LateReclaim.orCase())
	}
	if err != nil {
		return errs.Wrap(errs.Unknown, err, "it goes on; look at the case again")
	}
	if r.Late {
		return errs.New(errs.IllegalTransition, "the units of order %s cannot be claimed again: the sale, the stock or the limit does not allow it", r.Order)
	}
	return nil
}

// orCase is a re-claim that leaves the money to the operator when it cannot be.
func (w LateMoney) orCase() LateMoney { return w + "-or-case" }
