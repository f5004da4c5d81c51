package payment

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// raise records a case once and returns its kind, or "" if the same case is known.
func (p *Payments) raise(tx Tx, r row, kind string, res Result, detail string) (string, error) {
	fresh, err := tx.Insert(`INSERT INTO cases (payment, kind, ref, amount, currency, detail, at) VALUES (?,?,?,?,?,?,?)`,
		int64(r.ID), kind, res.Ref, res.Amount, res.Currency, detail, p.nowMS())
	if err != nil || !fresh {
		return "", err
	}
	return kind, nil
}

// raiseNow is raise in a transaction of its own.
func (p *Payments) raiseNow(ctx context.Context, r row, kind string, res Result, detail string) error {
	raised := ""
	err := p.db.Do(ctx, slot(r.ID), func(tx Tx) (err error) {
		raised, err = p.raise(tx, r, kind, res, detail)
		return err
	})
	if err == nil {
		p.report(r, effect{raised: raised})
	}
	return err
}

// silence raises a case when the provider has left a payment open for too long; cause is why it said nothing now, or nil. The
// provider is asked on.
func (p *Payments) silence(ctx context.Context, r row, cause error) error {
	if p.o.Clock.Now().Sub(r.ID.Time()) < p.o.CaseAfter+r.after {
		return nil
	}
	detail := "the provider says that it has not decided"
	if cause != nil {
		detail = "the provider cannot be asked: " + cause.Error()
	}
	return p.raiseNow(ctx, r, CaseSilent, Result{Amount: r.Amount, Currency: r.Currency}, detail)
}

// tired raises a case when the provider has left a refund open for too long, and returns cause.
func (p *Payments) tired(ctx context.Context, rf refundRow, pay row, cause error) error {
	if p.o.Clock.Now().Sub(rf.id.Time()) < p.o.CaseAfter {
		return cause
	}
	res := Result{Ref: rf.id.String(), Amount: rf.amount, Currency: pay.Currency}
	return errors.Join(cause, p.raiseNow(ctx, pay, CaseRefundWaiting, res, cause.Error()))
}

// close ends a case, once; who "" is the machine.
func (p *Payments) close(tx Tx, seq int64, action, who, reason string) (bool, error) {
	return tx.Insert(`INSERT INTO closings (seq, action, who, reason, at) VALUES (?,?,?,?,?)`, seq, action, who, reason, p.nowMS())
}

// byItself is the action of a case that ended without an operator.
const byItself = "by-itself"

// closeKind ends the payment's cases of a kind, which have come to an end by themselves.
func (p *Payments) closeKind(tx Tx, payment ID, kind, outcome string) error {
	return p.closeWhere(tx, outcome, `payment=? AND kind=?`, int64(payment), kind)
}

// closeOf ends the case of a kind about a refund.
func (p *Payments) closeOf(tx Tx, rf refundRow, kind string) error {
	return p.closeWhere(tx, "", `payment=? AND kind=? AND ref=?`, int64(rf.payment), kind, rf.id.String())
}

func (p *Payments) closeWhere(tx Tx, outcome, where string, args ...any) error {
	rows, err := tx.Query(`SELECT seq FROM cases WHERE `+where, args...)
	open, err := collect(rows, err, func(s scanner) (n int64, err error) { return n, s.Scan(&n) })
	for _, seq := range open {
		if err == nil {
			_, err = p.close(tx, seq, cmp.Or(outcome, byItself), "", "")
		}
	}
	return err
}

// refundCall is what the provider is asked for a refund: of the payment's transaction, unless an operator's resolution of a case
// names another.
func (p *Payments) refundCall(ctx context.Context, rf refundRow, pay row) (RefundCall, error) {
	q := RefundCall{Refund: rf.id, Payment: pay.ID, Ref: pay.ProviderRef, Amount: rf.amount, Currency: pay.Currency}
	if rf.auto != ordered {
		return q, nil
	}
	var aside int
	err := p.db.Scan(ctx, `SELECT aside, ref, currency FROM refund_details WHERE refund=?`, []any{int64(rf.id)}, &aside, &q.Ref, &q.Currency)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return q, fmt.Errorf("read what refund %s is of: %w", rf.id, err)
	}
	q.aside = aside != 0
	return q, nil
}
