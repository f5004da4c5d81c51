package payment

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"time"

	"penstock/internal/ident"
)

// migrations of payments.db; mysqlschema.go says the same in MySQL's words. Times are Unix milliseconds. next_at is when the recovery loop looks at the row again; it is NULL
// exactly when nothing is left to do. payer marks the one payment that may pay its order. Of refunds, auto marks those nobody
// asked for (late money, second payments), and seq is the order in which the money of an order's asked refunds came back.
// late_money has the claims that were made anew for a payment, closings what became of cases, refund_details what a refund
// that an operator ordered for a case gives back, and money every amount that a provider moved, once, at the time at which it was learned.
var migrations = []string{`
CREATE TABLE payments (
	id INTEGER PRIMARY KEY, ord INTEGER NOT NULL, user TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
	provider TEXT NOT NULL, ref TEXT NOT NULL, state TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL,
	captured INTEGER NOT NULL, refunded INTEGER NOT NULL, payer INTEGER NOT NULL, late INTEGER NOT NULL,
	outcome TEXT NOT NULL, after_ms INTEGER NOT NULL, trace TEXT NOT NULL, pay_before INTEGER NOT NULL,
	at INTEGER NOT NULL, next_at INTEGER, tries INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX payments_key ON payments (ord, user, key);
CREATE UNIQUE INDEX payments_ref ON payments (provider, ref) WHERE ref <> '';
CREATE UNIQUE INDEX payments_payer ON payments (ord) WHERE payer = 1;
CREATE INDEX payments_due ON payments (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE refunds (
	id INTEGER PRIMARY KEY, ord INTEGER NOT NULL, payment INTEGER NOT NULL, user TEXT NOT NULL, key TEXT NOT NULL,
	body BLOB NOT NULL, auto INTEGER NOT NULL, amount INTEGER NOT NULL, returned INTEGER NOT NULL, why TEXT NOT NULL,
	who TEXT NOT NULL, state TEXT NOT NULL, seq INTEGER NOT NULL, trace TEXT NOT NULL, at INTEGER NOT NULL, next_at INTEGER, tries INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX refunds_key ON refunds (ord, user, key) WHERE auto = 0;
CREATE UNIQUE INDEX refunds_auto ON refunds (payment) WHERE auto = 1;
CREATE INDEX refunds_due ON refunds (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE callbacks (
	seq INTEGER PRIMARY KEY, provider TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (provider, id)
) STRICT;
CREATE TABLE cases (
	seq INTEGER PRIMARY KEY, payment INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, amount INTEGER NOT NULL,
	currency TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (payment, kind, ref)
) STRICT;`, `
CREATE INDEX refunds_payment ON refunds (payment);
CREATE INDEX refunds_order ON refunds (ord, seq);`, `
CREATE TABLE late_money (payment INTEGER PRIMARY KEY, claim INTEGER NOT NULL) STRICT;
CREATE TABLE closings (
	seq INTEGER PRIMARY KEY, action TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE TABLE refund_details (
	refund INTEGER PRIMARY KEY, aside INTEGER NOT NULL, ref TEXT NOT NULL, currency TEXT NOT NULL
) STRICT;
CREATE TABLE money (
	seq INTEGER PRIMARY KEY, provider TEXT NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, payment INTEGER NOT NULL,
	amount INTEGER NOT NULL, currency TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (provider, kind, ref)
) STRICT;
CREATE INDEX money_day ON money (at, seq);
INSERT INTO money (provider, kind, ref, payment, amount, currency, at)
	SELECT provider, 'capture', ref, id, captured, currency, at FROM payments WHERE captured > 0 AND ref <> '' ORDER BY id;
INSERT INTO money (provider, kind, ref, payment, amount, currency, at)
	SELECT p.provider, 'refund', CAST(r.id AS TEXT), p.id, r.amount, p.currency, r.at FROM refunds r JOIN payments p ON p.id = r.payment
	WHERE r.state IN ('paid_back', 'refunded') ORDER BY r.id;`}

// keyColumn is quoted because MySQL keeps the word for itself.
const keyColumn = "`key`"

// row is a payment with what only this package sees of it.
type row struct {
	Payment
	body      []byte
	payer     bool
	outcome   string
	after     time.Duration
	trace     string
	payBefore time.Time
	// next is when the recovery loop looks at it; zero when the payment is finished.
	next  time.Time
	tries int
}

const payColumns = `id, ord, user, ` + keyColumn + `, body, provider, ref, state, amount, currency, captured, refunded, payer, late,
	outcome, after_ms, trace, pay_before, at, next_at, tries`

type scanner interface{ Scan(dest ...any) error }

func scanRow(s scanner) (row, error) {
	var r row
	var after, before, at int64
	var next sql.NullInt64
	err := s.Scan(&r.ID, &r.Order, &r.User, &r.Key, &r.body, &r.Provider, &r.ProviderRef, &r.State, &r.Amount, &r.Currency,
		&r.Captured, &r.Refunded, &r.payer, &r.Late, &r.outcome, &after, &r.trace, &before, &at, &next, &r.tries)
	r.after, r.payBefore, r.At = time.Duration(after)*time.Millisecond, ms(before), ms(at)
	if next.Valid {
		r.next = ms(next.Int64)
	}
	return r, err
}

// unsettled reports whether the money is captured and the order does not know it yet.
func (r row) unsettled() bool { return r.State == Captured && r.payer && !r.next.IsZero() }

func load(tx Tx, id ident.ID) (row, error) {
	return scanRow(txRow{tx, `SELECT ` + payColumns + ` FROM payments WHERE id=?`, []any{int64(id)}})
}

// txRow defers a query of one row until its destinations are known.
type txRow struct {
	tx    Tx
	query string
	args  []any
}

// storeRow does the same for what is committed.
type storeRow struct {
	ctx   context.Context
	db    Store
	query string
	args  []any
}

func (r storeRow) Scan(dest ...any) error { return r.db.Scan(r.ctx, r.query, r.args, dest...) }

func (r txRow) Scan(dest ...any) error { return r.tx.Scan(r.query, r.args, dest...) }

// Refund states, beyond those of a payment: paidBack is between the provider's yes and the order's knowing of it.
const paidBack State = "paid_back"

type refundRow struct {
	id, order, payment ident.ID
	user, key          string
	body               []byte
	auto               int // one of the constants below
	amount             int64
	returned           bool
	why, who           string
	state              State
	seq                int64
	trace              string
	tries              int
}

// Why there is a refund.
const (
	asked     = 0 // somebody asked for it; its order is told
	automatic = 1 // the money may not stay: late, or a second payment
	ordered   = 2 // an operator resolved a case by it
)

const refundColumns = `id, ord, payment, user, ` + keyColumn + `, body, auto, amount, returned, why, who, state, seq, trace, tries`

func scanRefund(s scanner) (refundRow, error) {
	var r refundRow
	err := s.Scan(&r.id, &r.order, &r.payment, &r.user, &r.key, &r.body, &r.auto, &r.amount, &r.returned, &r.why, &r.who, &r.state,
		&r.seq, &r.trace, &r.tries)
	return r, err
}

func ms(n int64) time.Time { return time.UnixMilli(n).UTC() }

// digest hashes the fields of a request body; their lengths keep them apart.
func digest(fields ...string) []byte {
	h := sha256.New()
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return h.Sum(nil)[:16]
}
