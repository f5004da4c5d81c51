// Package transfer is the payment provider "transfer": the buyer sends money from his bank account and names the payment; the
// money is captured when a line of the bank's statement says so, and not before.
//
// Nothing outside is called. What the bank said is kept in a table of lines, which an operator fills from statements. Until a
// line arrives a payment is unheard of: it stays pending during the payment window and fails with its claim; money that comes
// later is late money. A refund is given back when a line says that the bank sent it. Safe for concurrent use, and by several
// processes over one database.
package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order/payment"
	"penstock/order/payment/statement"
)

// Schema are the tables of bank lines, for either engine.
func Schema() sqldb.Schema {
	return sqldb.Schema{Name: "transfer", SQLite: []string{`
CREATE TABLE bank_lines (
	seq INTEGER PRIMARY KEY, type TEXT NOT NULL, ref TEXT NOT NULL, payment INTEGER NOT NULL, refund INTEGER NOT NULL,
	amount INTEGER NOT NULL, currency TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (type, ref)
) STRICT;
CREATE INDEX bank_lines_payment ON bank_lines (payment, seq);
CREATE INDEX bank_lines_refund ON bank_lines (refund) WHERE refund <> 0;`}, MySQL: []string{`
CREATE TABLE IF NOT EXISTS bank_lines (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, type VARBINARY(16) NOT NULL, ref VARBINARY(255) NOT NULL, payment BIGINT NOT NULL,
	refund BIGINT NOT NULL, amount BIGINT NOT NULL, currency VARBINARY(16) NOT NULL, at BIGINT NOT NULL,
	UNIQUE KEY bank_lines_once (type, ref), KEY bank_lines_payment (payment, seq), KEY bank_lines_refund (refund)
) ENGINE=InnoDB;`}}
}

// Provider is a [payment.Provider].
type Provider struct{ db sqldb.Store }

var _ payment.Provider = (*Provider)(nil)

// Over works on a store with the tables of [Schema], which the caller closes.
func Over(db sqldb.Store) *Provider { return &Provider{db} }

// Book keeps lines of the bank's statement. A line that is known, by its type and ref, is kept as it was first. Lines that name
// no payment are not ours to keep.
func (p *Provider) Book(ctx context.Context, lines []statement.Line) error {
	return p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, l := range lines {
			pay, err := ident.Parse(l.Payment)
			if err != nil {
				continue
			}
			refund := ident.ID(0)
			if l.Type == statement.Refund {
				if refund, err = ident.Parse(l.Refund); err != nil {
					continue
				}
			}
			_, err = tx.Insert(`INSERT INTO bank_lines (type, ref, payment, refund, amount, currency, at) VALUES (?,?,?,?,?,?,?)`,
				l.Type, l.Ref, int64(pay), int64(refund), l.Amount, l.Currency, l.At.UnixMilli())
			if err != nil {
				return fmt.Errorf("keep the bank's line %s: %w", l.Ref, err)
			}
		}
		return nil
	})
}

// Check refuses what only a sandbox can do.
func (p *Provider) Check(b payment.Begin) error {
	if b.Outcome == "" && b.After == 0 {
		return nil
	}
	e := errs.New(errs.Invalid, "a bank transfer takes neither an outcome nor a delay")
	e.Fields = []errs.Field{{Pointer: "/outcome", Detail: "is for the sandbox only"}}
	return e
}

// Charge asks nobody: the buyer sends the money. A line that is there already counts.
func (p *Provider) Charge(ctx context.Context, c payment.Charge) (payment.Result, error) {
	res, err := p.Query(ctx, c.Payment)
	if err == nil && res.Status == payment.Absent {
		res.Status = payment.Waiting
	}
	return res, err
}

// Query returns what the bank's first line for the payment says, or Absent.
func (p *Provider) Query(ctx context.Context, id ident.ID) (payment.Result, error) {
	r := payment.Result{Status: payment.Taken}
	err := p.db.Scan(ctx, `SELECT ref, amount, currency FROM bank_lines WHERE payment=? AND type='capture' ORDER BY seq LIMIT 1`, []any{int64(id)},
		&r.Ref, &r.Amount, &r.Currency)
	if errors.Is(err, sql.ErrNoRows) {
		return payment.Result{Status: payment.Absent}, nil
	}
	if err != nil {
		return payment.Result{}, fmt.Errorf("read the bank's lines of payment %s: %w", id, err)
	}
	return r, nil
}

// Refund waits until the bank says that it has sent the sum; somebody has to order that at the bank.
func (p *Provider) Refund(ctx context.Context, r payment.RefundCall) (payment.Result, error) {
	var amount int64
	var currency string
	err := p.db.Scan(ctx, `SELECT amount, currency FROM bank_lines WHERE refund=? AND type='refund' ORDER BY seq LIMIT 1`, []any{int64(r.Refund)}, &amount, &currency)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return payment.Result{Status: payment.Waiting}, nil
	case err != nil:
		return payment.Result{}, fmt.Errorf("read the bank's lines of refund %s: %w", r.Refund, err)
	case amount != r.Amount || currency != r.Currency:
		return payment.Result{}, fmt.Errorf("the bank sent %d %s for refund %s of %d %s", amount, currency, r.Refund, r.Amount, r.Currency)
	}
	return payment.Result{Status: payment.Returned, Amount: amount, Currency: currency}, nil
}

// Event believes nobody: a bank reports by its statement.
func (p *Provider) Event(http.Header, []byte) (payment.Event, error) {
	return payment.Event{}, errors.New("bank transfers are reported by statements, not by callbacks")
}
