package mysqlstock

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"penstock/engine/mysql"
	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

const nowMicros = mysql.NowMicros

const (
	attemptColumns = `a.id, j.seq, a.user, a.sale, a.akey, a.body, a.at, a.reason, a.sku, a.remaining, a.items, a.amount, a.currency,
	a.pay_before, a.release_at, a.state, a.why, a.trace, a.pass`
	// The number of an attempt is in its journal entry, because it is given after the attempt is written.
	attempts = "SELECT " + attemptColumns + " FROM attempt a JOIN journal j ON j.ref = a.id AND j.kind IN (1, 2) WHERE "
)

// attemptRow is a row of attempt with its number, as scanned; all is NULL where a join found none.
type attemptRow struct {
	id, seq, at, remaining, amount, payBefore, releaseAt, state, pass sql.NullInt64
	user, sale, key, reason, sku, currency, why, trace                sql.NullString
	body, items                                                       []byte
}

func (r *attemptRow) fields() []any {
	return []any{&r.id, &r.seq, &r.user, &r.sale, &r.key, &r.body, &r.at, &r.reason, &r.sku, &r.remaining, &r.items, &r.amount, &r.currency,
		&r.payBefore, &r.releaseAt, &r.state, &r.why, &r.trace, &r.pass}
}

func (r *attemptRow) attempt() (*driver.Attempt, error) {
	a := &driver.Attempt{
		ID: ident.ID(r.id.Int64), Seq: uint64(r.seq.Int64), Key: driver.Key{Sale: r.sale.String, User: r.user.String, Key: r.key.String},
		At: fromMicro(r.at.Int64), Reason: errs.Code(r.reason.String), SKU: r.sku.String, Left: r.remaining.Int64, Amount: r.amount.Int64,
		Currency: r.currency.String, PayBefore: fromMicro(r.payBefore.Int64), ReleaseAt: fromMicro(r.releaseAt.Int64),
		State: driver.ClaimState(r.state.Int64), Why: r.why.String, Trace: r.trace.String, Pass: uint64(r.pass.Int64),
	}
	copy(a.Body[:], r.body)
	if err := json.Unmarshal(r.items, &a.Lines); err != nil {
		return nil, fmt.Errorf("attempt %d: items: %w", r.id.Int64, err)
	}
	return a, nil
}

func scanAttempt(rows *sql.Rows) (*driver.Attempt, error) {
	var r attemptRow
	if err := rows.Scan(r.fields()...); err != nil {
		return nil, err
	}
	return r.attempt()
}

// findKeys returns what keys are bound to: users' keys in attempt, operators' in offer.
func findKeys(ctx context.Context, q executor, keys []driver.Key) (map[driver.Key]*driver.Attempt, error) {
	found := map[driver.Key]*driver.Attempt{}
	var users, operators []driver.Key
	for _, k := range keys {
		if k.User == "" {
			operators = append(operators, k)
		} else {
			users = append(users, k)
		}
	}
	wanted := list{len(users), attempts + "(a.user, a.sale, a.akey) IN (", ")",
		func(t *text, i int) { t.row(users[i].User, users[i].Sale, users[i].Key) }}
	err := wanted.query(ctx, q, func(rows *sql.Rows) error {
		a, err := scanAttempt(rows)
		if err == nil {
			found[a.Key] = a
		}
		return err
	})

	if err != nil {
		return nil, err
	}
	others := list{len(operators),
		"SELECT o.sale, o.akey, o.sku, o.delta, o.seq, j.at FROM offer o JOIN journal j ON j.seq = o.seq WHERE (o.sale, o.akey) IN (", ")",
		func(t *text, i int) { t.row(operators[i].Sale, operators[i].Key) }}
	err = others.query(ctx, q, func(rows *sql.Rows) error {
		a := &driver.Attempt{Lines: make([]driver.Line, 1)}
		var at int64
		err := rows.Scan(&a.Key.Sale, &a.Key.Key, &a.Lines[0].SKU, &a.Lines[0].Quantity, &a.Seq, &at)
		a.At = fromMicro(at)
		found[a.Key] = a
		return err
	})

	return found, err
}

func findClaims(ctx context.Context, q executor, ids []ident.ID) (map[ident.ID]*driver.Attempt, error) {
	found := map[ident.ID]*driver.Attempt{}
	wanted := list{len(ids), attempts + "a.reason = '' AND a.id IN (", ")",
		func(t *text, i int) { t.num(int64(ids[i])) }}
	err := wanted.query(ctx, q, func(rows *sql.Rows) error {
		a, err := scanAttempt(rows)
		if err == nil {
			found[a.ID] = a
		}
		return err
	})

	return found, err
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func toMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
