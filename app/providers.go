package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"penstock/balance/till"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/sandbox/client"
	"penstock/order/payment/statement"
	"penstock/stock/driver"
)

// providers opens the payment providers that the configuration lists, by the method that picks each. close ends them.
func (a *App) providers(ctx context.Context) (all map[string]payment.Provider, close func() error, err error) {
	all = map[string]payment.Provider{}
	var closers []func() error
	close = func() error {
		var all []error
		for _, f := range slices.Backward(closers) {
			all = append(all, f())
		}
		return errors.Join(all...)
	}
	for _, name := range a.cfg.Payment.Providers {
		p, end, err := a.provider(ctx, name)
		if err != nil {
			return nil, nil, errors.Join(err, close())
		}
		all[name], closers = p, append(closers, end)
	}
	return all, close, nil
}

func (a *App) provider(ctx context.Context, name string) (payment.Provider, func() error, error) {
	if name == till.Name {
		return till.New(a.balances), func() error { return nil }, nil
	}
	if name == "transfer" {
		return a.bank(ctx)
	}
	base := func() string { return cmp.Or(a.cfg.Payment.Sandbox, "http://"+a.Addrs()["sandbox"]) }
	callback := func() string {
		return cmp.Or(a.cfg.Payment.Callback, "http://"+a.Addrs()["public"]) + "/v1/payment-callbacks/sandbox"
	}
	c, err := client.New(base, callback, []webhookSecret{a.secret}, client.Options{Clock: a.opt.Clock})
	if err != nil {
		return nil, nil, err
	}
	return c, func() error { c.Close(); return nil }, nil
}

// auditedCases records what operators do about cases.
type auditedCases struct {
	*payment.Payments
	record func(context.Context, driver.Audit) error
}

// Resolve does what was decided about a case; see payment.Payments.
func (c auditedCases) Resolve(ctx context.Context, r payment.Resolution) (payment.Case, error) {
	after, err := c.Payments.Resolve(ctx, r)
	if err != nil {
		return after, err
	}
	said, _ := json.Marshal(map[string]any{"kind": after.Kind, "payment": after.Payment.String(), "amount": after.Amount, "currency": after.Currency, "state": "open"})
	then, _ := json.Marshal(map[string]any{"action": after.Action, "open": after.Open()}) // maps of plain values always have a JSON form
	return after, c.record(ctx, driver.Audit{
		Who: r.Who, Act: "case." + r.Action, Object: "case/" + ident.ID(r.Seq).String(), Why: r.Reason, Before: string(said), After: string(then),
	})
}

// statements compares what providers say with our ledger.
type statements struct {
	*payment.Payments
	providers map[string]payment.Provider
	record    func(context.Context, driver.Audit) error
}

// booker is a provider that learns from statements.
type booker interface {
	Book(ctx context.Context, lines []statement.Line) error
}

// Compare says where lines and our ledger disagree. With apply, lines of the bank are kept and taken for its report; other
// providers are asked about their payments. What a line says is never believed of a provider that can be asked.
func (s statements) Compare(ctx context.Context, who, provider string, lines []statement.Line, apply bool) ([]statement.Difference, error) {
	p, ok := s.providers[provider]
	if !ok {
		e := errs.New(errs.Invalid, "the provider is not known")
		e.Fields = []errs.Field{{Pointer: "/provider", Detail: "is none of this shop"}}
		return nil, e
	}
	if apply {
		if err := s.apply(ctx, p, provider, lines); err != nil {
			return nil, err
		}
		said, _ := json.Marshal(map[string]any{"lines": len(lines)})
		if err := s.record(ctx, driver.Audit{Who: who, Act: "statement.apply", Object: "provider/" + provider, Why: "statement", After: string(said)}); err != nil {
			return nil, err
		}
	}
	return statement.Compare(ctx, s, provider, lines)
}

func (s statements) apply(ctx context.Context, p payment.Provider, provider string, lines []statement.Line) error {
	bank, books := p.(booker)
	if books {
		if err := bank.Book(ctx, lines); err != nil {
			return err
		}
	}
	for _, l := range lines {
		id, err := ident.Parse(l.Payment)
		if err != nil {
			continue // nobody's: the comparison lists it
		}
		switch refund, bad := ident.Parse(l.Refund); {
		case l.Type == statement.Refund && bad == nil:
			err = s.Nudge(ctx, refund)
		case l.Type == statement.Capture && books:
			err = s.Learn(ctx, provider, payment.Event{Payment: id, Result: payment.Result{Status: payment.Taken, Ref: l.Ref, Amount: l.Amount, Currency: l.Currency}})
		case l.Type == statement.Capture:
			err = s.Nudge(ctx, id)
		}
		if err != nil && !errs.Is(err, errs.NotFound) {
			a := errs.Wrap(errs.Unknown, err, "line %s was not taken in; send the lines again", l.Ref)
			return a
		}
	}
	return nil
}
