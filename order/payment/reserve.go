package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock/driver"
)

// Reservation names a payment whose money a transaction across services holds. Key is its name among the payments of the
// order, one that no buyer can send. Ref is what the provider Method knows the money by; it pays one order.
type Reservation struct {
	Order  ident.ID
	User   string
	Key    string
	Method string
	Ref    string
	Trace  string
}

// Holder is a provider whose money a transaction may hold under a reference, and take or give back without asking here. Held
// returns Waiting while it is held, Taken, Declined once it was given back, or Absent; amount and currency come with the first two.
type Holder interface {
	Held(ctx context.Context, ref string) (Result, error)
}

// reserved reports whether a transaction has the say over the payment: nobody is charged for it.
func (r row) reserved() bool { return r.State == Pending && r.ProviderRef != "" }

// Reserve keeps the place of the payment that a transaction makes: until Capture or Drop no other payment of the order can
// begin. A repeat changes nothing.
//
// Errors: [errs.IllegalTransition] (not payable, dropped before, or the money pays another order), [errs.PaymentInProgress],
// [errs.KeyReused], [errs.MethodUnknown], [errs.NotFound]: nothing is reserved, nor will it be by a repeat.
func (p *Payments) Reserve(ctx context.Context, v Reservation) (Payment, error) {
	fresh, o, err := p.reservation(ctx, v)
	if err != nil {
		return Payment{}, err
	}
	var r row
	var refusal error
	err = p.db.Do(ctx, slot(v.Order), func(tx Tx) (err error) {
		if refusal, err = otherUse(tx, fresh); err == nil && refusal == nil {
			r, _, refusal, err = p.place(tx, fresh, o, p.o.Clock.Now())
		}
		return err
	})
	if err == nil {
		err = refusal
	}
	if err == nil && r.State == Failed {
		err = errs.New(errs.IllegalTransition, "payment %s of order %s was dropped", r.ID, v.Order)
	}
	return r.Payment, err
}

// Capture makes the reserved payment the one that pays its order, if the provider holds or has taken for it exactly what the
// order costs; otherwise the money is elsewhere, and the payment fails. It reserves first what was not. Nil means that either
// is durable; a repeat changes nothing. The claim is to be sold before: money for one that is gone is late.
func (p *Payments) Capture(ctx context.Context, v Reservation) error {
	r, err := p.ensure(ctx, v)
	if err != nil || r.State != Pending {
		return err
	}
	held, err := p.held(ctx, r)
	if err != nil {
		return err
	}
	return p.decide(ctx, r, held)
}

// Drop ends a reservation, one that comes later included. A repeat changes nothing.
func (p *Payments) Drop(ctx context.Context, v Reservation) error {
	r, err := p.ensure(ctx, v)
	if err != nil || r.State != Pending {
		return err
	}
	return p.decide(ctx, r, Result{})
}

// decide captures what is held or taken for the order and costs the same, and lets the payment fail otherwise.
func (p *Payments) decide(ctx context.Context, r row, held Result) error {
	res := Result{Status: Declined, Why: "the transaction holds nothing for the order"}
	if (held.Status == Waiting || held.Status == Taken) && held.Amount == r.Amount && held.Currency == r.Currency {
		res = Result{Status: Taken, Ref: r.ProviderRef, Amount: held.Amount, Currency: held.Currency}
	}
	_, err := p.learn(ctx, r.Provider, Event{Payment: r.ID, Result: res})
	return err
}

func (p *Payments) held(ctx context.Context, r row) (Result, error) {
	return p.call(ctx, r.Provider, "held", func(ctx context.Context, prov Provider) (Result, error) {
		h, ok := prov.(Holder)
		if !ok {
			return Result{}, errs.New(errs.MethodUnknown, "no transaction holds money of %s", r.Provider)
		}
		return h.Held(ctx, r.ProviderRef)
	})
}

// resumeReserved ends a reservation that its transaction has left behind, such as a branch that was put right by hand. While the
// claim is held, or the money of a claim that is sold, the transaction goes on.
func (p *Payments) resumeReserved(ctx context.Context, r row) error {
	claim, err := p.deps.Stock.Claim(ctx, r.Order)
	if err != nil || claim == nil || claim.State == driver.Held {
		return err
	}
	held, err := p.held(ctx, r)
	if err != nil || held.Status == Waiting && claim.State == driver.Sold {
		return err
	}
	if held.Status == Waiting {
		held = Result{} // it goes back
	}
	return p.decide(ctx, r, held)
}

// reservation is the row that a reservation asks for, with its order.
func (p *Payments) reservation(ctx context.Context, v Reservation) (row, order.Order, error) {
	if _, ok := p.deps.Providers[v.Method].(Holder); !ok || v.Key == "" || v.Ref == "" || len(v.Ref) > maxName {
		return row{}, order.Order{}, errs.New(errs.MethodUnknown, "payment method %q reserves nothing under %q", v.Method, v.Ref)
	}
	o, err := p.deps.Orders.Get(ctx, v.User, v.Order)
	if err != nil {
		return row{}, order.Order{}, err
	}
	return row{
		Payment: Payment{
			Order: v.Order, User: v.User, Key: v.Key, Provider: v.Method, ProviderRef: v.Ref, State: Pending,
			Amount: o.Amount, Currency: o.Currency, At: ms(p.nowMS()),
		},
		body: digest(v.Method, v.Ref), trace: v.Trace, payBefore: o.PayBefore, next: later(o.PayBefore, p.o.Clock.Now()).Add(p.o.QueryAfter),
	}, o, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ensure returns the row of a reservation; one that is not there is made, payable or not.
func (p *Payments) ensure(ctx context.Context, v Reservation) (r row, err error) {
	fresh, _, err := p.reservation(ctx, v)
	if err != nil {
		return row{}, err
	}
	var refusal error
	err = p.db.Do(ctx, slot(v.Order), func(tx Tx) (err error) {
		refusal = nil
		if r, err = byKey(tx, fresh); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if refusal, err = otherUse(tx, fresh); err != nil || refusal != nil {
			return err
		}
		r = fresh
		if r.ID, err = p.ids.next(p.o.Clock.Now(), v.Order.Slot()); err != nil {
			return err
		}
		return insertRow(tx, r)
	})
	return r, errors.Join(err, refusal)
}

func byKey(tx Tx, r row) (row, error) {
	return scanRow(txRow{tx, `SELECT ` + payColumns + ` FROM payments WHERE ord=? AND user=? AND ` + keyColumn + `=?`, []any{int64(r.Order), r.User, r.Key}})
}

// otherUse refuses money that another payment has its reference of.
func otherUse(tx Tx, r row) (refusal, err error) {
	was, err := scanRow(txRow{tx, `SELECT ` + payColumns + ` FROM payments WHERE provider=? AND ref=?`, []any{r.Provider, r.ProviderRef}})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for other uses of %s: %w", r.ProviderRef, err)
	case was.Order == r.Order && was.User == r.User && was.Key == r.Key:
		return nil, nil
	}
	return errs.New(errs.IllegalTransition, "the money of %s pays order %s", r.ProviderRef, was.Order), nil
}
