package payment

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strconv"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
)

// Refund gives money of a paid order back and returns the order afterwards; replayed says that the key was known. The sum of
// all refunds of an order never exceeds what was captured for it.
//
// Errors: [errs.Invalid], [errs.NotFound], [errs.KeyReused], [errs.IllegalTransition] (the order is not paid, nothing is left,
// or the provider refused), [errs.RefundTooLarge] (field "left" says how much could be refunded), [errs.Unknown] (the refund is
// durable and goes on; ask again with the same key).
func (p *Payments) Refund(ctx context.Context, r Refund) (order.Order, bool, error) {
	if r.Key == "" {
		return order.Order{}, false, errs.New(errs.KeyMissing, "an Idempotency-Key is required")
	}
	if r.Amount < 0 {
		e := errs.New(errs.Invalid, "the amount is not valid")
		e.Fields = []errs.Field{{Pointer: "/amount", Detail: "must be 0 (all that is left) or more"}}
		return order.Order{}, false, e
	}
	o, err := p.deps.Orders.Get(ctx, r.User, r.Order)
	if err != nil {
		return order.Order{}, false, err
	}
	rf, replayed, err := p.placeRefund(ctx, r, o)
	if err != nil {
		return order.Order{}, replayed, err
	}
	if rf.next() {
		if err := p.resumeRefund(ctx, rf.id); err != nil {
			p.o.Logger.Warn("refund goes on later", "refund", rf.id.String(), "orderId", r.Order.String(), "error", err)
		}
	}
	return p.afterRefund(ctx, r, rf.id, replayed)
}

// afterRefund answers from what the refund has become.
func (p *Payments) afterRefund(ctx context.Context, r Refund, id ident.ID, replayed bool) (order.Order, bool, error) {
	rf, err := p.refundByID(ctx, id)
	if err != nil {
		return order.Order{}, replayed, errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again with the same key")
	}
	switch rf.state {
	case Failed:
		return order.Order{}, replayed, errs.New(errs.IllegalTransition, "the payment provider refused the refund")
	case Refunded:
		o, err := p.deps.Orders.Get(ctx, r.User, r.Order)
		return o, replayed, err
	}
	e := errs.New(errs.Unknown, "the refund is on its way; ask again with the same key")
	e.RetryAfter = p.o.QueryAfter
	return order.Order{}, replayed, e
}

// next reports whether something is left to do.
func (r refundRow) next() bool { return r.state == Refunding || r.state == paidBack }

// placed is what became of a request for a refund.
type placed struct {
	refund   refundRow
	replayed bool
	refusal  error
	// settled is the provider of a payment that this request found to have paid its order, or "".
	settled string
}

// placeRefund makes the refund durable: the sum is checked and the row inserted in one transaction.
func (p *Payments) placeRefund(ctx context.Context, r Refund, o order.Order) (refundRow, bool, error) {
	fresh := refundRow{
		order: r.Order, user: r.User, key: r.Key, amount: r.Amount,
		body:     digest(strconv.FormatInt(r.Amount, 10), strconv.FormatBool(r.ReturnStock), r.Reason),
		returned: r.ReturnStock, why: r.Reason, who: r.Who, trace: r.Trace, state: Refunding,
	}
	if fresh.why == "" {
		fresh.why = "refunded"
	}
	var got placed
	err := p.db.Do(ctx, slot(r.Order), func(tx Tx) (err error) {
		got = placed{}
		const byKey = `SELECT ` + refundColumns + ` FROM refunds WHERE ord=? AND user=? AND ` + keyColumn + `=? AND auto=0`
		known, err := scanRefund(txRow{tx, byKey, []any{int64(r.Order), r.User, r.Key}})
		switch {
		case errors.Is(err, sql.ErrNoRows):
			got, err = p.newRefund(tx, fresh, o)
		case err == nil && bytes.Equal(known.body, fresh.body):
			got = placed{refund: known, replayed: true}
		case err == nil:
			got.refusal = errs.New(errs.KeyReused, "the key was used before with another body")
		}
		return err
	})
	if err != nil {
		return refundRow{}, false, err
	}
	if got.settled != "" {
		p.o.Ended(got.settled, true)
	}
	return got.refund, got.replayed, got.refusal
}

func (p *Payments) newRefund(tx Tx, fresh refundRow, o order.Order) (placed, error) {
	if o.State != order.Paid && o.State != order.Fulfilled && o.State != order.Refunded {
		return placed{refusal: errs.New(errs.IllegalTransition, "order %s is %s and has nothing to refund", o.ID, o.State)}, nil
	}
	pay, err := scanRow(txRow{tx, `SELECT ` + payColumns + ` FROM payments WHERE ord=? AND payer=1 AND late=0`, []any{int64(o.ID)}})
	if errors.Is(err, sql.ErrNoRows) {
		return placed{refusal: errs.New(errs.IllegalTransition, "order %s has no captured payment", o.ID)}, nil
	}
	if err != nil {
		return placed{}, err
	}
	var asked int64
	err = tx.Scan(`SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment=? AND state<>'failed' AND id NOT IN (SELECT refund FROM refund_details WHERE aside=1)`, []any{int64(pay.ID)}, &asked)
	if err != nil {
		return placed{}, err
	}
	left := pay.Captured - asked
	if fresh.amount == 0 {
		fresh.amount = left
	}
	switch {
	case fresh.amount == 0:
		return placed{refusal: errs.New(errs.IllegalTransition, "nothing of order %s is left to refund", o.ID)}, nil
	case fresh.amount > left:
		e := errs.New(errs.RefundTooLarge, "only %d of order %s can be refunded", left, o.ID)
		e.Extra = map[string]any{"left": left}
		return placed{refusal: e}, nil
	}
	if fresh.id, err = p.ids.next(p.o.Clock.Now(), o.ID.Slot()); err != nil {
		return placed{}, err
	}
	fresh.payment = pay.ID
	got := placed{refund: fresh}
	if pay.unsettled() {
		got.settled = pay.Provider
	}
	if _, err = p.move(tx, pay, Refunding, false); err != nil {
		return placed{}, err
	}
	return got, p.insertRefund(tx, fresh)
}

func (p *Payments) insertRefund(tx Tx, r refundRow) error {
	now := p.o.Clock.Now()
	_, err := tx.Exec(`INSERT INTO refunds (`+refundColumns+`, at, next_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,'refunding',0,?,0,?,?)`,
		int64(r.id), int64(r.order), int64(r.payment), r.user, r.key, r.body, r.auto, r.amount, r.returned, r.why, r.who, r.trace,
		now.UnixMilli(), now.Add(p.o.QueryAfter).UnixMilli())
	return err
}

func (p *Payments) refundByID(ctx context.Context, id ident.ID) (refundRow, error) {
	return scanRefund(storeRow{ctx, p.db, `SELECT ` + refundColumns + ` FROM refunds WHERE id=?`, []any{int64(id)}})
}
