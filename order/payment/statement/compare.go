package statement

import (
	"context"
	"fmt"

	"penstock/internal/ident"
	"penstock/order/payment"
)

// Kinds of difference.
const (
	MissingHere  = "missing-here"
	MissingThere = "missing-there"
	OtherAmount  = "other-amount"
	OtherState   = "other-state"
	Duplicate    = "duplicate"
)

// Difference is one disagreement between a statement and our ledger, with what to do about it.
type Difference struct {
	Kind    string `json:"kind" enum:"missing-here,missing-there,other-amount,other-state,duplicate"`
	Type    string `json:"type" enum:"capture,refund"`
	Ref     string `json:"ref"`
	Payment string `json:"payment,omitempty"`
	Here    string `json:"here"`
	There   string `json:"there"`
	Do      string `json:"do"`
}

// Books is what the comparison needs of the payments; *payment.Payments is one.
type Books interface {
	MovedAs(ctx context.Context, provider, kind, ref string) (*payment.Money, error)
	ByID(ctx context.Context, id ident.ID) (*payment.Payment, error)
}

// Compare says where lines of a provider's statement and our ledger disagree.
func Compare(ctx context.Context, b Books, provider string, lines []Line) ([]Difference, error) {
	var found []Difference
	for _, l := range lines {
		here, err := b.MovedAs(ctx, provider, l.Type, l.key())
		if err != nil {
			return nil, err
		}
		d, differs := compare(l, here)
		if here == nil && l.moved() {
			if d, err = unheard(ctx, b, provider, l); err != nil {
				return nil, err
			}
			differs = true
		}
		if differs {
			found = append(found, d)
		}
	}
	return found, nil
}

func sum(amount int64, currency string) string { return fmt.Sprintf("%d %s", amount, currency) }

func (l Line) difference(kind, here, do string) Difference {
	there := sum(l.Amount, l.Currency)
	if !l.moved() {
		there = l.State
	}
	return Difference{Kind: kind, Type: l.Type, Ref: l.key(), Payment: l.Payment, Here: here, There: there, Do: do}
}

// compare is about what our ledger has.
func compare(l Line, here *payment.Money) (Difference, bool) {
	switch {
	case here == nil:
		return Difference{}, false
	case !l.moved():
		return l.difference(OtherState, "moved "+sum(here.Amount, here.Currency),
			"ask the provider in writing: it told us by a signed report or an answer that the money moved"), true
	case l.Amount != here.Amount || l.Currency != here.Currency:
		return l.difference(OtherAmount, sum(here.Amount, here.Currency),
			"compare with the bank account; a wrong capture is a case of its own (`penstock case list`), a wrong statement is the provider's to correct"), true
	case l.Payment != "" && l.Payment != here.Payment.String():
		d := l.difference(OtherState, "belongs to payment "+here.Payment.String(), "the provider books the transaction under another payment: ask it which is right before anything is refunded")
		return d, true
	}
	return Difference{}, false
}

// unheard is about money that moved and that our ledger does not have.
func unheard(ctx context.Context, b Books, provider string, l Line) (Difference, error) {
	d := l.difference(MissingHere, "nothing", "nobody here knows this payment: find out whose money it is and have the provider give it back")
	id, err := ident.Parse(l.Payment)
	if err != nil {
		return d, nil //nolint:nilerr // a line that names no payment of ours
	}
	p, err := b.ByID(ctx, id)
	if err != nil || p == nil || p.Provider != provider {
		return d, err
	}
	d.Kind, d.Here = OtherState, "payment is "+string(p.State)
	switch {
	case l.Type == Refund:
		d.Kind, d.Do = MissingHere, "the provider gave money back that nobody here asked for: correct the books at the provider, or refund the order by the same sum"
	case p.State == payment.Pending || p.State == payment.Failed:
		d.Do = "send the lines with apply, or wait until the provider is asked again: the capture then pays the order, or goes back if the order is gone"
	default:
		d.Do = "the payment was captured under another transaction: a second capture, to be refunded (`penstock case list`)"
	}
	return d, nil
}
