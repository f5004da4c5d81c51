package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"penstock/engine/groupcommit"
	"penstock/errs"
	"penstock/internal/ident"
)

// migrations of sandbox.db. A charge is written once; only what concerns its callbacks changes: step counts the callbacks
// that were taken, next_at is when the next one is due, NULL when there is none. Times are Unix milliseconds.
var migrations = []string{`
CREATE TABLE charges (
	id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, currency TEXT NOT NULL, outcome TEXT NOT NULL, after_ms INTEGER NOT NULL,
	callback TEXT NOT NULL, made INTEGER NOT NULL, step INTEGER NOT NULL, tries INTEGER NOT NULL, next_at INTEGER
) STRICT;
CREATE INDEX charges_due ON charges (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE refunds (
	id INTEGER PRIMARY KEY, payment INTEGER NOT NULL, amount INTEGER NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX refunds_payment ON refunds (payment);`}

// charge is a row of the books.
type charge struct {
	id       ident.ID
	amount   int64
	currency string
	outcome  string
	after    time.Duration
	callback string
	made     time.Time
	step     int
	tries    int
	next     sql.NullInt64
}

const chargeColumns = `id, amount, currency, outcome, after_ms, callback, made, step, tries, next_at`

func scanCharge(scan func(...any) error) (charge, error) {
	var c charge
	var after, made int64
	err := scan(&c.id, &c.amount, &c.currency, &c.outcome, &after, &c.callback, &made, &c.step, &c.tries, &c.next)
	c.after, c.made = time.Duration(after)*time.Millisecond, time.UnixMilli(made).UTC()
	return c, err
}

// due is when the charge is decided.
func (c charge) due() time.Time { return c.made.Add(c.after) }

// ref is the provider's transaction id.
func (c charge) ref() string { return "sbx_" + strconv.FormatInt(int64(c.id), 36) }

// taken is what was captured, once the charge is due.
func (c charge) taken() int64 {
	switch c.outcome {
	case Fail:
		return 0
	case WrongAmount:
		return c.amount + 1
	}
	return c.amount
}

// States of a charge as clients see them.
const (
	statePending  = "pending"
	stateCaptured = "captured"
	stateFailed   = "failed"
)

func (c charge) state(now time.Time) string {
	switch {
	case now.Before(c.due()):
		return statePending
	case c.outcome == Fail:
		return stateFailed
	}
	return stateCaptured
}

// insert makes a charge durable. A repeat returns the charge as it was made first; another charge under the same id is refused.
func (s *Service) insert(ctx context.Context, c charge) (got charge, repeated bool, err error) {
	var refusal error
	err = s.db.Do(ctx, func(tx *groupcommit.Tx) (err error) {
		got, repeated, refusal = c, false, nil
		n, err := tx.Exec(`INSERT INTO charges (`+chargeColumns+`) VALUES (?,?,?,?,?,?,?,0,0,?) ON CONFLICT DO NOTHING`,
			int64(c.id), c.amount, c.currency, c.outcome, c.after.Milliseconds(), c.callback, c.made.UnixMilli(), c.next)
		if err != nil || n == 1 {
			return err
		}
		repeated = true
		if got, err = find(tx, c.id); err != nil {
			return err
		}
		if got.amount != c.amount || got.currency != c.currency || got.outcome != c.outcome || got.after != c.after {
			refusal = errs.New(errs.KeyReused, "payment %s was charged before with other values", c.id)
		}
		return nil
	})
	if err != nil {
		return charge{}, false, err
	}
	return got, repeated, refusal
}

func find(tx *groupcommit.Tx, id ident.ID) (charge, error) {
	return scanCharge(func(dest ...any) error {
		return tx.Scan(`SELECT `+chargeColumns+` FROM charges WHERE id=?`, []any{int64(id)}, dest...)
	})
}

func (s *Service) charge(ctx context.Context, id ident.ID) (charge, error) {
	c, err := scanCharge(s.db.R().QueryRowContext(ctx, `SELECT `+chargeColumns+` FROM charges WHERE id=?`, int64(id)).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return c, errs.New(errs.NotFound, "payment %s was never charged here", id)
	}
	if err != nil {
		return c, fmt.Errorf("read charge %s: %w", id, err)
	}
	return c, nil
}

// refund is a row of the books. A refund that exists was made: refused ones leave nothing.
type refund struct {
	id, payment ident.ID
	amount      int64
}

// giveBack makes a refund durable, once per id, and never more than was captured.
func (s *Service) giveBack(ctx context.Context, r refund) error {
	var refusal error
	err := s.db.Do(ctx, func(tx *groupcommit.Tx) error {
		refusal = nil
		var was refund
		err := tx.Scan(`SELECT id, payment, amount FROM refunds WHERE id=?`, []any{int64(r.id)}, &was.id, &was.payment, &was.amount)
		switch {
		case err == nil && was != r:
			refusal = errs.New(errs.KeyReused, "refund %s was made before with other values", r.id)
			return nil
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		c, err := find(tx, r.payment)
		if errors.Is(err, sql.ErrNoRows) {
			refusal = errs.New(errs.NotFound, "payment %s was never charged here", r.payment)
			return nil
		}
		if err != nil {
			return err
		}
		if c.state(s.o.Clock.Now()) != stateCaptured {
			refusal = errs.New(errs.IllegalTransition, "payment %s is not captured", r.payment)
			return nil
		}
		var before int64
		if err = tx.Scan(`SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment=?`, []any{int64(r.payment)}, &before); err != nil {
			return err
		}
		if left := c.taken() - before; r.amount > left {
			refusal = errs.New(errs.RefundTooLarge, "only %d of payment %s is left", left, r.payment)
			return nil
		}
		_, err = tx.Exec(`INSERT INTO refunds (id, payment, amount, at) VALUES (?,?,?,?)`, int64(r.id), int64(r.payment), r.amount, s.o.Clock.Now().UnixMilli())
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

func (s *Service) refundByID(ctx context.Context, id ident.ID) (r refund, err error) {
	err = s.db.R().QueryRowContext(ctx, `SELECT id, payment, amount FROM refunds WHERE id=?`, int64(id)).Scan(&r.id, &r.payment, &r.amount)
	if errors.Is(err, sql.ErrNoRows) {
		return r, errs.New(errs.NotFound, "refund %s was never made here", id)
	}
	if err != nil {
		return r, fmt.Errorf("read refund %s: %w", id, err)
	}
	return r, nil
}

// Totals is what the sandbox took and gave back, per currency, in minor units.
type Totals struct{ Captured, Refunded int64 }

// Totals adds up everything that is captured by now.
func (s *Service) Totals(ctx context.Context) (map[string]Totals, error) {
	rows, err := s.db.R().QueryContext(ctx, `SELECT currency,
		sum(CASE outcome WHEN 'fail' THEN 0 WHEN 'wrong_amount' THEN amount+1 ELSE amount END),
		sum(coalesce((SELECT sum(amount) FROM refunds WHERE payment=charges.id), 0))
		FROM charges WHERE made+after_ms<=? GROUP BY currency`, s.o.Clock.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("add up the sandbox: %w", err)
	}
	defer rows.Close()
	all := map[string]Totals{}
	for rows.Next() {
		var cur string
		var t Totals
		if err := rows.Scan(&cur, &t.Captured, &t.Refunded); err != nil {
			return nil, fmt.Errorf("add up the sandbox: %w", err)
		}
		all[cur] = t
	}
	return all, rows.Err()
}
