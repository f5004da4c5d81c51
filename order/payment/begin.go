package payment

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/order"
)

// PointBegun is the fault point between the durable row of a payment and the call to the provider.
const PointBegun = "payment.begun"

// Begin starts a payment, or returns the one that the key started before (replayed). The payment is pending until the
// provider says otherwise; a provider that cannot be reached leaves it pending.
//
// Errors: [errs.Invalid], [errs.MethodUnknown], [errs.NotFound] (also for another user's order), [errs.KeyReused], [errs.IllegalTransition] (not
// payable, or after the payment window), [errs.PaymentInProgress].
func (p *Payments) Begin(ctx context.Context, b Begin) (Payment, bool, error) {
	if err := p.check(b); err != nil {
		return Payment{}, false, err
	}
	o, err := p.deps.Orders.Get(ctx, b.User, b.Order)
	if err != nil {
		return Payment{}, false, err
	}
	r, replayed, err := p.insert(ctx, b, o)
	if err != nil || replayed {
		return p.explained(ctx, r), replayed, err
	}
	if err := p.o.Fault.Hit(PointBegun); err != nil {
		return Payment{}, false, errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again with the same key")
	}
	after, err := p.charge(ctx, r)
	if err != nil {
		p.logged(r.ID, r.Order, err) // it stays pending
		return r.Payment, false, nil
	}
	return after.Payment, false, nil
}

// explained adds to a payment that failed what its provider says of it, if it says so now.
func (p *Payments) explained(ctx context.Context, r row) Payment {
	if r.State == Failed {
		res, err := p.call(ctx, r.Provider, "query", func(ctx context.Context, prov Provider) (Result, error) { return prov.Query(ctx, r.ID) })
		if err == nil && res.Status == Declined {
			r.Why = res.Why
		}
	}
	return r.Payment
}

func (p *Payments) check(b Begin) error {
	if b.User == "" {
		return errs.New(errs.NotFound, "there is no order %s", b.Order)
	}
	if b.Key == "" {
		return errs.New(errs.KeyMissing, "an Idempotency-Key is required")
	}
	prov, ok := p.deps.Providers[b.Method]
	if !ok {
		e := errs.New(errs.MethodUnknown, "the payment method is not known")
		e.Fields = []errs.Field{{Pointer: "/method", Detail: fmt.Sprintf("there is no payment method %q", b.Method)}}
		return e
	}
	return prov.Check(b)
}

// insert makes the pending row durable, unless the key is known or the order cannot be paid now.
func (p *Payments) insert(ctx context.Context, b Begin, o order.Order) (r row, replayed bool, err error) {
	now := p.o.Clock.Now()
	fresh := row{
		Payment: Payment{
			Order: b.Order, User: b.User, Key: b.Key, Provider: b.Method,
			State: Pending, Amount: o.Amount, Currency: o.Currency, At: ms(now.UnixMilli()),
		},
		body: digest(b.Method, b.Outcome, b.After.String()), outcome: b.Outcome, after: b.After, trace: b.Trace, payBefore: o.PayBefore,
	}
	fresh.next = p.firstLook(fresh, now)
	var refusal error
	err = p.db.Do(ctx, slot(b.Order), func(tx Tx) (err error) {
		r, replayed, refusal, err = p.place(tx, fresh, o, now)
		return err
	})
	if err != nil {
		return row{}, false, err
	}
	return r, replayed, refusal
}

// place decides about a new payment. The refusal is for the client; err means that the transaction must be rolled back.
func (p *Payments) place(tx Tx, fresh row, o order.Order, now time.Time) (r row, replayed bool, refusal, err error) {
	known, err := byKey(tx, fresh)
	switch {
	case err == nil && bytes.Equal(known.body, fresh.body):
		return known, true, nil, nil
	case err == nil:
		return row{}, false, errs.New(errs.KeyReused, "the key was used before with another body"), nil
	case !errors.Is(err, sql.ErrNoRows):
		return row{}, false, nil, err
	}
	if refusal := payable(o, now); refusal != nil {
		return row{}, false, refusal, nil
	}
	var live int
	err = tx.Scan(`SELECT count(*) FROM payments WHERE ord=? AND state IN ('pending', 'captured')`, []any{int64(fresh.Order)}, &live)
	if err != nil {
		return row{}, false, nil, err
	}
	if live > 0 {
		return row{}, false, errs.New(errs.PaymentInProgress, "another payment of order %s is in progress", fresh.Order), nil
	}
	if fresh.ID, err = p.ids.next(now, fresh.Order.Slot()); err != nil {
		return row{}, false, nil, err
	}
	return fresh, false, nil, insertRow(tx, fresh)
}

func insertRow(tx Tx, r row) error {
	_, err := tx.Exec(`INSERT INTO payments (`+payColumns+`) VALUES (?,?,?,?,?,?,?,'pending',?,?,0,0,0,0,?,?,?,?,?,?,0)`,
		int64(r.ID), int64(r.Order), r.User, r.Key, r.body, r.Provider, r.ProviderRef, r.Amount, r.Currency,
		r.outcome, r.after.Milliseconds(), r.trace, r.payBefore.UnixMilli(), r.At.UnixMilli(), r.next.UnixMilli())
	return err
}

func payable(o order.Order, now time.Time) error {
	if o.State != order.Accepted && o.State != order.PendingPayment {
		return errs.New(errs.IllegalTransition, "order %s is %s and cannot be paid", o.ID, o.State)
	}
	if now.After(o.PayBefore) {
		return errs.New(errs.IllegalTransition, "the payment window of order %s has ended", o.ID)
	}
	return nil
}

// firstLook is when the recovery loop asks about a payment for the first time.
func (p *Payments) firstLook(r row, now time.Time) time.Time {
	return p.beforeEnd(r, now, now.Add(r.after+p.o.QueryAfter))
}

// beforeEnd moves a look that would come after the payment window to shortly before its end.
func (p *Payments) beforeEnd(r row, now, next time.Time) time.Time {
	if edge := r.payBefore.Add(-p.o.QueryAfter); now.Before(edge) && next.After(edge) {
		return edge
	}
	return next
}

// charge asks the provider and applies a definite answer.
func (p *Payments) charge(ctx context.Context, r row) (row, error) {
	res, err := p.call(ctx, r.Provider, "charge", func(ctx context.Context, prov Provider) (Result, error) {
		return prov.Charge(ctx, Charge{Payment: r.ID, Order: r.Order, User: r.User, Amount: r.Amount, Currency: r.Currency, Outcome: r.outcome, After: r.after})
	})
	if err != nil || res.Status == Waiting {
		return r, err
	}
	return p.learn(ctx, r.Provider, Event{Payment: r.ID, Result: res})
}
