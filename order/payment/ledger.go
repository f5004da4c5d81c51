package payment

import (
	"context"
	"fmt"
	"time"

	"penstock/internal/ident"
)

// Kinds of money that a provider moves.
const (
	moneyCapture = "capture"
	moneyRefund  = "refund"
)

// Money is an amount that a provider moved, as it was learned here. Ref is the provider's transaction for a capture, and our id
// of the refund for a refund; it occurs once per provider and kind. Amount is in minor units of Currency.
type Money struct {
	Seq      int64
	Provider string
	Kind     string
	Ref      string
	Payment  ident.ID
	Amount   int64
	Currency string
	At       time.Time
}

const moneyColumns = `seq, provider, kind, ref, payment, amount, currency, at`

func scanMoney(s scanner) (m Money, err error) {
	var at int64
	err = s.Scan(&m.Seq, &m.Provider, &m.Kind, &m.Ref, &m.Payment, &m.Amount, &m.Currency, &at)
	m.At = ms(at)
	return m, err
}

// moved writes money that a provider moved into the ledger, once.
func (p *Payments) moved(tx Tx, r row, kind string, res Result) error {
	_, err := tx.Insert(`INSERT INTO money (provider, kind, ref, payment, amount, currency, at) VALUES (?,?,?,?,?,?,?)`,
		r.Provider, kind, res.Ref, int64(r.ID), res.Amount, res.Currency, p.nowMS())
	return err
}

// Span names a page of the ledger: up to Limit rows of a provider learned in [From, To) with Seq > After.
type Span struct {
	Provider string
	From, To time.Time
	After    int64
	Limit    int
}

// Moved returns a page of the ledger in order of Seq.
func (p *Payments) Moved(ctx context.Context, s Span) ([]Money, error) {
	rows, err := p.db.Query(ctx, `SELECT `+moneyColumns+` FROM money WHERE at>=? AND at<? AND seq>? AND provider=? ORDER BY seq LIMIT ?`,
		s.From.UnixMilli(), s.To.UnixMilli(), s.After, s.Provider, s.Limit)
	all, err := collect(rows, err, scanMoney)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return all, nil
}

// MovedAs returns what the ledger has under a provider's transaction (kind "capture") or our refund (kind "refund"), or nil.
func (p *Payments) MovedAs(ctx context.Context, provider, kind, ref string) (*Money, error) {
	rows, err := p.db.Query(ctx, `SELECT `+moneyColumns+` FROM money WHERE provider=? AND kind=? AND ref=?`, provider, kind, ref)
	all, err := collect(rows, err, scanMoney)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return &all[0], nil
}

// ByID returns a payment, or nil. It does not check whose it is.
func (p *Payments) ByID(ctx context.Context, id ident.ID) (*Payment, error) {
	rows, err := p.query(ctx, `SELECT `+payColumns+` FROM payments WHERE id=?`, int64(id))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0].Payment, nil
}

// Learn applies what was said of a payment by another way than a callback, such as a line of a statement. It is a callback's
// effect without its signature; ev.ID makes a repeat harmless, as does the transaction in ev.Ref.
func (p *Payments) Learn(ctx context.Context, provider string, ev Event) error {
	_, err := p.learn(ctx, provider, ev)
	return err
}

// Nudge takes up what is unfinished of an order's payment or refund now, instead of at its time. An id that is neither does
// nothing.
func (p *Payments) Nudge(ctx context.Context, id ident.ID) error {
	pays, err := p.query(ctx, `SELECT `+payColumns+` FROM payments WHERE id=?`, int64(id))
	if err != nil {
		return err
	}
	if len(pays) == 1 {
		return p.resume(ctx, pays[0])
	}
	rf, err := p.refundByID(ctx, id)
	if err != nil || !rf.next() {
		return nil //nolint:nilerr // no such refund, or one that cannot be read now and is taken up at its time
	}
	return p.resumeRefund(ctx, id)
}

// RefundView is a refund as others see it.
type RefundView struct {
	ID, Payment ident.ID
	Amount      int64
	State       State
}

// Refunds returns the refunds of a payment, oldest first: those somebody asked for, and money that may not stay.
func (p *Payments) Refunds(ctx context.Context, payment ident.ID) ([]RefundView, error) {
	rows, err := p.db.Query(ctx, `SELECT `+refundColumns+` FROM refunds WHERE payment=? ORDER BY id`, int64(payment))
	all, err := collect(rows, err, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of payment %s: %w", payment, err)
	}
	out := make([]RefundView, len(all))
	for i, r := range all {
		out[i] = RefundView{r.id, r.payment, r.amount, r.state}
	}
	return out, nil
}
