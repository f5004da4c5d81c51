// Package till is a balance as a way to pay: a provider of payments whose money is on the same books.
//
// A charge takes the amount from the balance of the order's user in one transaction, under the payment's id; a balance that does
// not suffice declines it for good. There are no callbacks: what became of a charge whose answer was lost is found under its id.
// Safe for concurrent use.
package till

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"

	"penstock/balance"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
)

// Name is the payment method.
const Name = "balance"

// Till is a [payment.Provider].
type Till struct{ b *balance.Balances }

var (
	_ payment.Provider = Till{}
	_ payment.Voider   = Till{}
	_ payment.Holder   = Till{}
)

// New returns the provider over the balances.
func New(b *balance.Balances) Till { return Till{b} }

// branch reports whether a reference is that of a branch; those of charges are numbers of a book.
func branch(ref string) bool { return strings.Contains(ref, "/") }

func key(id ident.ID) string { return "payment/" + id.String() }

// Check refuses what only the sandbox understands.
func (Till) Check(b payment.Begin) error {
	if b.Outcome == "" && b.After == 0 {
		return nil
	}
	e := errs.New(errs.Invalid, "a balance pays at once")
	if b.Outcome != "" {
		e.Fields = append(e.Fields, errs.Field{Pointer: "/outcome", Detail: "is for the sandbox only"})
	}
	if b.After != 0 {
		e.Fields = append(e.Fields, errs.Field{Pointer: "/afterMs", Detail: "is for the sandbox only"})
	}
	return e
}

// Charge implements [payment.Provider].
func (t Till) Charge(ctx context.Context, c payment.Charge) (payment.Result, error) {
	tx, why, err := t.b.PostOrRefuse(ctx, balance.Move{
		Once: key(c.Payment), Kind: balance.Payment, User: c.User, Currency: c.Currency, Amount: c.Amount, Ref: key(c.Payment),
		Reason: "order " + c.Order.String(),
	})
	if errs.Is(err, errs.Invalid) {
		return payment.Result{Status: payment.Declined, Why: "a balance cannot pay that"}, nil // nor will it later
	}
	return result(tx, why, err)
}

// Query implements [payment.Provider].
func (t Till) Query(ctx context.Context, id ident.ID) (payment.Result, error) {
	tx, why, err := t.b.Settled(ctx, key(id))
	if errors.Is(err, sql.ErrNoRows) {
		return payment.Result{Status: payment.Absent}, nil
	}
	return result(tx, why, err)
}

// Void implements [payment.Voider].
func (t Till) Void(ctx context.Context, id ident.ID) (payment.Result, error) {
	return result(t.b.Void(ctx, id.Slot(), key(id), "the payment was given up"))
}

// Held implements [payment.Holder] for what branches of transactions across services hold; ref is their [balance.BranchRef].
func (t Till) Held(ctx context.Context, ref string) (payment.Result, error) {
	held, is, err := t.b.Branch(ctx, ref)
	res := payment.Result{Status: payment.Waiting, Ref: ref, Amount: held.Amount, Currency: held.Currency}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return payment.Result{Status: payment.Absent}, nil
	case err != nil:
		return payment.Result{}, err
	case is == balance.Take:
		res.Status = payment.Taken
	case is == balance.GiveBack:
		return payment.Result{Status: payment.Declined, Why: "it was given back"}, nil
	}
	return res, nil
}

// Refund implements [payment.Provider]. What a transaction still holds cannot go back yet: it is taken or given back first.
func (t Till) Refund(ctx context.Context, r payment.RefundCall) (payment.Result, error) {
	paid := key(r.Payment)
	if branch(r.Ref) {
		if held, err := t.Held(ctx, r.Ref); err != nil || held.Status == payment.Waiting {
			return held, err
		}
		paid = balance.TakenUnder(r.Ref)
	}
	_, why, err := t.b.GiveBack(ctx, balance.Move{
		Once: "refund/" + r.Refund.String(), Currency: r.Currency, Amount: r.Amount, Reason: "refund of payment " + r.Payment.String(),
	}, paid)
	if errs.Is(err, errs.NotFound) {
		return payment.Result{Status: payment.Declined, Why: "nothing was paid"}, nil
	}
	if err != nil {
		return payment.Result{}, err
	}
	if why != "" {
		return payment.Result{Status: payment.Declined, Why: why}, nil
	}
	return payment.Result{Status: payment.Returned, Amount: r.Amount, Currency: r.Currency}, nil
}

// Event implements [payment.Provider]: nobody reports.
func (Till) Event(http.Header, []byte) (payment.Event, error) {
	return payment.Event{}, errors.New("a balance makes no callbacks")
}

func result(t balance.Transaction, why string, err error) (payment.Result, error) {
	switch {
	case err != nil:
		return payment.Result{}, err
	case why != "":
		return payment.Result{Status: payment.Declined, Why: why}, nil
	}
	return payment.Result{Status: payment.Taken, Ref: t.ID(), Amount: t.Amount, Currency: t.Currency}, nil
}
